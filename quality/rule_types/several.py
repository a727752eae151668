"""Several columns of one row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from quality.analyzers import FRACTIONAL, INTEGRAL, TEMPORAL, TEXTUAL, base_type, is_numeric
from quality.errors import RuleDataError
from quality.model import COMPARISONS, number_text
from quality.rule_types.args import COLUMN, COLUMNS, NUMBER, arg
from quality.rule_types.base import Row, RowRule
from quality.sql import conjunction


def _family(kind: str) -> str:
    families = {"text": TEXTUAL, "moment": TEMPORAL}
    named = next((name for name, kinds in families.items() if base_type(kind) in kinds), "")
    return named or ("number" if is_numeric(kind) else kind)


def _beside(row: Row, left: str, sign: str, right: str) -> str:
    """SQL of a comparison of two columns. Raises RuleDataError when they are not of a kind: Spark would cast."""
    kinds = row.type(left), row.type(right)
    if _family(kinds[0]) != _family(kinds[1]) or "map<" in kinds[0]:
        raise RuleDataError(f"column '{left}' is {kinds[0]}, '{right}' is {kinds[1]}: they cannot be compared")
    floats = [row.ref(name) for name in (left, right) if base_type(row.type(name)) in FRACTIONAL]
    test = f"{row.ref(left)} {'<>' if sign == '!=' else sign} {row.ref(right)}"
    return conjunction([test, *(f"not isnan({ref})" for ref in floats)])


@dataclass(frozen=True)
class Compare(RowRule):
    """The value of one column compares with those of others in the same row. Numbers compare as numbers, texts byte by
    byte, dates and times as moments; NaN satisfies no comparison. NULL in one of them: see `nulls`."""

    column: str = arg(COLUMN, "the column that is compared")
    at_least: str = arg(COLUMN, "a column whose value it is at least", "")
    above: str = arg(COLUMN, "a column whose value it exceeds", "")
    at_most: str = arg(COLUMN, "a column whose value it is at most", "")
    below: str = arg(COLUMN, "a column whose value it stays below", "")
    equals: str = arg(COLUMN, "a column whose value it has", "")
    not_equals: str = arg(COLUMN, "a column whose value it does not have", "")

    type = "compare"
    example = "compare: {column: arr_time, at_least: dep_time}"

    def _terms(self) -> list[tuple[str, str]]:
        return [(COMPARISONS[word], getattr(self, word)) for word in COMPARISONS if getattr(self, word)]

    def predicate(self, row: Row) -> str:
        """All comparisons."""
        return conjunction(_beside(row, self.column, sign, other) for sign, other in self._terms())

    def requirement(self) -> str:
        """As the reasons say it."""
        return "must be " + " and ".join(f"{sign} {other}" for sign, other in self._terms())

    def problem(self) -> str:
        """Nothing to compare with."""
        return "" if self._terms() else f"needs a comparison word and a column: {', '.join(COMPARISONS)}"


@dataclass(frozen=True)
class EqualColumns(RowRule):
    """Several columns have the same value in every row. NULL in one of them: see `nulls`; NaN equals nothing."""

    columns_: tuple[str, ...] = arg(COLUMNS, "the columns, two or more")

    type = "equal_columns"
    about_several = True
    example = "equal_columns: {columns: [billed, paid]}"

    def predicate(self, row: Row) -> str:
        """Each as the first."""
        first, *others = self.columns_
        return conjunction(_beside(row, first, "=", other) for other in others)

    def requirement(self) -> str:
        """As the reasons say it."""
        return f"must be equal: {', '.join(self.columns_)}"

    def problem(self) -> str:
        """One column equals itself."""
        return "" if len(self.columns_) > 1 else "needs two columns or more"


@dataclass(frozen=True)
class SumEquals(RowRule):
    """A column is the sum of others in every row. Whole numbers and decimals add up exactly, doubles as doubles do: give
    `within` for those. NULL in one of them: see `nulls`."""

    column: str = arg(COLUMN, "the column that holds the sum")
    parts: tuple[str, ...] = arg(COLUMNS, "the columns that add up to it")
    within: float = arg(NUMBER, "how far the sum may be off", 0)

    type = "sum_equals"
    example = "sum_equals: {column: gross, parts: [net, tax], within: 0.01}"

    def predicate(self, row: Row) -> str:
        """The difference. Whole numbers as decimals: a sum of bigints wraps around."""
        total, *parts = (self._number(row, name) for name in (self.column, *self.parts))
        floats = any(base_type(row.type(name)) in FRACTIONAL for name in (self.column, *self.parts))
        room = f"{self.within!r}D" if floats else f"{self.within!r}BD"
        difference = f"abs({total} - ({' + '.join(parts)})) <= {room}"
        # an infinite sum differs from itself by NaN, which Spark takes for larger than any number
        return f"({total} = ({' + '.join(parts)}) and not isnan({total})) or {difference}" if floats else difference

    @staticmethod
    def _number(row: Row, name: str) -> str:
        kind = row.type(name)
        if not is_numeric(kind):
            raise RuleDataError(f"column '{name}' is {kind}: only numbers add up; give it a type under 'columns:'")
        return f"cast({row.ref(name)} as decimal(20,0))" if base_type(kind) in INTEGRAL else row.ref(name)

    def requirement(self) -> str:
        """As the reasons say it."""
        off = f" within {number_text(self.within)}" if self.within else ""
        return f"must be {' + '.join(self.parts)}{off}"

    def problem(self) -> str:
        """A distance."""
        return "'within' must not be negative" if self.within < 0 else ""


class _Filled(RowRule):
    columns_: tuple[str, ...]
    about_several = True
    nulls_apply = False

    filled: ClassVar[str] = ""

    def predicate(self, row: Row) -> str:
        """The number of values."""
        count = " + ".join(f"cast({row.ref(name)} is not null as int)" for name in self.columns_)
        return f"{count} {self.filled.format(len(self.columns_))}"

    def problem(self) -> str:
        """One column is `required`."""
        return "" if len(self.columns_) > 1 else "needs two columns or more; for one there is 'required'"


@dataclass(frozen=True)
class ExactlyOneOf(_Filled):
    """In every row exactly one of several columns has a value; the others are NULL."""

    columns_: tuple[str, ...] = arg(COLUMNS, "the columns, two or more")
    type = "exactly_one_of"
    filled = "= 1"
    example = "exactly_one_of: {columns: [email, phone]}"

    def requirement(self) -> str:
        """As the reasons say it."""
        return f"must have exactly one of {', '.join(self.columns_)}"


@dataclass(frozen=True)
class AtLeastOneOf(_Filled):
    """In every row at least one of several columns has a value."""

    columns_: tuple[str, ...] = arg(COLUMNS, "the columns, two or more")
    type = "at_least_one_of"
    filled = ">= 1"
    example = "at_least_one_of: {columns: [email, phone]}"

    def requirement(self) -> str:
        """As the reasons say it."""
        return f"must have at least one of {', '.join(self.columns_)}"


@dataclass(frozen=True)
class AllOrNoneOf(_Filled):
    """In every row several columns have values together, or are NULL together."""

    columns_: tuple[str, ...] = arg(COLUMNS, "the columns, two or more")
    type = "all_or_none_of"
    filled = "in (0, {})"
    example = "all_or_none_of: {columns: [latitude, longitude]}"

    def requirement(self) -> str:
        """As the reasons say it."""
        return f"must have all or none of {', '.join(self.columns_)}"
