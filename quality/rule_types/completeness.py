"""Completeness: values that must be there."""

from __future__ import annotations

from dataclasses import dataclass

from quality.analyzers import TEXTUAL, Analyzer, Completeness, base_type
from quality.errors import RuleDataError
from quality.model import Bounds, Scalar
from quality.rule_types.args import COLUMN, SHARE_BOUNDS, VALUES, arg
from quality.rule_types.base import MetricRule, Row, RowRule
from quality.rule_types.values import NotIn
from quality.sql import literal

#: White space in a character class of Java's: that of Unicode, and the separators \x1c to \x1f, which Java takes for it.
WHITE = r"\p{IsWhite_Space}\x1c-\x1f"


@dataclass(frozen=True)
class Required(RowRule):
    """Every row has a value. NULL fails; an empty text and NaN are values. A value that is not of the column's type is
    NULL here, and has failed `type` too."""

    column: str = arg(COLUMN, "the column that must be filled")

    type = "required"
    nulls_apply = False
    keeps_tolerance = False
    example = "required: {column: id}"

    def predicate(self, row: Row) -> str:
        """True for a value."""
        return f"{row.ref(self.column)} is not null"

    def requirement(self) -> str:
        """As the reasons say it."""
        return "must not be NULL"


@dataclass(frozen=True)
class NotEmpty(RowRule):
    """Every value holds something: no text of length 0, no array or map without entries. Blanks are something: see
    `not_blank`. NULL passes unless `nulls: fail` says otherwise."""

    column: str = arg(COLUMN, "the column that must not be empty")

    type = "not_empty"
    example = "not_empty: {column: comment}"

    def predicate(self, row: Row) -> str:
        """The length of a text, the size of a collection."""
        is_collection = base_type(row.type(self.column)) in ("array", "map")
        return f"size({row.ref(self.column)}) > 0" if is_collection else f"char_length({row.text(self.column)}) > 0"

    def requirement(self) -> str:
        """As the reasons say it."""
        return "must not be empty"


@dataclass(frozen=True)
class NotBlank(RowRule):
    """Every value has a character that is not white space (as Unicode counts it: the no-break space is white too).
    NULL passes unless `nulls: fail` says otherwise."""

    column: str = arg(COLUMN, "the column that must not be blank")

    type = "not_blank"
    example = "not_blank: {column: name}"

    def predicate(self, row: Row) -> str:
        r"""(?U): without it only ASCII's blanks are white."""
        return f"{row.text(self.column)} rlike {literal('(?U)[^' + WHITE + ']')}"

    def requirement(self) -> str:
        """As the reasons say it."""
        return "must not be blank"


#: Texts that people and programs write where they have no value.
PLACEHOLDERS: tuple[Scalar, ...] = (
    *("", "-", "--", "?", ".", "n/a", "#n/a", "na", "nan", "null", "none", "nil", "unknown", "undefined", "missing"),
    *("tbd", "todo", "xxx"),
)


@dataclass(frozen=True)
class NoPlaceholder(RowRule):
    """No value only stands for one that is missing, as 'n/a' and '-' do. Texts are compared without their blanks at
    both ends and without case, numbers and dates as such. Without `values`, the usual texts: empty, -, --, ?, ., n/a,
    #n/a, na, nan, null, none, nil, unknown, undefined, missing, tbd, todo, xxx. NULL passes unless `nulls: fail` says
    otherwise; NaN fails unless `nan: pass` does."""

    column: str = arg(COLUMN, "the column")
    values: tuple[Scalar, ...] = arg(
        VALUES, "what stands for a missing value, instead of the usual texts", PLACEHOLDERS
    )

    type = "no_placeholder"
    example = "no_placeholder: {column: phone, values: ['000', n/a]}"

    def predicate(self, row: Row) -> str:
        """Not one of a set."""
        if base_type(row.type(self.column)) in TEXTUAL:
            texts = [str(value).lower() if isinstance(value, bool) else str(value) for value in self.values]
            members = ", ".join(dict.fromkeys(f"lower({literal(text.strip())})" for text in texts))
            trimmed = f"regexp_replace({row.ref(self.column)}, {literal(f'(?U)^[{WHITE}]+|[{WHITE}]+$')}, '')"
            return f"lower({trimmed}) not in ({members})"
        if self.values is PLACEHOLDERS:
            raise RuleDataError(
                f"column '{self.column}' is {row.type(self.column)}: say which 'values' are placeholders"
            )
        return NotIn(self.column, self.values).predicate(row)

    def requirement(self) -> str:
        """As the reasons say it."""
        return "must be a value, not a placeholder for one"


@dataclass(frozen=True)
class CompletenessBounds(MetricRule):
    """The share of rows in scope whose value is not NULL lies within bounds: from 0 to 1, or percentages. NaN and an empty text
    are values."""

    column: str = arg(COLUMN, "the column")
    bounds: Bounds = arg(SHARE_BOUNDS, "bounds of the share")

    type = "completeness"
    example = "completeness: {column: email, at_least: 0.98}"

    def analyzer(self, where: str) -> Analyzer:
        """Deequ's Completeness."""
        return Completeness((self.column,), where)
