"""The one aggregate of a batch: rules as bits of mask words that are summed per bit, metrics beside them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.column import Column as SparkColumn

from quality.analyzers import Analyzer, base_type
from quality.backends.deequ import Deequ
from quality.backends.reading import Batch
from quality.checks import MetricCheck
from quality.model import Metric
from quality.planner import WORD_BITS, Plan
from quality.profiles import Profile
from quality.rule_types.base import MALFORMED, RESERVED_PREFIX

_WORD = f"{RESERVED_PREFIX}word_"
_INPUT = f"{RESERVED_PREFIX}input_"


@dataclass(frozen=True)
class Scanned:
    """What a pass measured: `scopes` by their SQL, `failed` and `metrics` by rule id, `errors` of rules that broke it."""

    rows: int
    malformed: int
    scopes: Mapping[str, int]
    failed: Mapping[str, int]
    metrics: Mapping[str, Metric]
    errors: Mapping[str, str] = field(default_factory=dict)
    profile: Profile | None = None

    def merged(self, other: Scanned) -> Scanned:
        """Both together; `rows` and `malformed` are those of the first."""
        return Scanned(
            self.rows,
            self.malformed,
            {**self.scopes, **other.scopes},
            {**self.failed, **other.failed},
            {**self.metrics, **other.metrics},
            {**self.errors, **other.errors},
            self.profile or other.profile,
        )


class Scan:
    """What is measured of every row of a batch, as aggregates that ride in one pass. Without `verdicts` the failing rows
    of row rules are not counted: another way to count them is cheaper."""

    def __init__(self, batch: Batch, plan: Plan, deequ: Deequ | None, *, verdicts: bool = True) -> None:
        self.batch, self.plan, self.deequ = batch, plan, deequ
        scopes = [*(c.scope for c in plan.row_checks), *(c.scope for c in plan.metric_checks)]
        # every row is in the scope "true": the number of rows says it
        self.scope_bits = [scope for scope in dict.fromkeys(scopes) if scope != "true"]
        self.fail_bits = {c.rule.id: c.fails for c in plan.row_checks} if verdicts else {}
        counted = [
            check for check in plan.metric_checks if check.analyzer.source == "counts" and not self.tallies(check)
        ]
        self.fail_bits |= {c.rule.id: f"({c.scope}) and {c.references[0]} is null" for c in counted}
        self.metric_checks = [c for c in plan.metric_checks if c.analyzer.source == "scan" and c.analyzer.columns]

    def tallies(self, _check: MetricCheck) -> bool:
        """Whether a metric is a part of the tally of a column."""
        return False

    def run(self) -> Scanned:
        """Make the pass. Raises what Spark raises."""
        return self.read(self.projection().agg(*self.measures())._jdf.collectAsList().get(0))

    def projection(self) -> DataFrame:
        """The batch, with nothing left but what is measured."""
        return self.batch.frame.selectExpr(*(self.inputs() or ["1 as one"]))

    def inputs(self) -> list[str]:
        """Each expression once a row: the words of the masks, and the inputs of metrics, NULL outside their scope."""
        selected = [f"{word} as {name}" for name, word in words("s", self.scope_bits)]
        selected += [f"{word} as {name}" for name, word in words("f", list(self.fail_bits.values()))]
        selected += self.aggregated_inputs()
        return [*selected, MALFORMED] if self.plan.text else selected

    def aggregated_inputs(self) -> list[str]:
        """The inputs of metrics that have aggregates of their own."""
        return [
            f"{scoped(check, reference)} as {_INPUT}{index}_{part}"
            for index, check in enumerate(self.metric_checks)
            for part, reference in enumerate(check.references)
        ]

    def measures(self) -> list[SparkColumn]:
        """The aggregates over `inputs`, named by their place."""
        columns: list[SparkColumn] = [
            F.count(F.lit(1)),
            F.expr(f"count_if({MALFORMED})") if self.plan.text else F.lit(0),
        ]
        columns += _bit_sums("s", len(self.scope_bits)) + _bit_sums("f", len(self.fail_bits))
        for index, check in enumerate(self.metric_checks):
            columns += self._aggregates(index, check)
        return [column.alias(f"a{place}") for place, column in enumerate(columns)]

    def read(self, row: Any) -> Scanned:
        """What the row of the aggregates says; a row of the JVM, so that Deequ reads its own part of it."""
        bits = len(self.scope_bits) + len(self.fail_bits)
        rows, malformed, *sums = (int(row.get(place) or 0) for place in range(2 + bits))
        scopes = dict(zip(self.scope_bits, sums, strict=False))
        failed = dict(zip(self.fail_bits, sums[len(self.scope_bits) :], strict=False))
        metrics, start = {}, 2 + bits
        for index, check in enumerate(self.metric_checks):
            metrics[check.rule.id] = self._read(check, row, start)
            start += len(self._aggregates(index, check))
        return Scanned(rows, malformed, {**scopes, "true": rows}, failed, metrics)

    def _aggregates(self, index: int, check: MetricCheck) -> list[SparkColumn]:
        inputs = self.input_names(index, check)
        if self.by_deequ(check) and self.deequ:
            return self.deequ.aggregations(self.deequ.analyzer(check.analyzer, inputs))
        return [F.expr(aggregate_of(check.analyzer, self.batch.row.type(check.analyzer.columns[0]), inputs))]

    @staticmethod
    def input_names(index: int, check: MetricCheck) -> list[str]:
        """The columns of `inputs` that are those of a metric."""
        return [f"{_INPUT}{index}_{part}" for part in range(len(check.references))]

    def by_deequ(self, check: MetricCheck) -> bool:
        """Whether Deequ's own aggregate measures it."""
        return self.deequ is not None and bool(check.analyzer.deequ) and not check.analyzer.state

    def _read(self, check: MetricCheck, row: Any, start: int) -> Metric:
        analyzer = check.analyzer
        if self.by_deequ(check) and self.deequ:
            value = self.deequ.value(self.deequ.from_row(self.deequ.real(analyzer), row, start))
            return analyzer.metric(value)
        return metric_of(analyzer, self.batch.row.type(analyzer.columns[0]), row.get(start))


def aggregate_of(analyzer: Analyzer, kind: str, inputs: Sequence[str]) -> str:
    """SQL of the native aggregate over columns of this type, as a value that comes over."""
    cast = analyzer.native_type(kind)
    text = analyzer.sql(*(f"cast({name} as {cast})" if cast else name for name in inputs))
    return _readable(text, kind, analyzer)


def metric_of(analyzer: Analyzer, kind: str, found: Any) -> Metric:
    """The metric of what `aggregate_of` gave."""
    value = _python_value(found, kind, analyzer)
    if isinstance(value, datetime):
        return Metric(analyzer.key, value, exact=value.isoformat(sep=" "))
    return analyzer.metric(value)


def scoped(check: MetricCheck, reference: str) -> str:
    """SQL of what a metric looks at: NULL outside its scope."""
    return reference if check.scope == "true" else f"if({check.scope}, {reference}, null)"


def words(prefix: str, conditions: Sequence[str]) -> Iterable[tuple[str, str]]:
    """Conditions packed into bigints, WORD_BITS to a word."""
    prefix = _WORD + prefix
    for start in range(0, len(conditions), WORD_BITS):
        bits = [f"if({c}, {1 << i}L, 0L)" for i, c in enumerate(conditions[start : start + WORD_BITS])]
        yield f"{prefix}{start // WORD_BITS}", " | ".join(bits)


def _bit_sums(prefix: str, count: int) -> list[SparkColumn]:
    return [F.expr(f"sum(shiftright({_WORD}{prefix}{i // WORD_BITS}, {i % WORD_BITS}) & 1)") for i in range(count)]


def _readable(text: str, kind: str, analyzer: Analyzer) -> str:
    """Dates and times come over as text and microseconds: py4j would give Java objects."""
    if analyzer.name not in ("Minimum", "Maximum"):
        return text
    return {
        "timestamp": f"unix_micros({text})",
        "date": f"cast({text} as string)",
        "timestamp_ntz": f"cast({text} as string)",
    }.get(base_type(kind), text)


def _python_value(value: Any, kind: str, analyzer: Analyzer) -> Any:
    if value is None or analyzer.name not in ("Minimum", "Maximum"):
        return value
    try:
        if base_type(kind) == "timestamp":
            return datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(microseconds=value)
        if base_type(kind) == "date":
            return date.fromisoformat(value)
        return datetime.fromisoformat(value) if base_type(kind) == "timestamp_ntz" else value
    except (ValueError, OverflowError):
        # a year Python has no date for: kept as text, which is held against no bound
        return str(value)
