"""What a rule type is. A type is one frozen dataclass: its docstring is its documentation, its fields are its YAML
arguments, its methods are pure and give SQL text and data. Defining the class registers it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from quality import sql
from quality.analyzers import FRACTIONAL, TEXTUAL, Analyzer, base_type, is_numeric
from quality.errors import RuleDataError, did_you_mean
from quality.model import Bounds, Column, Metric, Scalar
from quality.rule_types import paths
from quality.rule_types.args import arguments
from quality.rule_types.questions import PREFIX, Link, Order, Question, Repeated

REGISTRY: dict[str, type[RuleType]] = {}

#: The columns the engine adds; an input column may not be called so.
RESERVED_PREFIX = PREFIX
QUALITY_COLUMN = "_quality"
#: In text formats: whether the line could not be read, and the line.
MALFORMED = RESERVED_PREFIX + "malformed"
MALFORMED_LINE = RESERVED_PREFIX + "malformed_line"
FILE_COLUMN = "_file"


@dataclass(frozen=True)
class Row:
    """The columns of a batch as a rule sees them: how to refer to each in SQL, its type, its text before casting."""

    columns: tuple[Column, ...]
    raw: dict[str, str] = field(default_factory=dict)
    timezone: str = "UTC"
    #: What references answered, and why one cannot be asked.
    answers: Mapping[Question, Any] = field(default_factory=dict)
    unanswered: Mapping[Question, str] = field(default_factory=dict)
    #: The filter of the rule that looks at it.
    scope: str = ""

    def find(self, name: str) -> Column:
        """The column of this name, compared as Spark does; a path through structs (`a.b`) reaches a field."""
        exact = [column for column in self.columns if column.name == name]
        same = exact or [column for column in self.columns if column.name.lower() == name.lower()]
        if len(same) == 1:
            return same[0]
        if same:
            raise RuleDataError(f"column '{name}' is ambiguous: {', '.join(column.name for column in same)}")
        nested = self._nested(name)
        if nested is None:
            names = [column.name for column in self.columns]
            raise RuleDataError(f"column '{name}' is not in the data; {did_you_mean(name, names, 'columns')}")
        return nested

    def _nested(self, name: str) -> Column | None:
        parts = paths.split(name)
        if {*parts} & {*paths.ELEMENTS}:
            raise RuleDataError(
                f"'{name}' is about the elements of a column: a rule about rows, or about a metric, with that column alone can be demanded of them"
            )
        found = self._walk(parts)
        return Column(name, found[1]) if found else None

    def _head(self, part: str) -> Column | None:
        same = [c for c in self.columns if c.name == part] or [
            c for c in self.columns if c.name.lower() == part.lower()
        ]
        return same[0] if len(same) == 1 else None

    def _walk(self, parts: tuple[str, ...]) -> tuple[str, str, tuple[str, ...]] | None:
        """Reference and type of what a path leads to, and the arrays on the way, of whose elements the next ones and the
        reference speak; None where it leads nowhere."""
        head = self._head(parts[0]) if parts else None
        if head is None:
            return None
        reference, kind, arrays = sql.quote(head.name), head.type, list[str]()
        for part in parts[1:]:
            if part in paths.ELEMENTS:
                kind = paths.element_type(kind, part)
                arrays.append(paths.elements_sql(reference, part))
                reference = element(len(arrays) - 1)
            else:
                kind = paths.struct_fields(kind).get(part.lower(), "") if base_type(kind) == "struct" else ""
                reference += f".{sql.quote(part)}"
            if not kind:
                return None
        return reference, kind, tuple(arrays)

    def elements(self, name: str) -> Elements | None:
        """What a path such as `items[].price` stands for; None for a name without elements. Raises RuleDataError when it leads
        nowhere."""
        parts = paths.split(name)
        if any(column.name.lower() == name.lower() for column in self.columns) or not {*parts} & {*paths.ELEMENTS}:
            return None
        found = self._walk(parts)
        if found is None:
            self._refuse_path(name, parts)
            return None
        reference, kind, arrays = found
        return Elements(arrays, _ElementRow((Column(name, kind),), timezone=self.timezone, reference=reference))

    def _refuse_path(self, name: str, parts: tuple[str, ...]) -> None:
        head = self._head(parts[0])
        if head is None:
            names = [column.name for column in self.columns]
            raise RuleDataError(f"column '{parts[0]}' is not in the data; {did_you_mean(parts[0], names, 'columns')}")
        raise RuleDataError(
            f"'{name}' leads nowhere: '{head.name}' is {head.type}; 'a.b' is a field of a struct, 'a[]' every element of an "
            f"array, 'a[keys]' and 'a[values]' those of a map"
        )

    def ref(self, name: str) -> str:
        """The column as SQL."""
        column = self.find(name)
        if column in self.columns:
            return sql.quote(column.name)
        found = self._walk(paths.split(name))
        assert found is not None
        return found[0]

    def type(self, name: str) -> str:
        """The column's Spark type."""
        return self.find(name).type

    def text(self, name: str) -> str:
        """The value as it stood in the input, as SQL: the raw text of a text format, else the value cast to string."""
        column = self.find(name)
        if column.name in self.raw:
            return self.raw[column.name]
        return self.ref(name) if base_type(column.type) in TEXTUAL else f"cast({self.ref(name)} as string)"

    def linked(self, link: Link) -> str:
        """SQL: the reference has the row's key; false for a key with a NULL part."""
        self.answer(link)
        return f"coalesce({sql.quote(link.marker)}, false)"

    def breaks(self, order: Order) -> str:
        """SQL: the engine found that the row breaks the order."""
        self.answer(order)
        return f"coalesce({sql.quote(order.marker)}, false)"

    def repeated(self, columns: tuple[str, ...]) -> str:
        """SQL: another row in scope has the row's key; false for a key with a NULL part."""
        question = Repeated(columns, self.scope)
        self.answer(question)
        return f"coalesce({sql.quote(question.marker)}, false)"

    def answer(self, question: Question) -> Any:
        """What the reference answered; None when nobody asked. Raises RuleDataError when it cannot be asked."""
        if question in self.unanswered:
            raise RuleDataError(self.unanswered[question])
        return self.answers.get(question)

    def compare(self, name: str, sign: str, value: Scalar) -> str:
        """`column sign value` with the value typed after the column; NaN satisfies no comparison."""
        kind = base_type(self.type(name))
        left = self.ref(name)
        if kind in TEXTUAL and not isinstance(value, (str, bool)):
            left, kind = f"try_cast({left} as double)", "double"
        test = f"{left} {'<>' if sign == '!=' else sign} {self.literal(name, value)}"
        return f"({test}) and not isnan({left})" if kind in FRACTIONAL else test

    def literal(self, name: str, value: Scalar) -> str:
        """The value as a literal fit to stand beside the column."""
        kind = base_type(self.type(name))
        if kind in TEXTUAL:
            return _text_literal(value)
        if is_numeric(kind):
            return _numeric_literal(name, self.type(name), value)
        if kind == "boolean":
            return sql.literal(_boolean(name, value))
        if kind in ("date", "timestamp", "timestamp_ntz"):
            return self._temporal(name, kind, value)
        raise RuleDataError(f"column '{name}' is {self.type(name)}, which cannot be compared with a value")

    def member(self, name: str, value: Scalar) -> str:
        """The value as a literal for a set test: texts compare as texts, so `in: [1, 2]` fits a string column."""
        if base_type(self.type(name)) in TEXTUAL:
            return _text_literal(value if isinstance(value, bool) else str(value))
        return self.literal(name, value)

    def _temporal(self, name: str, kind: str, value: Scalar) -> str:
        try:
            moment = parse_moment(str(value))
        except ValueError:
            raise RuleDataError(
                f"column '{name}' is {kind}, cannot be compared with '{value}'; write YYYY-MM-DD[ HH:MM:SS]"
            ) from None
        if kind == "date":
            if isinstance(moment, datetime):
                raise RuleDataError(
                    f"column '{name}' is a date, cannot be compared with the time '{value}'; write YYYY-MM-DD"
                )
            return f"date'{moment.isoformat()}'"
        if kind == "timestamp_ntz":
            return f"timestamp_ntz'{_as_datetime(moment).replace(tzinfo=None).isoformat(sep=' ')}'"
        return f"timestamp_micros({epoch_micros(moment, self.timezone)}L)"


@dataclass(frozen=True)
class _ElementRow(Row):
    """A row whose one column is an element of an array."""

    reference: str = ""

    def ref(self, name: str) -> str:
        """The element as SQL."""
        self.find(name)
        return self.reference


@dataclass(frozen=True)
class Elements:
    """The elements that a path stands for: `arrays` as SQL, outermost first, each but the first in terms of `element` of the one
    before; `row` has the innermost element as its column."""

    arrays: tuple[str, ...]
    row: Row


def element(level: int) -> str:
    """The name in SQL of an element of an array, by how deep it is."""
    return f"{RESERVED_PREFIX}element_{level}"


def parse_moment(text: str) -> date | datetime:
    """An ISO date or date-time. Raises ValueError."""
    text = text.strip()
    if len(text) == 10:
        return date.fromisoformat(text)
    return datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith(("Z", "z")) else text)


#: A number as text.
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")


def _as_datetime(moment: date | datetime) -> datetime:
    return moment if isinstance(moment, datetime) else datetime(moment.year, moment.month, moment.day)


def epoch_micros(moment: date | datetime, zone: str) -> int:
    """Microseconds since 1970 UTC; a moment without a zone is read in `zone`."""
    at = _as_datetime(moment)
    at = at if at.tzinfo else at.replace(tzinfo=ZoneInfo(zone))
    delta = at - datetime(1970, 1, 1, tzinfo=timezone.utc)
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def _text_literal(value: Scalar) -> str:
    # beside a bare true Spark would cast the text, and take 'yes' and '1' for it
    return sql.literal(str(value).lower() if isinstance(value, bool) else value)


def _numeric_literal(name: str, kind: str, value: Scalar) -> str:
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        # templates give text
        value = float(value) if base_type(kind) in FRACTIONAL else Decimal(value.strip())
    if isinstance(value, (bool, str)):
        raise RuleDataError(f"column '{name}' is {kind}, cannot be compared with {sql.literal(value)}")
    # 0.1 beside a decimal is the decimal 0.1; beside a double it is the nearest double
    if isinstance(value, float) and base_type(kind) not in FRACTIONAL and value == value and abs(value) != float("inf"):
        return f"{value!r}BD"
    return sql.literal(value)


def _boolean(name: str, value: Scalar) -> bool:
    if str(value).lower() not in ("true", "false"):
        raise RuleDataError(f"column '{name}' is boolean, cannot be compared with {sql.literal(value)}")
    return str(value).lower() == "true"


class RuleType:
    """Base of all rule types.

    `type` is the word in the rule file; `main` the argument that a bare value stands for (`above: 0`);
    `keeps_tolerance` says that `defaults.tolerance` reaches it.
    """

    type: ClassVar[str] = ""
    main: ClassVar[str] = ""
    keeps_tolerance: ClassVar[bool] = True
    #: Why `where` does not go with it, empty when it does.
    unfiltered: ClassVar[str] = ""
    #: Whether it is about several columns together, so that it cannot stand under one of them.
    about_several: ClassVar[bool] = False
    #: What it is about, where it is not rows alone, or the batch alone.
    about: ClassVar[str] = ""
    #: Why `group_by` does not go with it, empty when it does.
    ungrouped: ClassVar[str] = "it is about the batch as a whole"
    #: What arguments are called where the type stands under a column.
    short_names: ClassVar[Mapping[str, str]] = {}
    example: ClassVar[str] = ""

    @classmethod
    def made(cls, **values: Any) -> RuleType:
        """The rule with these arguments."""
        return cls(**values)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "type" in cls.__dict__:
            REGISTRY[cls.type] = cls

    def columns(self) -> tuple[str, ...]:
        """The columns the rule names, in order."""
        named: list[str] = []
        for argument in arguments(type(self)).values():
            value = getattr(self, argument.name)
            role = argument.metadata["kind"].role
            named += [value] if role == "column" and value else value if role == "columns" else []
        return tuple(named)

    def expressions(self) -> tuple[str, ...]:
        """Spark SQL a steward wrote as an argument of the rule."""
        return self._of_role("sql")

    def queries(self) -> tuple[str, ...]:
        """Queries among the arguments."""
        return self._of_role("query")

    def patterns(self) -> tuple[str, ...]:
        """Regular expressions among the arguments."""
        named = arguments(type(self)).values()
        lists = [getattr(self, a.name) for a in named if a.metadata["kind"].role == "regexes"]
        return (*self._of_role("regex"), *(pattern for patterns in lists for pattern in patterns))

    def _of_role(self, role: str) -> tuple[str, ...]:
        named = arguments(type(self)).values()
        return tuple(getattr(self, a.name) for a in named if a.metadata["kind"].role == role)

    def questions(self, _where: str = "") -> tuple[Question, ...]:
        """What it asks of references, about the rows of a condition."""
        return ()

    def at(self, _run_time: str) -> RuleType:
        """The rule with the time of the run (ISO 8601 with its zone) where it goes by the clock and says no other time."""
        return self

    def metrics(self) -> tuple[MetricRule, ...]:
        """The demands on metrics that it is made of, in order; none for a rule about rows or columns."""
        return ()

    def requirement(self) -> str:
        """What is demanded, as the end of a sentence: `must be ...`."""
        raise NotImplementedError

    def problem(self) -> str:
        """What is wrong with the arguments taken together, empty when nothing is."""
        return ""


class RowRule(RuleType):
    """A rule that gives each row in scope a verdict."""

    ungrouped = ""
    #: Whether a row can be judged without the others of its batch.
    by_row: ClassVar[bool] = True
    #: False when the predicate itself speaks of NULL, so that no NULL policy comes between.
    nulls_apply: ClassVar[bool] = True
    #: Whether it names no column, so that it is the result whose NULL the NULL policy is about, as in a SQL CHECK.
    is_free: bool = False
    #: Lines that could not be read are judged by the rule `malformed` alone.
    well_formed_only: ClassVar[bool] = True
    #: Whether failing rows leave the passed side whatever the severity.
    always_quarantines: ClassVar[bool] = False

    def predicate(self, row: Row) -> str:
        """Kleene SQL that is true for a row that complies."""
        raise NotImplementedError

    def held(self, row: Row, _where: str) -> str:
        """The predicate, among the rows of a condition. Raises RuleDataError when what it asks cannot be asked."""
        return self.predicate(row)

    def nan_columns(self) -> tuple[str, ...]:
        """Columns whose NaN fails the rule unless `nan: pass`."""
        return self.columns() if self.nulls_apply else ()

    def null_references(self, row: Row) -> list[str]:
        """SQL of the values whose NULL the NULL policy is about."""
        return [row.ref(name) for name in self.columns()] if self.nulls_apply else []

    def shown_value(self, row: Row) -> str:
        """SQL of the text that stands as `value` in the reasons of a failing row."""
        return row.text(self.columns()[0]) if self.columns() else "cast(null as string)"


class KeyRule(RowRule):
    """A row rule whose verdict depends on how often the row's key occurs: every row of a duplicated key fails."""

    keeps_tolerance = False
    nulls_apply = False
    ungrouped = "a key is one of the whole batch; for one within groups name their columns in the key too"
    by_row = False
    #: Whether a key with a NULL part fails (a primary key) or is no duplicate (unique).
    complete: ClassVar[bool] = False

    def predicate(self, row: Row) -> str:
        """As a window over the key: for reading, the engine counts keys once instead."""
        key = ", ".join(row.ref(name) for name in self.columns())
        return f"count(1) over (partition by {key}) = 1"


class BatchRule(RuleType):
    """A rule about the batch as a whole."""


class MetricRule(BatchRule):
    """A batch rule that demands bounds of a metric."""

    ungrouped = ""
    bounds: Bounds

    def analyzer(self, where: str) -> Analyzer:
        """The metric it is about."""
        raise NotImplementedError

    def metrics(self) -> tuple[MetricRule, ...]:
        """Itself."""
        return (self,)

    def held(self, _row: Row, where: str) -> Analyzer:
        """The metric with what references answered. Raises RuleDataError when one cannot be asked."""
        return self.analyzer(where)

    def requirement(self) -> str:
        """The bounds."""
        return "recorded" if self.bounds.recorded else f"must be {self.bounds}"

    def expected(self) -> str:
        """What the result shows as expected."""
        return str(self.bounds)


class SchemaRule(BatchRule):
    """A batch rule judged from the columns of the batch alone."""

    ungrouped = "every group of rows has the same columns"
    unfiltered = "does not go with it: it is about columns, which are those of all rows"
    #: Whether it compares with the columns of the published batch before this one, not with those of `columns:`.
    from_past: ClassVar[bool] = False
    #: Where its bounds come from, when from earlier batches; why they do not apply yet, or cannot be told.
    origin: str = ""
    waiting: str = ""
    unsure: str = ""

    def differences(self, actual: tuple[Column, ...], declared: tuple[tuple[str, str], ...]) -> list[str]:
        """What is wrong with the columns; `declared` are those of `columns:`, with their types or ''."""
        raise NotImplementedError

    def metric(self, _actual: tuple[Column, ...]) -> Metric | None:
        """A number that tells the same of the columns, for the history."""
        return None
