"""A profile as one HTML page that needs nothing else: no network, no scripts. Values are escaped by the template engine."""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from math import isfinite
from typing import Any

import numpy as np
from jinja2 import Environment, Template

from quality.model import number_text
from quality.profiles import ColumnProfile, Profile
from quality.report import clean, count, percent
from quality.tally import Bins

#: Bars of a histogram, and the size of its drawing.
BARS, WIDTH, HEIGHT = 24, 264, 60
_TOP, _SHAPES, _PATTERNS = 10, 5, 10


def render(found: Profile, title: str) -> str:
    """The page of a profile; `title` says of what. Values of sensitive columns are not in it."""
    return _template().render(
        title=clean(title, 300),
        rows=found.rows,
        copies=found.duplicate_ratio,
        columns=[_column(column) for column in found.columns],
        patterns=found.null_patterns[:_PATTERNS],
        more_patterns=max(len(found.null_patterns) - _PATTERNS, 0),
        width=WIDTH,
        height=HEIGHT,
        clean=clean,
        count=count,
        percent=percent,
    )


@lru_cache(maxsize=1)
def _template() -> Template:
    # read through importlib, not the file system: the package may be a zip on a cluster
    text = resources.files("quality.report").joinpath("profile.html").read_text(encoding="utf-8")
    return Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(text)


def _column(column: ColumnProfile) -> dict[str, Any]:
    kind = column.type if column.inferred in (column.type, "Text") else f"{column.type} ({column.inferred})"
    texts, present = column.tally.texts, column.tally.present
    # what differs in every row says nothing
    often = column.top[:_TOP] if (column.distinct or 0) < present or column.top_exact else ()
    most = max((n for _, n in often), default=0)
    return {
        "name": column.name,
        "type": kind,
        "hidden": str(column.hiding) if column.hiding else "",
        "rows": column.rows,
        "missing": column.rows - present,
        "facts": _facts(column),
        "histogram": _histogram(column),
        "lengths": _bars(texts.lengths, texts.shortest, texts.longest) if texts and not column.top_exact else None,
        "top": [(text, n, percent(n, present), round(100 * n / most, 1)) for text, n in often],
        "more": max((column.distinct or 0) - len(often), 0),
        "shapes": sorted(texts.shapes.items(), key=lambda pair: (-pair[1], pair[0]))[:_SHAPES] if texts else [],
    }


#: What the table of a column tells, of what `to_dict` has: that leaves out what a sensitive column hides.
_FACTS = {
    "minimum": "smallest", "maximum": "largest", "mean": "mean", "standard_deviation": "standard deviation",
    "skewness": "skewness", "kurtosis": "kurtosis", "zeros": "zeros", "negatives": "negative", "nan": "NaN",
    "min_length": "shortest", "mean_length": "mean length", "max_length": "longest", "empty": "empty", "blank": "blank",
}  # fmt: skip


def _facts(column: ColumnProfile) -> list[tuple[str, str]]:
    words = column.to_dict()
    share = "-" if column.completeness is None else percent(column.tally.present, column.rows)
    distinct = (
        [] if column.distinct is None else [("distinct", f"{'' if column.top_exact else '~'}{column.distinct:,}")]
    )
    found = [(told, words[name]) for name, told in _FACTS.items() if words.get(name) is not None]
    quantiles = [(f"{float(q):.0%} quantile".replace("%", " %"), value) for q, value in words["quantiles"].items()]
    ends = [pair for pair in found if pair[0] in ("smallest", "largest")]
    rest = [pair for pair in found if pair not in ends]
    return [
        ("present", share),
        *distinct,
        *((name, _text(value)) for name, value in [*ends[:1], *quantiles, *ends[1:], *rest]),
    ]


def _text(value: Any) -> str:
    return number_text(value) if isinstance(value, (int, float)) else clean(value, 80)


def _histogram(column: ColumnProfile) -> dict[str, Any] | None:
    """Bars of the values; None for a column without numbers or moments, and for one whose values nobody is to see."""
    numbers, temporal = column.tally.numbers, column.tally.temporal
    if column.hiding:
        return None
    if numbers:
        return _bars(numbers.bins, numbers.smallest, numbers.largest)
    if temporal:
        drawn = _bars(temporal.bins, temporal.smallest, temporal.largest)
        return drawn and {**drawn, **{end: column.moment(drawn[f"{end}_value"]) for end in ("low", "high")}}
    return None


def _bars(bins: Bins, low: float | None, high: float | None) -> dict[str, Any] | None:
    """The bins as bars of even width between the extremes: a bin that spans several is shared out among them."""
    if low is None or high is None or not len(bins.counts) or not isfinite(high - low):
        return None
    heights = _even(bins, float(low), float(high))
    width = WIDTH / len(heights)
    bars = [
        # one row in a million is still seen
        (round(place * width, 2), round(width - 1, 2), round(max(HEIGHT * share, 1.0), 2))
        for place, share in enumerate(heights / heights.max())
        if share > 0
    ]
    ends = {"low_value": low, "high_value": high, "low": number_text(low), "high": number_text(high)}
    return {**ends, "bars": [(x, HEIGHT - tall, wide, tall) for x, wide, tall in bars]}


def _even(bins: Bins, low: float, high: float) -> np.ndarray[Any, Any]:
    if high <= low:
        return np.array([float(bins.counts.sum())])
    starts, ends = (np.clip(side, low, high) for side in bins.edges())
    slots = np.linspace(low, high, BARS + 1)
    heights = np.zeros(BARS)
    for start, end, rows in zip(starts, ends, bins.counts, strict=True):
        if end > start:
            shares = np.clip(np.minimum(slots[1:], end) - np.maximum(slots[:-1], start), 0, None)
            heights += rows * shares / shares.sum()
        else:
            heights[min(int((start - low) / (high - low) * BARS), BARS - 1)] += rows
    return heights
