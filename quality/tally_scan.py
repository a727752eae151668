"""What is measured of a batch by the tally: rule bits, profile, and the metrics it can tell, in one aggregate.

It rides in the shared scan beside what only Spark's or Deequ's own aggregates can measure, or beside the write of the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pyspark.sql import functions as F
from pyspark.sql.column import Column as SparkColumn

from quality.analyzers import INTEGRAL, base_type
from quality.backends.deequ import Deequ
from quality.backends.reading import Batch
from quality.backends.tally import COUNTED, MEASURED, PROFILED, WORD, Tally
from quality.checks import MetricCheck
from quality.model import Metric
from quality.planner import WORD_BITS, Plan
from quality.profiles import profile
from quality.rule_types.base import MALFORMED, RESERVED_PREFIX
from quality.scan import Scan, Scanned, scoped, words
from quality.sql import quote
from quality.tally import ColumnTally, read

_COLUMN = f"{RESERVED_PREFIX}column_"
_SCOPED = f"{RESERVED_PREFIX}scoped_"


@dataclass(frozen=True)
class _Input:
    """An input of the tally: what for, as SQL, under which name when it has to be computed first, of which type."""

    role: str
    text: str
    name: str
    type: str = ""
    plain: bool = False


class TallyScan(Scan):
    """A scan whose counts, profile and simple metrics are one aggregate."""

    def __init__(self, batch: Batch, plan: Plan, deequ: Deequ | None, tally: Tally, *, verdicts: bool = True) -> None:
        super().__init__(batch, plan, deequ, verdicts=verdicts)
        self.tally = tally
        self.metric_checks = [check for check in self.metric_checks if not check.tallied]
        self.profiled = plan.sketched(batch.columns)
        self.tallied = [check for check in plan.metric_checks if check.tallied]
        self._inputs = [*self._words(), *self._columns(), *self._measured()]

    def tallies(self, check: MetricCheck) -> bool:
        """Whether a metric is a part of the tally of a column."""
        return bool(check.tallied)

    # inputs

    def _words(self) -> list[_Input]:
        named = [*words("s", self.scope_bits), *words("f", list(self.fail_bits.values()))]
        return [_Input(WORD, text, name) for name, text in named]

    def _columns(self) -> list[_Input]:
        columns = enumerate(self.profiled)
        return [_Input(PROFILED, quote(c.name), f"{_COLUMN}{i}", c.type, plain=True) for i, c in columns]

    def _measured(self) -> list[_Input]:
        """Inputs of metrics whose column is not profiled as it stands."""
        inputs: list[_Input] = []
        for check in self.tallied:
            if self._profiled_place(check) is None:
                counted = check.analyzer.source == "counts"
                inputs.append(
                    _Input(
                        COUNTED if counted else MEASURED,
                        scoped(check, check.references[0]),
                        f"{_SCOPED}{len(inputs)}",
                        "" if counted else self.batch.row.type(check.analyzer.columns[0]),
                        plain=check.scope == "true",
                    )
                )
        return inputs

    def _profiled_place(self, check: MetricCheck) -> int | None:
        if check.scope != "true":
            return None
        names = [quote(column.name) for column in self.profiled]
        return names.index(check.references[0]) if check.references[0] in names else None

    # in the shared scan

    def inputs(self) -> list[str]:
        """Each expression once a row."""
        named = [f"{one.text} as {one.name}" for one in self._inputs]
        return [*named, *self.aggregated_inputs(), *([MALFORMED] if self.plan.text else [])]

    def measures(self) -> list[SparkColumn]:
        """The tally, the lines that could not be read, and what is aggregated beside them."""
        malformed = F.expr(f"count_if({MALFORMED})") if self.plan.text else F.lit(0)
        columns = [self.tally.column([(one.role, one.name) for one in self._inputs]), malformed]
        for index, check in enumerate(self.metric_checks):
            columns += self._aggregates(index, check)
        return [column.alias(f"a{place}") for place, column in enumerate(columns)]

    def read(self, row: Any) -> Scanned:
        """What the row of the aggregates says."""
        tallied, start = self.read_tally(bytes(row.get(0))), 2
        metrics = dict(tallied.metrics)
        for index, check in enumerate(self.metric_checks):
            metrics[check.rule.id] = self._read(check, row, start)
            start += len(self._aggregates(index, check))
        return replace(tallied, malformed=int(row.get(1) or 0), metrics=metrics)

    # beside a write

    def computed(self) -> list[str]:
        """What has to be computed of each row before `beside` can look at it."""
        return [f"{one.text} as {one.name}" for one in self._inputs if not one.plain]

    def beside(self) -> SparkColumn:
        """The tally over the columns as they stand and `computed`. There must be nothing to aggregate beside it."""
        assert not self.metric_checks
        return self.tally.column([(one.role, one.text if one.plain else one.name) for one in self._inputs])

    # bytes

    def read_tally(self, content: bytes) -> Scanned:
        """What the bytes of the tally say."""
        types = [one.type for one in self._inputs if one.role != WORD]
        found = read(content, "".join(one.role for one in self._inputs), types)
        split = (len(self.scope_bits) + WORD_BITS - 1) // WORD_BITS
        scopes = dict(zip(self.scope_bits, _flat(found.bits[:split]), strict=False)) | {"true": found.rows}
        failed = dict(zip(self.fail_bits, _flat(found.bits[split:]), strict=False))
        metrics, place = {}, len(self.profiled)
        for check in self.tallied:
            known = self._profiled_place(check)
            column = found.columns[place if known is None else known]
            place += known is None
            if check.analyzer.source == "counts":
                failed[check.rule.id] = scopes[check.scope] - column.present
            else:
                metrics[check.rule.id] = Metric(check.analyzer.key, _part(check, column))
        made = profile(found, self.profiled, sensitive=self.plan.rule_set.sensitive) if self.profiled else None
        return Scanned(found.rows, 0, scopes, failed, metrics, profile=made)


def _flat(found: Sequence[Sequence[int]]) -> list[int]:
    return [count for word in found for count in word[:WORD_BITS]]


def _part(check: MetricCheck, tally: ColumnTally) -> Any:
    """A metric out of a column's tally; of whole numbers the extremes are whole too."""
    if not tally.present:
        return None
    value = getattr(tally.numbers or tally.texts, check.tallied)
    whole = check.analyzer.name in ("Minimum", "Maximum") and base_type(tally.type) in INTEGRAL
    return int(value) if whole and value is not None else value
