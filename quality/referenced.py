"""Metrics of a batch that need no rows: from the sketches of the profile, most of them by what earlier batches held.

How evenly values occur (entropy, the share that occurs once) and the share of the most frequent shape are told by the batch
itself. The share of values, of shapes of texts, and of sets of NULL columns that no earlier batch had; the share of numbers beyond
those of all earlier ones, and of new ones between them; the distance of a column from the last batches together; the share of
rows with values of two columns that were never seen together, though each was there, in the sampled rows. No Spark: sketches
merge in memory.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from math import log

from quality import row_samples
from quality.anomaly import drift
from quality.anomaly.pairs import Pairs, Rows
from quality.anomaly.values import Batch, Point, Series
from quality.profiles import read_bins, read_counts

#: Batches that drift is measured against.
WINDOW = 28
#: A column that took more values than this in those batches is an identifier rather than a category.
MOST_VALUES = 2000
_NEW = {"Histogram": "NewValueRatio", "Shapes": "NewPatternRatio", "NullPatterns": "UnseenNullPatternRatio"}
_ROWS = Series("RowSample")
_Counts = dict[Hashable, float]
_Read = tuple[Series, Rows | tuple[_Counts, bool]]


def with_references(batches: Sequence[Batch]) -> list[Batch]:
    """The batches, in their order, each with the metrics that those before it make possible. One without sketches stays as
    it is; what a sketch does not hold in full (more than a thousand values) has no share of new ones."""
    earlier = Earlier()
    found = []
    for batch in batches:
        points = earlier.of(batch)
        earlier.learn(batch)
        found.append(replace(batch, points={**batch.points, **points}) if points else batch)
    return found


class Earlier:
    """What the batches before one held."""

    def __init__(self) -> None:
        self._seen: dict[Series, _Seen] = {}
        self._pairs = Pairs()
        self._last: tuple[Batch | None, list[_Read]] = (None, [])

    def _read(self, batch: Batch) -> list[_Read]:
        """Its sketches, read once for both that ask for them."""
        if self._last[0] is not batch:
            read = ((series, _content(series, content)) for series, content in batch.sketches.items())
            self._last = batch, [(series, one) for series, one in read if one is not None]
        return self._last[1]

    def of(self, batch: Batch) -> dict[Series, Point]:
        """The metrics that these batches make possible."""
        points: dict[Series, Point] = {}
        for series, read in self._read(batch):
            if isinstance(read, Rows):
                found = self._pairs.of(read)
                points |= {Series("UnseenPairRatio", f"{a},{b}"): Point(value) for (a, b), value in found.items()}
            else:
                points |= self._seen.get(series, _Seen()).of(series, *read)
        return points | _in_range(points)

    def learn(self, batch: Batch) -> None:
        """The batch is one of them from now on."""
        for series, read in self._read(batch):
            if isinstance(read, Rows):
                self._pairs.learn(read)
            else:
                self._seen.setdefault(series, _Seen()).learn(series, *read)


def _in_range(points: Mapping[Series, Point]) -> dict[Series, Point]:
    """Of numbers: the share that no earlier batch had though they lie between those that were there. One beyond them is always
    new, and comes with any warmer day: that says little of the values in between."""
    found = {}
    for series, point in points.items():
        beyond = points.get(replace(series, name="OutOfRangeRatio")) if series.name == "NewValueRatio" else None
        if beyond and beyond.value is not None and point.value is not None:
            found[replace(series, name="NewInRangeRatio")] = Point(max(point.value - beyond.value, 0.0))
    return found


class _Seen:
    """What earlier batches held of a column."""

    def __init__(self) -> None:
        self._known: set[Hashable] = set()
        self._range = (float("inf"), float("-inf"))
        self._last: list[_Counts] = []
        self._together: _Counts = {}
        self._whole, self._batches = True, 0

    def of(self, series: Series, counts: _Counts, whole: bool) -> dict[Series, Point]:
        """The metrics of a batch."""
        found = self._beside(series, counts) if self._batches and counts else {}
        if whole and counts:
            found |= _of_itself(series, counts)
        if not (whole and self._whole) and series.name in _NEW:
            found = {one: point for one, point in found.items() if one.name != _NEW[series.name]}
        return found

    def _beside(self, series: Series, counts: _Counts) -> dict[Series, Point]:
        def named(name: str, value: float | None, **parameters: str) -> dict[Series, Point]:
            one = Series(name, series.instance, series.filter, series.segment, tuple(sorted(parameters.items())))
            return {} if value is None else {one: Point(value)}

        if series.name == "ApproxQuantiles":
            beyond = drift.out_of_range(counts, *self._range)
            return named("OutOfRangeRatio", beyond) | named("Drift", drift.ks(counts, self._together), measure="ks")
        found = named(_NEW[series.name], drift.unseen(counts, self._known))
        if series.name == "Histogram" and len(self._together) <= MOST_VALUES:
            found |= named("Drift", drift.js(counts, self._together), measure="js")
        return found

    def learn(self, series: Series, counts: _Counts, whole: bool) -> None:
        """The batch is an earlier one from now on."""
        self._whole = self._whole and whole
        self._batches += 1
        if series.name != "ApproxQuantiles":
            self._known.update(counts)
        elif counts:
            numbers = [key for key in counts if isinstance(key, int)]
            self._range = min(self._range[0], *numbers), max(self._range[1], *numbers)
        if series.name in ("Histogram", "ApproxQuantiles"):
            self._add(counts)

    def _add(self, counts: _Counts) -> None:
        self._last.append(counts)
        for key, count in counts.items():
            self._together[key] = self._together.get(key, 0) + count
        if len(self._last) > WINDOW:
            for key, count in self._last.pop(0).items():
                self._together[key] -= count
                if not self._together[key]:
                    del self._together[key]


def _of_itself(series: Series, counts: _Counts) -> dict[Series, Point]:
    """Of values: Entropy in nats and UniqueValueRatio as in Deequ; of shapes: the share of the most frequent one."""

    def named(name: str, value: float) -> dict[Series, Point]:
        return {replace(series, name=name): Point(value)}

    times, total = list(counts.values()), sum(counts.values())
    if series.name == "Shapes":
        return named("TopPatternRatio", max(times) / total)
    if series.name != "Histogram":
        return {}
    entropy = -sum(count / total * log(count / total) for count in times if count)
    return named("Entropy", entropy) | named("UniqueValueRatio", times.count(1) / len(times))


#: The formats of the sketches that are of use here: others may come with a later version.
_FORMATS = {"ApproxQuantiles": "bins", "NullPatterns": "nulls", "Histogram": "top", "Shapes": "top"}


def _content(series: Series, content: bytes) -> Rows | tuple[_Counts, bool] | None:
    return row_samples.read(content) if series == _ROWS else _counts(series, content)


def _counts(series: Series, content: bytes) -> tuple[_Counts, bool] | None:
    """The counts of a sketch, and whether they are all; None for one that is of no use here: bins of dates and moments, which
    are new every day, and kinds that a later version may write."""
    form = _FORMATS.get(series.name)
    if form is None or (form == "bins" and not read_bins(content).relative):
        return None
    (found,) = read_counts([(form, content)])
    return found.counts, found.whole


#: Formats with the version that is known of each.
_READABLE = (("top", 1), ("bins", 1), ("nulls", 1), ("rows", 1))


def readable(sketch: Mapping[str, object] | None) -> bytes | None:
    """The bytes of a sketch of the table of metrics, when they are of a format known here."""
    if not sketch or (sketch["format"], sketch["version"]) not in _READABLE:
        return None
    content = sketch["bytes"]
    return bytes(content) if isinstance(content, bytes | bytearray) else None
