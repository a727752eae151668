"""Walks through the batches in their order, judging each by those before it and then learning it.

A batch is never part of what it is judged by. What it finds of the past (deviations, scores) is what the next batch's
chances are calibrated on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from quality.anomaly import combine, rare, recurring, scales, tails
from quality.anomaly.forecast import SEASON_FROM, Forecast
from quality.anomaly.kinds import SHARES, group_of
from quality.anomaly.neighbours import Neighbours
from quality.anomaly.rare import RareCounts
from quality.anomaly.recurring import Learned, Recurring
from quality.anomaly.rows import SHARE, RowCount
from quality.anomaly.table import FIRST, Bools, Columns, Floats, Ints, evened, units

#: Batches that scales, tails, and the conditional look back at.
SCALES, PAST = 120, 180
#: A metric that has not moved in so many batches is taken for a constant of the data's structure.
CONSTANT = 90
#: So far above the threshold a batch is bad whatever the threshold should have been.
ODD = 1.5
#: What is aimed at below the level asked for: tails are longer than exponential, and batches to come differ more than the past did.
CAUTION = 0.3
#: Batches from which on metrics are judged beside each other too, and how many that have been tell what is usual then.
LEAST, ENOUGH = 12, 8
#: How many batches before a new level tell how much a metric varies on it.
RECENT = 10
_EXACT = 1e-9


@dataclass(frozen=True)
class Scores:
    """What is found of candidate batches (rows): the deviations and surprises of their metrics, the surprise of each group,
    and of the batch; how far the latter is above what is usual for a good one (`over`, an alarm when above 0)."""

    deviations: Floats
    surprises: Floats
    groups: Floats
    batch: Floats
    over: Floats
    #: The surprise of the number of rows where it alarms by itself, else 0.
    volume: Floats
    #: The highest score among the groups of each sort (`kinds.SHARES`), before it is compared with those of the past.
    sorts: Floats


class Walk:
    """All that is known after the batches before `t`. `values` are the numbers of all batches (`table.matrix`), `rows`
    their rows, `season` their phases, `special` whether they are holidays or the like, `left_out` are not learned from."""

    def __init__(
        self,
        columns: Columns,
        values: Floats,
        rows: Floats,
        *,
        season: Ints | None = None,
        special: Bools | None = None,
        left_out: Bools | None = None,
        accepted: Bools | None = None,
        alpha: float = 0.01,
    ) -> None:
        count, metrics = values.shape
        self.columns, self.values, self.rows, self.alpha = columns, values, np.maximum(rows, 0).astype(float), alpha
        self._season = season
        self._special = np.zeros(count, bool) if special is None else special
        self._left_out = np.zeros(count, bool) if left_out is None else left_out
        self._accepted = np.zeros((count, metrics), bool) if accepted is None else accepted
        self.unit = units(columns, values[~self._left_out])
        self.evened = evened(columns, values, self.unit)
        #: The numbers without the wild ones: a bad day's NULLs are no rate to expect.
        self._usual = values.copy()
        self.learned = np.zeros((count, metrics))
        self._level = np.zeros((count, metrics))
        self._residuals = np.full((count, metrics), np.nan)
        self.deviations = np.full((count, metrics), np.nan)
        #: The same, wild ones too.
        self.raw = np.full((count, metrics), np.nan)
        present = np.isin(np.arange(len(SHARES)), columns.group_says)
        shares = np.where(present, SHARES, 0.0)
        self._shares = tuple(float(share) for share in shares / max(shares.sum(), 1e-9))
        self._spent = alpha * (1 - SHARE) * CAUTION
        #: What one good batch in so many exceeds, -log10 of a chance as the scores are.
        self.threshold = float(-np.log10(self._spent))
        self._own_scores = np.full((count, len(self._shares)), np.nan)
        #: What each metric was off what the others made likely, told when the batch was new.
        self._residuals_of_others = np.full((count, metrics), np.nan)
        self.overs = np.full(count, np.nan)
        instances = np.array([group_of(one) for one in columns.series])
        self._recurring = Recurring(self.evened, np.unique(instances, return_inverse=True)[1])
        names = np.array([one.name for one in columns.series])
        self._names, self._name = np.unique(names, return_inverse=True)
        self._moved, self._constants = np.zeros(len(self._names)), np.zeros(len(self._names))
        self._forecast = Forecast(metrics)
        self._neighbours = Neighbours(count)
        self._row_count = RowCount(columns, count, alpha)
        self._rare = np.flatnonzero(columns.rare)
        self._known = np.zeros(metrics, int)
        self._kept: list[int] = []
        self._conditional: combine.Conditional | None = None
        self._usual_residuals: combine.Usual | None = None
        self.t, self._ready = 0, -1

    @property
    def usable(self) -> int:
        """Batches, but for the last, that may be learned from."""
        return int((~self._left_out[:-1]).sum())

    def to(self, t: int) -> Walk:
        """Learn every batch before `t`, and make ready to judge that one."""
        while self.t < t:
            self._learn()
        self._make_ready()
        return self

    def score(self, values: Floats, rows: Floats) -> Scores:
        """Judge batches as the one at `t`. `values` as `table.matrix` gives them."""
        if len(self._kept) < 4:
            nothing = np.zeros(values.shape)
            return Scores(
                nothing,
                nothing,
                np.zeros((len(values), self.columns.group_weight.size)),
                np.zeros(len(values)),
                np.full(len(values), -1.0),
                np.zeros(len(values)),
                np.zeros((len(values), len(self._shares))),
            )
        y = evened(self.columns, values, self.unit)
        deviation = self._deviation(y, values, rows)
        own = self.tails.surprise(deviation)
        own = self._of_constants(y, deviation, own)
        if self._conditional is not None and self._usual_residuals is not None:
            own = 0.5 * (own + self._usual_residuals.surprise(self._conditional.residual(deviation)))
        own = np.minimum(own, np.minimum(self._most(y), self._recurring.most(y, self._base, self._kept[-PAST:])))
        own[:, self._rare] = np.minimum(own[:, self._rare], rare.most(y[:, self._rare], self._calm()))
        own = np.where(self._known >= 4, np.maximum(own, 0), 0)
        special = bool(self._special[self.t])
        if special:
            own[:, self.columns.size] = 0.0
        groups = combine.groups(own, self.columns)
        near = self._neighbours.surprise(self._filled(y), self._near_weight())
        raw = self._together(groups + near[:, None])
        groups = self._by_level(groups + near[:, None])
        batch = groups.max(axis=1, initial=0.0)
        over = batch - self.threshold
        volume, over_volume = self._row_count.score(y, self.forecast, special)
        volume = np.where(over_volume > 0, volume, 0.0)
        return Scores(deviation, own, groups, batch, np.maximum(over, over_volume), volume, raw)

    def _together(self, groups: Floats) -> Floats:
        """The highest score of each sort; 0 for a sort without metrics."""
        says = self.columns.group_says
        return np.stack([groups[:, says == k].max(axis=1, initial=0.0) for k in range(len(self._shares))], axis=1)

    def _by_level(self, groups: Floats) -> Floats:
        """The surprise of each group as -log10 of the chance that a good batch has one so odd, of any sort: by the past of
        its sort, and by the share that is spent on that sort."""
        found = np.zeros(groups.shape)
        for k, (level, share) in enumerate(zip(self._levels, self._shares, strict=True)):
            of_sort = self.columns.group_says == k
            if share and of_sort.any():
                found[:, of_sort] = np.maximum(
                    level.surprise(groups[:, of_sort], self._spent * share) + np.log10(share), 0
                )
        return found

    def _filled(self, y: Floats) -> Floats:
        """Nothing was measured, or never before: as forecast."""
        return np.asarray(np.where(np.isfinite(y) & (self._known >= 4), y, self.forecast))

    def _near_weight(self) -> float:
        # the neighbours see what moves together a little: it matters where a batch is too small for each metric to tell,
        # wholly below a hundred rows, not at all from a thousand on
        typical = float(np.median(self.rows[self._kept])) if self._kept else 0.0
        return float(np.clip(3.0 - np.log10(max(typical, 1)), 0.0, 1.0))

    def _make_ready(self) -> None:
        """Once for each batch, whoever asks."""
        if self._ready != self.t:
            self._prepare()
            self._ready = self.t

    def _prepare(self) -> None:
        kept = self._kept
        if not kept:
            return
        past = self.learned[kept]
        phases = None
        if self._season is not None:
            to_come = self._season[self.t] if self.t < len(self._season) else -1
            phases = np.append(self._season[kept], to_come)
        self._candidates = self._forecast.candidates(past, self._level[kept], phases)
        self.forecast = self._forecast.combine(self._candidates)
        residuals = self._residuals[self._settled()[-SCALES:]]
        self.scale = scales.scales(self.columns, past, past[-CONSTANT:], residuals, float(np.median(self.rows[kept])))
        self.counts = RareCounts(
            self._usual[np.ix_(np.array(kept), self._rare)], self.rows[kept], self.columns.complement[self._rare]
        )
        #: What would be no deviation: the forecast, or the usual rate of what hardly ever occurs.
        self._base = self.forecast.copy()
        usual = np.arcsin(np.sqrt(np.clip(self.counts.ratio, 0, 1)))
        self._base[self._rare] = np.where(self.counts.applies, usual, self._base[self._rare])
        settled = self._settled()
        self.tails = tails.tails(self.deviations[settled])
        recent = past[-CONSTANT:]
        self.constant = (np.abs(recent - recent[-1]).max(axis=0) < _EXACT) & (len(kept) >= 5)
        together = (self._moved.sum() + 0.4) / (self._constants.sum() + 200)
        self._hazard = ((self._moved + 200 * together) / (self._constants + 200))[self._name]
        if len(kept) >= LEAST and (self._conditional is None or len(kept) % 4 == 0):
            self._conditional = combine.Conditional(self.deviations[settled])
        seen = self._residuals_of_others[settled]
        if len(seen := seen[np.isfinite(seen).any(axis=1)]) >= ENOUGH:
            self._usual_residuals = combine.Usual(seen)
        self._neighbours.fit(past[-PAST:])
        self._levels = [combine.Level(self._own_scores[settled, k]) for k in range(len(self._shares))]
        if len(self.columns.size):
            self._row_count.fit(self.evened[kept, self.columns.size[0]], phases, ~self._special[kept])

    def _settled(self) -> list[int]:
        """The batches that tell how much is usual: not those forecast before the season was known, once there are others."""
        unsettled = SEASON_FROM if self._season is not None and len(self._kept) >= 3 * SEASON_FROM else 0
        return self._kept[unsettled:][-PAST:]

    def _deviation(self, y: Floats, values: Floats, rows: Floats) -> Floats:
        y = np.where(np.isfinite(y), y, self.forecast)
        found = (y - self.forecast) / self.scale
        if len(self._rare):
            off = self.counts.deviation(values[:, self._rare], rows)
            found[:, self._rare] = np.where(self.counts.applies & np.isfinite(off), off, found[:, self._rare])
        return found

    def _of_constants(self, y: Floats, deviation: Floats, own: Floats) -> Floats:
        """A metric that never moved has no spread: its chance to move is that of others that never did, of its name above all."""
        j = self.constant
        if not j.any():
            return own
        moved = np.abs(y[:, j] - self.learned[self._kept[-1], j]) > _EXACT
        size = np.minimum(1.5, 0.5 * np.log10(1 + np.abs(deviation[:, j])))
        hazard = np.where(moved, -np.log10(self._hazard[j]) + size, 0.0)
        own = own.copy()
        own[:, j] = np.where(self.columns.rare[j], np.maximum(own[:, j], hazard), hazard)
        return own

    def _calm(self) -> Floats:
        """The rare metrics of earlier batches, NaN where they were wild: a fault that comes again is no less of one."""
        places = np.ix_(np.array(self._kept[-PAST:]), self._rare)
        return np.where(np.isfinite(self._usual[places]), self.evened[places], np.nan)

    def _most(self, y: Floats) -> Floats:
        """The most that a value can surprise: one that was there in k of n batches, wild or not, has a chance of k in n."""
        past = self.evened[self._kept]
        again = np.array([(np.abs(past - values) < _EXACT).sum(axis=0) for values in y])
        return np.where(again > 0, np.log10((len(past) + 1) / np.maximum(again, 1)), np.inf)

    def _learn(self) -> None:
        t = self.t
        if self._left_out[t]:
            self.t += 1
            return
        if self._kept:
            self._make_ready()
            self._learn_judged(t)
        else:
            self.learned[t] = np.nan_to_num(self.evened[t])
            self._level[t] = self.learned[t]
        self._known += np.isfinite(self.evened[t])
        self._kept.append(t)
        self.t += 1

    def _learn_judged(self, t: int) -> None:
        count = len(self._kept)
        self._begin(t)
        scores = self.score(self.values[t][None], self.rows[t][None])
        deviation = scores.deviations[0]
        value = np.where(np.isfinite(self.evened[t]), self.evened[t], self.forecast)
        if count >= 4:
            self._note(t, scores)
            self.overs[t] = scores.over[0]
        self._accept(t, value)
        learned = self._of_odd_ones(t, value, deviation, scores)
        # what was not measured was not just as forecast
        measured, tame = value, learned.usual & np.isfinite(self.evened[t])
        value = np.where(learned.known, value, self.forecast)
        self._usual[t] = np.where(learned.usual, self._usual[t], np.nan)
        if self.constant.any():
            moved = np.abs(value - self.learned[self._kept[-1]]) > _EXACT
            count = len(self._names)
            self._constants = self._constants * 0.995 + np.bincount(self._name, self.constant, count)
            self._moved = self._moved * 0.995 + np.bincount(self._name, moved & self.constant, count)
        if count >= 2:
            self._residuals[t] = np.where(tame, value - self.forecast, np.nan)
            self.raw[t] = deviation
            self.deviations[t] = np.where(tame, deviation, np.nan)
            if self._conditional is not None:
                residual = self._conditional.residual(deviation[None])[0]
                # how far off a fault was is not what good batches are
                tamed = np.clip(residual, -recurring.WILD, recurring.WILD)
                self._residuals_of_others[t] = np.where(learned.usual, residual, tamed)
            self._forecast.learn(value, self._candidates, 8 * self.scale + _EXACT)
        last = self._level[self._kept[-1]]
        self.learned[t] = value
        self._level[t] = last + 0.1 * (value - last) if count > 7 else self.learned[[*self._kept, t]].mean(axis=0)
        self._neighbours.learn(self._filled(self.evened[t]), t, self._kept)
        if count >= 4 and not self._special[t]:
            self._row_count.learn(t, measured, self.forecast)

    def _note(self, t: int, scores: Scores) -> None:
        """What an odd batch scores is not what good ones score; the very odd ones do not count at all."""
        for k, (level, share) in enumerate(zip(self._levels, self._shares, strict=True)):
            if share:
                most, score = level.threshold(self._spent * share), float(scores.sorts[0, k])
                self._own_scores[t, k] = min(score, most + 0.3) if score <= most + ODD else np.nan

    def _begin(self, t: int) -> None:
        """A metric that is measured for the first time has been so all along, for all we know."""
        new = np.flatnonzero((self._known == 0) & np.isfinite(self.evened[t]))
        if len(new):
            rows = np.ix_(np.array(self._kept), new)
            self.learned[rows] = self.evened[t, new]
            self._level[rows] = self.evened[t, new]
            self._prepare()

    def _of_odd_ones(self, t: int, value: Floats, deviation: Floats, scores: Scores) -> Learned:
        """What is learned of the batch. What is wild in the first weeks may be what is usual."""
        if len(self._kept) < 2 * FIRST:
            return Learned(np.zeros(len(value), bool), np.ones(len(value), bool), np.ones(len(value), bool))
        odd = (scores.over[0] > 0) & (scores.surprises[0] > recurring.ODD)
        far, blamed = np.abs(deviation) > recurring.WILD, self._to_blame(scores)
        learned = self._recurring.learn(t, self._base, far, odd, blamed, self._kept)
        self._rebase(learned.level, value)
        return learned

    def _to_blame(self, scores: Scores) -> Ints:
        """The columns that make a batch alarm."""
        over = scores.groups[0] > self.threshold
        return np.unique(self._recurring.column[over[self.columns.group]])

    def _accept(self, t: int, value: Floats) -> None:
        """A person said that the batch is the new normal."""
        self._rebase(self._accepted[t], value)

    def _rebase(self, metrics: Bools, value: Floats) -> None:
        """Lift the past of metrics to where they are now; how much they varied lately stays known."""
        if metrics.any():
            jump = (value - self.forecast)[metrics]
            rows = np.ix_(np.array(self._kept), np.flatnonzero(metrics))
            self.learned[rows] += jump
            self._level[rows] += jump
            # a new level may vary otherwise: what is known of the old one's spread must not outweigh it for months
            old = np.ix_(np.array(self._kept[:-RECENT], np.intp), np.flatnonzero(metrics))
            self._residuals[old] = self.deviations[old] = np.nan
