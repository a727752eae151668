"""The vocabulary every other module shares: values without behaviour of their own, no Spark, no files, no clock."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from typing import Any, Union

from quality.formulas import Formula, Unreckonable, Within

Scalar = Union[str, int, float, bool, Decimal]
Number = Union[int, float, Decimal]


class Word(str, Enum):
    """An enum whose members print as their value."""

    def __str__(self) -> str:
        return str(self.value)


class Severity(Word):
    """How grave a failed rule is; `error` fails the batch."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class OnFail(Word):
    """What failing does to the data."""

    QUARANTINE = "quarantine"
    HOLD = "hold"
    KEEP = "keep"


class Nulls(Word):
    """What a NULL in a column the rule names means for the row."""

    PASS = "pass"
    FAIL = "fail"
    SKIP = "skip"


class RuleStatus(Word):
    """The verdict on a rule. `error` means it could not be told, and never counts as passed."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    NOT_APPLICABLE = "not_applicable"


class BatchStatus(Word):
    """The verdict on a batch."""

    PASSED = "passed"
    WARNING = "warning"
    FAILED = "failed"
    ERROR = "error"


class Decision(Word):
    """Whether readers get the batch. `none`: the run ended before there was anything to decide."""

    PUBLISHED = "published"
    HELD = "held"
    NONE = "none"


@dataclass(frozen=True)
class Location:
    """A place in a rule file."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


def number_text(value: Scalar) -> str:
    """A number as people write it: no trailing zeros, no float noise beyond 6 significant decimals."""
    if isinstance(value, (bool, str)):
        return str(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            return {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, "NaN")
        if value.is_integer() and abs(value) < 1e15:
            return f"{int(value):,}"
        return f"{value:.6g}"
    return f"{value:,}"


#: The comparison words, with the sign each is printed as. `between` is at_least and at_most together.
COMPARISONS: Mapping[str, str] = {
    "at_least": ">=",
    "above": ">",
    "at_most": "<=",
    "below": "<",
    "equals": "=",
    "not_equals": "!=",
}


@dataclass(frozen=True)
class Bounds:
    """What a metric must satisfy: (word, value) pairs of `COMPARISONS` that must all hold. NaN satisfies none. `past` are
    terms that come from earlier batches: what they are worth is known when the history was read. `recorded`: there are none,
    for the metric is measured and not judged."""

    terms: tuple[tuple[str, Scalar], ...] = ()
    past: tuple[tuple[str, Union[Formula, Within]], ...] = ()
    recorded: bool = False

    @property
    def batches(self) -> int:
        """How many earlier batches are asked for."""
        return max((asked.batches for _, asked in self.past), default=0)

    def resolved(self, past: Sequence[float | None]) -> Bounds:
        """The bounds in numbers, by the values of earlier batches, newest first. Raises Unreckonable where there is no
        number, or no value between two of them."""
        terms = [*self.terms]
        for word, asked in self.past:
            if isinstance(asked, Within):
                terms += zip(("at_least", "at_most"), asked.range(past), strict=True)
            else:
                terms.append((word, asked.value(past)))
        found = dict(terms)
        low, high = found.get("at_least", found.get("above")), found.get("at_most", found.get("below"))
        if isinstance(low, (int, float, Decimal)) and isinstance(high, (int, float, Decimal)) and low > high:
            raise Unreckonable(
                f"no value lies between {number_text(low)} and {number_text(high)} ({self}); "
                f"'within: 10% of ...' has its ends in order for negative numbers too"
            )
        return Bounds(tuple((word, found[word]) for word in COMPARISONS if word in found))

    def accepts(self, value: Any) -> bool:
        """Whether all terms hold; those of the past must be resolved. Numbers are compared exactly (an integer or decimal is never rounded to a double)."""
        if isinstance(value, (float, Decimal)) and value != value:
            return False
        return all(self._holds(word, value, bound) for word, bound in self.terms)

    @staticmethod
    def _holds(word: str, value: Any, bound: Any) -> bool:
        if isinstance(bound, float) and isinstance(value, Decimal):
            # 0.1 in a rule file means the decimal 0.1, not its nearest double
            bound = Decimal(repr(bound))
        if word == "at_least":
            return bool(value >= bound)
        if word == "above":
            return bool(value > bound)
        if word == "at_most":
            return bool(value <= bound)
        if word == "below":
            return bool(value < bound)
        return bool((value == bound) == (word == "equals"))

    def __str__(self) -> str:
        words = {
            **{word: number_text(value) for word, value in self.terms},
            **{w: str(asked) for w, asked in self.past},
        }
        if self.recorded:
            return "recorded"
        if len(words) == 2 and {"at_least", "at_most"} == set(words):
            return f"between {words['at_least']} and {words['at_most']}"
        return " and ".join(f"{COMPARISONS.get(word, word)} {text}" for word, text in words.items())


@dataclass(frozen=True)
class Tolerance:
    """How many rows in scope may fail before the rule fails: the larger of a ratio of the scope and a number of rows."""

    ratio: float = 0.0
    rows: int = 0

    def allows(self, failed: int, scope: int) -> bool:
        """Whether `failed` of `scope` rows are within the allowance (both ends included)."""
        return failed <= max(Decimal(repr(self.ratio)) * scope, Decimal(self.rows))

    def __bool__(self) -> bool:
        return self.ratio > 0 or self.rows > 0

    def __str__(self) -> str:
        parts = []
        if self.ratio or not self.rows:
            parts.append(f"{self.ratio * 100:.6g}%")
        if self.rows:
            parts.append(f"{self.rows:,} rows")
        return " or ".join(parts)


@dataclass(frozen=True)
class Column:
    """A column of a batch: its name as it is, and its Spark SQL type as text (`int`, `decimal(10,2)`, `struct<...>`)."""

    name: str
    type: str


@dataclass(frozen=True)
class MetricKey:
    """What identifies a metric: entity (Dataset, Column, Multicolumn), name, instance; filter and parameters set variants apart.
    `segment` is the group of rows it is of, by column; none for all rows."""

    entity: str
    name: str
    instance: str
    filter: str = ""
    parameters: tuple[tuple[str, str], ...] = ()
    segment: tuple[tuple[str, str | None], ...] = ()


@dataclass(frozen=True)
class Sketch:
    """A summary that merges with others of its format and version, as bytes."""

    format: str
    version: int
    content: bytes


@dataclass(frozen=True)
class Metric:
    """A measured value. `value` is None when there was nothing to measure; `exact` is the value's exact text
    (decimals, integers above 2^53, NaN, dates); a ratio carries its numerator and denominator; `detail` says what the value
    means in words, for messages."""

    key: MetricKey
    value: Any
    exact: str = ""
    numerator: int | None = None
    denominator: int | None = None
    sketch: Sketch | None = field(default=None, compare=False, repr=False)
    detail: str = field(default="", compare=False)

    @property
    def number(self) -> float | None:
        """The value as a finite double, or None (NULL, NaN, infinite, not a number)."""
        if self.value is None or isinstance(self.value, (str, bool)):
            return None
        try:
            number = float(self.value)
        except (TypeError, ValueError, OverflowError):
            return None
        return number if math.isfinite(number) else None

    @property
    def text(self) -> str:
        """The value's exact text, empty when there is none."""
        if self.exact or self.value is None:
            return self.exact
        if isinstance(self.value, float) and not math.isfinite(self.value):
            return number_text(self.value)
        return repr(self.value) if isinstance(self.value, float) else str(self.value)


@dataclass(frozen=True)
class RuleResult:
    """The verdict on one rule, with what it rests on."""

    id: str
    name: str
    type: str
    column: str
    severity: Severity
    on_fail: OnFail
    status: RuleStatus
    metric: Metric | None
    expected: str
    rows_in_scope: int | None
    failed_rows: int | None
    message: str
    location: str
    filter: str = ""
    groups: tuple[Mapping[str, Any], ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    #: What most failing rows have in common.
    slice: Mapping[str, Any] | None = None
    #: Of a rule that is judged per group: the columns, how many groups there are and how each ended, and their metrics.
    group_by: tuple[str, ...] = ()
    group_counts: Mapping[str, int] = field(default_factory=dict)
    segments: tuple[Metric, ...] = field(default=(), repr=False)
    #: Of a rule that is composed of others: their verdicts, in order.
    parts: tuple[RuleResult, ...] = ()
    #: What rows of another data set are not those of the batch.
    match: Mapping[str, Any] | None = None

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The metrics of all rows that it rests on."""
        found = (self.metric, *(part.metric for part in self.parts))
        return tuple(metric for metric in found if metric)

    def to_dict(self) -> dict[str, Any]:
        """The rule's entry in the result JSON."""
        metric = self.metric
        return {
            "id": self.id,
            "name": self.name,
            "type": self.type,
            "column": self.column,
            "severity": str(self.severity),
            "on_fail": str(self.on_fail),
            "status": str(self.status),
            "metric": None
            if metric is None
            else {
                "name": metric.key.name,
                "instance": metric.key.instance,
                "value": metric.number,
                "value_text": metric.text,
            },
            "expected": self.expected,
            "rows_in_scope": self.rows_in_scope,
            "failed_rows": self.failed_rows,
            "groups": [dict(group) for group in self.groups],
            "message": self.message,
            "location": self.location,
            **({"metadata": dict(self.metadata)} if self.metadata else {}),
            **({"slice": dict(self.slice)} if self.slice else {}),
            **({"group_by": [*self.group_by], "group_counts": dict(self.group_counts)} if self.group_by else {}),
            **({"parts": [part.part_dict() for part in self.parts]} if self.parts else {}),
            **({"match": dict(self.match)} if self.match else {}),
        }

    def part_dict(self) -> dict[str, Any]:
        """As a part of another rule's entry."""
        entry = self.to_dict()
        return {word: entry[word] for word in ("type", "column", "status", "metric", "expected", "message")}


@dataclass(frozen=True)
class RowCounts:
    """Rows of a batch by where they went. A held batch counts what would have passed."""

    input: int = 0
    passed: int = 0
    quarantined: int = 0
    flagged: int = 0

    def to_dict(self) -> dict[str, int]:
        """As the result JSON has it."""
        return {"input": self.input, "passed": self.passed, "quarantined": self.quarantined, "flagged": self.flagged}


def gravest_exit(codes: Iterable[int]) -> int:
    """The exit code of several batches: the gravest, in the order 0 1 4 3 2."""
    return max(codes, key=[0, 1, 4, 3, 2].index, default=0)
