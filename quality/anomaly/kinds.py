"""What a metric is like, told by its name: on which scale it varies evenly, whether it counts rare things, and whether a
change of it means broken data or just other data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from quality.anomaly.values import Point, Series

RATIO, LOG, PLACE, EXTREME, PLAIN = "ratio", "log", "place", "extreme", "plain"

#: What a change of a metric says: the data are broken; they hold what was never there, by itself or together; they are other
#: data. Each is judged by its own past: days differ in what is new or otherwise far more than in what is broken.
FLAW, NEW, TOGETHER, OTHER = range(4)
#: The share of the level of false alarms that is spent on each.
SHARES = (0.35, 0.25, 0.2, 0.2)
#: What the evidence of a metric of the whole table gains (log10 of the weight 3): it has no column to be blamed with.
WHOLE_TABLE = 0.48


@dataclass(frozen=True)
class Kind:
    """`scale`: ratio (share of rows), log (counts, spreads), place (where values lie, in standard deviations of the
    column), extreme (the same, with long tails), plain. `rare`: counts what should hardly occur; `complement`: it is what
    is left to 1 that should. `says`: what a change means. `counts`: the value is rows, made a share of them."""

    scale: str
    rare: bool = False
    complement: bool = False
    says: int = OTHER
    counts: bool = False


_SHARE = Kind(RATIO)
_FLAW = Kind(RATIO, rare=True, says=FLAW)
_NEW = Kind(RATIO, rare=True, says=NEW)
_WHOLE = Kind(RATIO, rare=True, complement=True, says=FLAW)
#: Shares of something that are no shares of rows: no sampling error to be told from the number of rows.
_PLAIN = Kind(PLAIN)
_FLAWS = Kind(RATIO, rare=True, says=FLAW, counts=True)

KINDS: Mapping[str, Kind] = {
    "Size": Kind(LOG, says=FLAW),
    "Completeness": _WHOLE,
    "Compliance": _WHOLE,
    "Uniqueness": _SHARE,
    "Distinctness": _SHARE,
    "UniqueValueRatio": _SHARE,
    "TopValueRatio": _SHARE,
    "TopPatternRatio": _SHARE,
    "DataType": _FLAW,
    "NaNCount": _FLAWS,
    "EmptyCount": _FLAWS,
    "BlankCount": _FLAWS,
    "NegativesCount": Kind(RATIO, rare=True, says=NEW, counts=True),
    "ZerosCount": Kind(RATIO, rare=True, counts=True),
    "DuplicateRatio": _FLAW,
    "NewValueRatio": _NEW,
    "NewPatternRatio": _NEW,
    "OutOfRangeRatio": _NEW,
    "NewInRangeRatio": _NEW,
    "UnseenNullPatternRatio": _FLAW,
    "UnseenPairRatio": Kind(RATIO, rare=True, says=TOGETHER),
    "ApproxCountDistinct": Kind(LOG),
    "CountDistinct": Kind(LOG),
    "PatternCount": Kind(LOG),
    "Histogram": Kind(LOG),
    "Shapes": Kind(LOG),
    "NullPatterns": Kind(LOG),
    "StandardDeviation": Kind(LOG),
    "MinLength": Kind(LOG),
    "MaxLength": Kind(LOG),
    "MeanLength": Kind(LOG),
    "Drift": Kind(LOG),
    "LetterShare": _PLAIN,
    "Mean": Kind(PLACE),
    "ApproxQuantile": Kind(PLACE),
    "Minimum": Kind(EXTREME),
    "Maximum": Kind(EXTREME),
}
#: Metrics of the whole table that are tested alone and count more.
TABLE = ("Size", "DuplicateRatio", "UnseenNullPatternRatio")


def kind_of(series: Series, point: Point | None = None) -> Kind:
    """The kind of a metric; one of an unknown name is a ratio when it has a denominator."""
    known = KINDS.get(series.name)
    if known is None:
        return _SHARE if point and point.denominator else _PLAIN
    return known


def group_of(series: Series) -> str:
    """What a metric is blamed with: its column, in its filter and segment; a metric of the table stands alone."""
    inside = "|".join((series.filter, *(f"{name}={value}" for name, value in series.segment)))
    if series.instance == "*":
        return f"*{series.name}|{inside}"
    return f"{series.instance}|{inside}"


def value_of(kind: Kind, point: Point | None, rows: int) -> float:
    """The number a point stands for; NaN when there is none."""
    if point is None:
        return float("nan")
    if point.numerator is not None and point.denominator and kind.scale == RATIO:
        return point.numerator / point.denominator
    if point.value is None:
        return float("nan")
    if kind.counts:
        return point.value / rows if rows else float("nan")
    return point.value
