"""Judges a batch by those before it, and says what is odd about it in words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Any

import numpy as np

from quality.anomaly import table
from quality.anomaly.calendar import HOLIDAY, INCIDENT, Calendar
from quality.anomaly.explain import explained
from quality.anomaly.holt_winters import HoltWinters
from quality.anomaly.strategies import STRATEGIES as NORMAL_STRATEGIES
from quality.anomaly.strategies import Strategy
from quality.anomaly.table import FIRST, Bools, Ints
from quality.anomaly.values import Anomaly, Batch, Series
from quality.anomaly.walk import Walk
from quality.errors import did_you_mean

#: Deequ's strategies by name.
STRATEGIES: Mapping[str, Callable[..., Strategy]] = {**NORMAL_STRATEGIES, "HoltWinters": HoltWinters}
#: Batches looked back at: older ones say little, and take time to walk through.
MOST = 200


@dataclass(frozen=True)
class Options:
    """`alpha`: the share of good batches that may be flagged, whatever the number of metrics. `metrics`: names, or names with
    a column (`Mean(price)`); none is all. `season`: what repeats; auto goes by how often batches come."""

    alpha: float = 0.01
    metrics: tuple[str, ...] = ()
    season: str = "auto"


_USUAL, _NO_DAYS = Options(), Calendar()


@dataclass(frozen=True)
class Judgement:
    """What was found. Not `judged`: there is not enough history to tell, and `message` says so. `score` is -log10 of the
    chance of such a batch, `threshold` what one good batch in 1/alpha exceeds. `unknown`: metrics asked for that no batch
    has, in words."""

    judged: bool
    batches: int
    message: str
    score: float | None = None
    threshold: float | None = None
    anomalies: tuple[Anomaly, ...] = ()
    unknown: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "judged": self.judged,
            "batches": self.batches,
            "message": self.message,
            "score": self.score,
            "threshold": self.threshold,
            "anomalies": [anomaly.to_dict() for anomaly in self.anomalies],
        }


@dataclass(frozen=True)
class Accepted:
    """A person's word that a batch is the new normal: for these metrics, or for all that moved."""

    batch: str
    metrics: tuple[str, ...] = ()


def chosen(series: Series, metrics: Sequence[str]) -> bool:
    """Whether a list of names means this metric: by name, by name and column, or as it is printed."""
    wanted = (series.name, f"{series.name}({series.instance})", str(series))
    return not metrics or any(name in wanted for name in metrics)


def before(history: Iterable[Batch], tested: Batch) -> list[Batch]:
    """What a batch is judged by: earlier ones, in order, each once; never itself, however late it comes."""
    ordered = table.in_order(history)
    return [batch for batch in ordered if batch.id != tested.id and batch.time < tested.time][-MOST:]


def judge(
    history: Iterable[Batch],
    tested: Batch,
    options: Options = _USUAL,
    calendar: Calendar = _NO_DAYS,
    accepted: Iterable[Accepted] = (),
) -> Judgement:
    """The judgement on `tested`. History may be in any order, with gaps, and with batches later than the tested one."""
    past = before(history, tested)
    if len(past) < FIRST:
        found = f"{len(past)} earlier {'batch' if len(past) == 1 else 'batches'}"
        return Judgement(False, len(past), f"not judged: {found}, {FIRST} are needed to tell what is usual")
    batches = [*past, tested]
    names = {one for batch in batches for one in batch.points if chosen(one, options.metrics)}
    unknown = unknown_metrics(batches, options.metrics)
    if not names:
        return Judgement(False, len(past), f"not judged: {unknown}", unknown=unknown)
    columns = table.columns_of(names, batches)
    values = np.where(_touched(columns.series, batches, calendar), np.nan, table.matrix(columns, batches))
    rows = np.array([batch.rows for batch in batches], float)
    walk = Walk(
        columns,
        values,
        rows,
        season=phases(batches, options.season),
        special=np.array([bool(calendar.on(batch.time, HOLIDAY)) for batch in batches]),
        left_out=_left_out(batches, calendar),
        accepted=_accepted(columns.series, batches, calendar, accepted),
        alpha=options.alpha,
    )
    if walk.usable < FIRST:
        return Judgement(False, walk.usable, f"not judged: {walk.usable} batches without incidents, {FIRST} are needed")
    walk.to(len(past))
    scores = walk.score(values[-1:], rows[-1:])
    anomalies = tuple(explained(walk, scores, batches)) if scores.over[0] > 0 else ()
    are = "is" if len(anomalies) == 1 else "are"
    told = f"{len(anomalies)} of {len(columns)} metrics {are} unusual" if anomalies else "nothing unusual"
    return Judgement(True, len(past), told, float(scores.batch[0]), float(walk.threshold), anomalies, unknown)


def unknown_metrics(batches: Iterable[Batch], metrics: Sequence[str]) -> str:
    """The first of these names that no batch has a metric of, in words; empty when there is none."""
    known = {series for batch in batches for series in batch.points}
    for name in metrics:
        if not any(chosen(series, (name,)) for series in known):
            words = sorted({text for series in known for text in (series.name, str(series))})
            return f"no batch has a metric '{name}'; {did_you_mean(name, words, 'metrics')}"
    return ""


def phases(batches: Sequence[Batch], season: str) -> Ints | None:
    """Where in its season each batch stands: the hour of the day, the day of the week."""
    if season == "auto" and len(batches) > 1:
        gaps = sorted(later.time - earlier.time for earlier, later in pairwise(batches))
        usual = gaps[len(gaps) // 2]
        season = "daily" if usual < timedelta(hours=20) else "weekly" if usual < timedelta(days=4) else "none"
    if season == "daily":
        return np.array([batch.time.hour for batch in batches], np.intp)
    if season == "weekly":
        return np.array([batch.time.weekday() for batch in batches], np.intp)
    return None


def _left_out(batches: Sequence[Batch], calendar: Calendar) -> Bools:
    found = [any(not event.metrics for event in calendar.on(batch.time, INCIDENT)) for batch in batches]
    return np.array([*found[:-1], False])


def _touched(series: Sequence[Series], batches: Sequence[Batch], calendar: Calendar) -> Bools:
    """Which metrics of earlier batches an incident touched that names its metrics: those are as if not measured."""
    found = np.zeros((len(batches), len(series)), bool)
    for row, batch in enumerate(batches[:-1]):
        for event in calendar.on(batch.time, INCIDENT):
            if event.metrics:
                found[row] |= np.array([chosen(one, event.metrics) for one in series], bool)
    return found


def _accepted(
    series: Sequence[Series], batches: Sequence[Batch], calendar: Calendar, accepted: Iterable[Accepted]
) -> Bools:
    """Which metrics of which batch are a new normal, by a person's word or by a release."""
    words: Mapping[str, list[tuple[str, ...]]] = {batch.id: [] for batch in batches}
    for one in accepted:
        if one.batch in words:
            words[one.batch].append(one.metrics)
    for batch, events in zip(batches, calendar.released(batch.time for batch in batches), strict=True):
        words[batch.id].extend(event.metrics for event in events)
    found = np.zeros((len(batches), len(series)), bool)
    for row, batch in enumerate(batches):
        for metrics in words[batch.id]:
            found[row] |= np.array([chosen(one, metrics) for one in series], bool)
    return found


def strategy_of(name: str, arguments: Mapping[str, Any]) -> Strategy:
    """One of Deequ's strategies. ValueError or TypeError for arguments it does not take."""
    return STRATEGIES[name](**arguments)


def judge_by(
    name: str, arguments: Mapping[str, Any], history: Iterable[Batch], tested: Batch, options: Options = _USUAL
) -> Judgement:
    """The judgement of one of Deequ's strategies, metric by metric, as Deequ's anomaly checks give it: the history of each
    in the order of time, missing values left out. What a strategy refuses (too short a history) is not judged."""
    past, strategy = before(history, tested), strategy_of(name, arguments)
    found, refused = [], ""
    for series in sorted(one for one in tested.points if chosen(one, options.metrics)):
        value = tested.points[series].value
        values = [point.value for batch in past if (point := batch.points.get(series)) and point.value is not None]
        if value is None or not values:
            continue
        try:
            odd = strategy.detect([*values, value], len(values), len(values) + 1)
        except ValueError as error:
            refused = str(error)
            continue
        if odd:
            message = f"{series} is {value:.6g}, which {name} takes for an anomaly after {len(values)} values"
            found.append(Anomaly(series, value, None, None, 1.0, tested.id, message))
    if refused and not found:
        return Judgement(False, len(past), f"not judged: {refused}")
    if not past:
        return Judgement(False, 0, "not judged: there are no earlier batches")
    are = "metric is" if len(found) == 1 else "metrics are"
    told = f"{len(found)} {are} unusual by {name}" if found else "nothing unusual"
    unknown = unknown_metrics([*past, tested], options.metrics)
    return Judgement(True, len(past), told, anomalies=tuple(found), unknown=unknown)
