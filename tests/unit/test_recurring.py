"""States that come and go, and the first weeks: how often they alarm, and what must go on alarming."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from quality.anomaly import table
from quality.anomaly.judging import judge
from quality.anomaly.values import Batch, Point, Series
from quality.anomaly.walk import Walk

START = datetime(2024, 1, 1, tzinfo=timezone.utc)
COLUMNS = [f"c{n}" for n in range(8)]


def batch(n, rng, nulls=None, means=None):
    """A day of a feed of eight full columns; `nulls` are rows without a value, `means` shifts in standard deviations."""
    rows = int(800 * rng.normal(1, 0.03))
    points = {Series("Size"): Point(float(rows))}
    for column in COLUMNS:
        none = (nulls or {}).get(column, 0)
        points[Series("Completeness", column)] = Point(1 - none / rows, rows - none, rows)
        mean = 50 + 10 * (rng.normal() / rows**0.5 + (means or {}).get(column, 0.0))
        points[Series("Mean", column)] = Point(mean)
        points[Series("StandardDeviation", column)] = Point(10 * rng.normal(1, 0.02))
    return Batch(f"{n:04}", START + timedelta(days=n), rows, points)


#: From this day on something is odd, or not.
SINCE = 60


def alarms(batches):
    """Which of the batches alarm, each judged by those before it; of those before SINCE nobody asks."""
    columns = table.columns_of({one for each in batches for one in each.points}, batches)
    values, rows = table.matrix(columns, batches), np.array([each.rows for each in batches], float)
    season = np.array([each.time.weekday() for each in batches], np.intp)
    walk = Walk(columns, values, rows, season=season)
    later = range(SINCE, len(batches))
    return [False] * SINCE + [bool(walk.to(t).score(values[t][None], rows[t][None]).over[0] > 0) for t in later]


def feed(count, odd, seed=3):
    """So many days, some of them odd: day to what `batch` is given for it."""
    rng = np.random.default_rng(seed)
    return [batch(n, rng, **odd.get(n, {})) for n in range(count)]


@given(st.integers(0, 10_000), st.sampled_from((0.25, 0.4, 0.7)), st.sampled_from((8, 40, 200)))
@settings(max_examples=5, deadline=None)
def test_a_state_that_comes_and_goes_alarms_three_times_at_most(seed, often, nulls):
    rng = np.random.default_rng(seed)
    odd = {n: {"nulls": {"c3": int(nulls * rng.uniform(0.8, 1.2))}} for n in range(SINCE, 120) if rng.random() < often}
    assume(sorted(odd)[2] - min(odd) < 21)
    found, without = alarms(feed(120, odd, seed)), alarms(feed(120, {}, seed))
    alarmed = [n for n in range(SINCE, 120) if found[n] and not without[n]]
    assert found[min(odd)], "the first one is news"
    assert len(alarmed) <= 3


@pytest.mark.parametrize("again", ((60, 67), (60, 85, 110), (60, 61, 100)))
def test_a_fault_that_comes_again_is_found_again(again):
    found = alarms(feed(again[-1] + 1, {n: {"nulls": {"c3": 40}} for n in again}))
    assert all(found[n] for n in again)


STATE = {n: {"nulls": {"c3": 40}} for n in range(60, 100, 4)}


@pytest.mark.parametrize(
    "other",
    ({"nulls": {"c3": 400}}, {"nulls": {"c4": 40}}, {"nulls": {"c3": 40, "c4": 40}}, {"means": {"c3": 1.0}}),
    ids=("far more", "another column", "another column too", "another metric"),
)
def test_what_is_not_the_state_alarms_as_ever(other):
    found = alarms(feed(101, STATE | {100: other}))
    assert not any(found[n] for n in range(72, 100, 4))
    assert found[100]


def test_a_state_to_one_side_says_nothing_of_the_other():
    states = {n: {"means": {"c3": 1.5}} for n in range(60, 100, 4)}
    found = alarms(feed(101, states | {100: {"means": {"c3": -1.5}}}))
    assert not any(found[n] for n in range(72, 100, 4))
    assert found[100]


def test_a_state_that_has_not_been_there_for_three_months_is_news_again():
    early = {n: {"nulls": {"c3": 40}} for n in (60, 63, 66)}
    found = alarms(feed(166, early | {75: {"nulls": {"c3": 40}}, 165: {"nulls": {"c3": 40}}}))
    assert (found[75], found[165]) == (False, True)


@pytest.mark.parametrize("seed", (1, 2, 3))
def test_a_column_that_begins_to_be_filled_alarms_three_times_at_most(seed):
    """Its numbers were never measured before: that they were, just as forecast, is not what they vary by."""
    rng, began = np.random.default_rng(seed), SINCE
    batches = feed(110, {}, seed)
    for n, each in enumerate(batches):
        share = rng.uniform(0.7, 0.9) if n >= began else 0.0
        points = {Series("Completeness", "new"): Point(share, round(share * each.rows), each.rows)}
        if n >= began:
            points[Series("Mean", "new")] = Point(rng.normal(5, 0.5))
            points[Series("Entropy", "new")] = Point(rng.uniform(0.3, 0.6))
        batches[n] = replace(each, points={**each.points, **points})
    found, without = alarms(batches), alarms(feed(110, {}, seed))
    assert found[began]
    assert sum(found[n] and not without[n] for n in range(began, 110)) <= 3


@pytest.mark.parametrize("day", (8, 12, 20, 29))
def test_in_the_first_weeks_plain_faults_are_found_and_good_batches_are_not(day):
    good, bad = [], []
    for seed in range(6):
        past = feed(day, {}, seed)
        rng = np.random.default_rng(100 + seed)
        good.append(bool(judge(past, batch(day, rng)).anomalies))
        bad += [
            bool(judge(past, batch(day, rng, **fault)).anomalies)
            for fault in ({"nulls": {"c1": 40}}, {"means": {"c2": 1.0}})
        ]
    assert sum(good) <= 1
    assert sum(bad) >= 0.75 * len(bad)
