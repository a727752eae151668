"""What goes into a detector and what comes out: values without behaviour of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, order=True)
class Series:
    """One metric through time: what its name, column, filter, segment and parameters tell apart."""

    name: str
    instance: str = "*"
    filter: str = ""
    segment: tuple[tuple[str, str], ...] = ()
    parameters: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        inside = [self.instance, *(f"{name}={value}" for name, value in self.parameters if name != "where")]
        inside += [f"where {self.filter}"] if self.filter else []
        inside += [f"{name}={value}" for name, value in self.segment]
        return f"{self.name}({', '.join(inside)})"


@dataclass(frozen=True)
class Point:
    """A measured value; a ratio has its numerator and denominator. None: there was nothing to measure."""

    value: float | None
    numerator: int | None = None
    denominator: int | None = None


@dataclass(frozen=True)
class Batch:
    """The metrics of a batch. Batches are ordered by `time`; of those with one `id` the last one given counts."""

    id: str
    time: datetime
    rows: int
    points: Mapping[Series, Point] = field(default_factory=dict)
    #: The content of the metrics' sketches: formats top, bins, nulls and rows.
    sketches: Mapping[Series, bytes] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Anomaly:
    """A metric that is not what its past makes likely.

    `score` is -log10 of the chance of a value so far out in a good batch (3: one batch in a thousand); `since` the id of
    the first batch, without a break up to this one, that was as unusual.
    """

    series: Series
    value: float | None
    expected_low: float | None
    expected_high: float | None
    score: float
    since: str
    message: str

    def to_dict(self) -> dict[str, Any]:
        """As the result JSON has it."""
        return {
            "metric": self.series.name,
            "instance": self.series.instance,
            "segment": dict(self.series.segment) or None,
            "value": self.value,
            "expected_low": self.expected_low,
            "expected_high": self.expected_high,
            "score": round(self.score, 3),
            "since": self.since,
            "message": self.message,
        }
