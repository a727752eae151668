"""How far a column of a batch is from what earlier batches held, or a reference holds, from the sketches of profiles alone. No
Spark.

Numbers are compared in the bins of their sketch, taken together to tenths of the reference where a measure counts bins; texts
and booleans by their values, those rare on both sides taken together.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping

from quality.anomaly import drift
from quality.anomaly.values import Point, Series
from quality.distributions import Drift
from quality.model import Metric
from quality.profiles import ColumnProfile, Profile, metrics_of_column, read_counts

_FORMATS = {"ApproxQuantiles": "bins", "Histogram": "top"}
Counts = Mapping[Hashable, float]


def held(analyzer: Drift, points: Mapping[Series, Point], sketches: Mapping[Series, bytes]) -> Counts:
    """What an earlier batch held of the column, from its metrics; empty when it has no such sketch."""
    (column,) = analyzer.columns
    present = points.get(Series("Completeness", column))
    content = sketches.get(Series(analyzer.sketch, column))
    return _counts(analyzer.sketch, content, present.numerator if present else None)


def measured(analyzer: Drift, reference: Counts, profile: Profile) -> Metric:
    """The distance of the profiled batch from the reference; without a value where either has none."""
    (column,) = (one for one in profile.columns if one.name == analyzer.columns[0])
    counts = counted(analyzer.sketch, column)
    if analyzer.measure != "ks":
        regrouped = drift.tenths if _FORMATS[analyzer.sketch] == "bins" else drift.frequent
        counts, reference = regrouped(counts, reference)
    return Metric(analyzer.key, drift.MEASURES[analyzer.measure](counts, reference))


def counted(sketch: str, column: ColumnProfile) -> Counts:
    """What a profiled column holds, by the metric whose sketch is asked for; empty when it has none."""
    kept = {one.key.name: one.sketch.content for one in metrics_of_column(column) if one.sketch}
    return _counts(sketch, kept.get(sketch), column.tally.present)


def _counts(sketch: str, content: bytes | None, present: int | None) -> Counts:
    """The counts of a sketch; what it leaves out of the values that are there counts as rare."""
    if content is None:
        return {}
    (read,) = read_counts([(_FORMATS[sketch], content)])
    rest = 0 if read.whole or present is None else present - sum(read.counts.values())
    return {**read.counts, drift.RARE: rest} if rest > 0 else read.counts
