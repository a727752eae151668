"""Anomalies: what is found, what is left in peace, and what must not matter."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quality.anomaly import rare
from quality.anomaly.calendar import Calendar, Event
from quality.anomaly.combine import Conditional, Level, Usual
from quality.anomaly.judging import Accepted, Options, before, judge, phases
from quality.anomaly.values import Batch, Point, Series

START = datetime(2024, 1, 1, tzinfo=timezone.utc)
SIZE, NULLS, MEAN = Series("Size"), Series("Completeness", "amount"), Series("Mean", "amount")
SPREAD, LEAST = Series("StandardDeviation", "amount"), Series("Minimum", "amount")
KINDS = Series("ApproxCountDistinct", "country")


def day(n, rng, **changes):
    """A good day of a shop: a thousand orders, fewer on Sundays."""
    rows = int(1000 * (0.7 if n % 7 == 6 else 1) * rng.normal(1, 0.03))
    sd = 10 * rng.normal(1, 0.03)
    points = {
        SIZE: Point(float(rows)),
        NULLS: Point(1.0, rows, rows),
        MEAN: Point(50 + sd * rng.normal() / rows**0.5),
        SPREAD: Point(sd),
        LEAST: Point(20 + rng.normal()),
        KINDS: Point(float(rng.integers(48, 52))),
    }
    points.update(changes.pop("points", {}))
    return replace(Batch(f"{START + timedelta(days=n):%Y-%m-%d}", START + timedelta(days=n), rows, points), **changes)


def days(count, seed=1):
    rng = np.random.default_rng(seed)
    return [day(n, rng) for n in range(count)]


HISTORY = days(61)
PAST, TODAY = HISTORY[:-1], HISTORY[-1]


def changed(batch, **points):
    names = {"nulls": NULLS, "mean": MEAN, "size": SIZE, "spread": SPREAD, "least": LEAST}
    return replace(batch, points={**batch.points, **{names[name]: point for name, point in points.items()}})


def missing(batch, count):
    return changed(batch, nulls=Point(1 - count / batch.rows, batch.rows - count, batch.rows))


def test_a_good_batch_is_left_in_peace():
    found = judge(PAST, TODAY)
    assert (found.judged, found.batches, found.anomalies) == (True, 60, ())


def test_nulls_in_a_full_column_are_blamed_first():
    found = judge(PAST, missing(TODAY, 30))
    assert found.anomalies[0].series == NULLS
    assert found.anomalies[0].since == TODAY.id
    assert found.anomalies[0].score > 2
    assert "Completeness(amount) is 0.9" in found.anomalies[0].message


def test_a_column_in_other_units_is_found_with_what_was_expected():
    cents = changed(TODAY, mean=Point(5000.0), spread=Point(1000.0), least=Point(2000.0))
    found = judge(PAST, cents).anomalies
    assert {one.series for one in found} == {MEAN, SPREAD, LEAST}
    mean = next(one for one in found if one.series == MEAN)
    assert mean.value == 5000.0
    assert mean.expected_low is not None
    assert mean.expected_high is not None
    assert 40 < mean.expected_low < 50 < mean.expected_high < 60
    assert "moved with it: " in mean.message


def test_half_the_rows_are_found_on_a_day_of_the_week_that_has_more():
    half = replace(changed(TODAY, size=Point(TODAY.rows / 2)), rows=TODAY.rows // 2)
    assert judge(PAST, half).anomalies[0].series == SIZE


def test_too_little_history_says_so_and_finds_nothing():
    found = judge(PAST[:6], missing(TODAY, 500))
    assert (found.judged, found.anomalies) == (False, ())
    assert found.message == "not judged: 6 earlier batches, 7 are needed to tell what is usual"


def test_metrics_that_nobody_asked_for_are_not_judged():
    assert not judge(PAST, missing(TODAY, 300), Options(metrics=("Mean(amount)",))).anomalies
    assert not judge(PAST, missing(TODAY, 300), Options(metrics=("Correlation",))).judged


def test_good_batches_are_seldom_flagged():
    batches = days(90, 10)
    flagged = sum(bool(judge(batches[max(0, n - 40) : n], batches[n]).anomalies) for n in range(40, 90, 3))
    assert flagged <= 1


@given(st.randoms(use_true_random=False))
@settings(max_examples=3, deadline=None)
def test_the_order_of_batches_and_metrics_means_nothing(random):
    batches = [replace(b, points=dict(random.sample(list(b.points.items()), len(b.points)))) for b in PAST]
    random.shuffle(batches)
    assert judge(batches, missing(TODAY, 30)) == judge(PAST, missing(TODAY, 30))


def moved(batch, factor, shift):
    points = {
        MEAN: batch.points[MEAN].value * factor + shift,
        LEAST: batch.points[LEAST].value * factor + shift,
        SPREAD: batch.points[SPREAD].value * factor,
    }
    return replace(batch, points={**batch.points, **{series: Point(value) for series, value in points.items()}})


@pytest.mark.parametrize(("factor", "shift"), ((100.0, 0.0), (1.0, 3600.0), (0.001, -7.0), (86400.0, 1.7e9)))
def test_units_and_zones_of_a_column_mean_nothing(factor, shift):
    odd = changed(TODAY, mean=Point(56.0))
    plain, other = judge(PAST, odd), judge([moved(b, factor, shift) for b in PAST], moved(odd, factor, shift))
    assert other.score == pytest.approx(plain.score, rel=1e-3)
    assert [one.series for one in other.anomalies] == [one.series for one in plain.anomalies]


@given(st.floats(1e-6, 1e6), st.floats(-1e3, 1e3), st.integers(-50, 50))
@settings(max_examples=3, deadline=None)
def test_whatever_the_unit_and_the_zone_the_judgement_is_the_same(factor, shift, hours):
    """Of a column over the whole history: its unit, where it begins to count, and the zone that batch times are told in."""

    def told_otherwise(batch):
        batch = moved(batch, factor, shift * factor)
        return replace(batch, time=batch.time + timedelta(hours=hours))

    for odd in (TODAY, missing(TODAY, 30), changed(TODAY, mean=Point(56.0))):
        plain, other = judge(PAST, odd), judge([told_otherwise(b) for b in PAST], told_otherwise(odd))
        assert other.score == pytest.approx(plain.score, rel=1e-3)
        assert [(one.series, one.since) for one in other.anomalies] == [
            (one.series, one.since) for one in plain.anomalies
        ]
        assert (other.judged, other.batches) == (plain.judged, plain.batches)


@given(st.permutations(("amount", "country", "*")), st.text(min_size=1, max_size=3))
@settings(max_examples=2, deadline=None)
def test_the_names_of_columns_mean_nothing(order, prefix):
    names = {name: name if name == "*" else f"{place}{prefix}" for place, name in enumerate(order)}

    def renamed(batch):
        points = {replace(one, instance=names[one.instance]): point for one, point in batch.points.items()}
        return replace(batch, points=points)

    plain = judge(PAST, missing(TODAY, 30))
    other = judge([renamed(b) for b in PAST], renamed(missing(TODAY, 30)))
    assert other.score == pytest.approx(plain.score)
    assert {one.series for one in other.anomalies} == {
        replace(one.series, instance=names[one.series.instance]) for one in plain.anomalies
    }


def test_a_batch_is_never_part_of_what_it_is_judged_by():
    odd = missing(TODAY, 300)
    assert judge([*PAST, odd, odd], odd) == judge(PAST, odd)
    later = replace(TODAY, id="later", time=TODAY.time + timedelta(days=1))
    assert judge([*PAST, missing(later, 900)], odd) == judge(PAST, odd)


def test_a_batch_that_came_twice_counts_once_the_last_one():
    twice = [*PAST[:-1], missing(PAST[-1], 900), PAST[-1]]
    assert before(twice, TODAY) == PAST


def test_gaps_in_the_history_are_no_harm():
    with_gaps = [b for n, b in enumerate(PAST) if n % 9]
    assert not judge(with_gaps, TODAY).anomalies
    assert judge(with_gaps, missing(TODAY, 30)).anomalies


def test_an_anomaly_says_since_when():
    rng = np.random.default_rng(5)
    bad = [missing(day(60 + n, rng), 300) for n in range(2)]
    found = judge([*PAST, bad[0]], bad[1]).anomalies
    assert next(one for one in found if one.series == NULLS).since == bad[0].id


def shifted(n, rng):
    batch = day(n, rng)
    return changed(batch, mean=Point(80 + rng.normal() * 0.3))


def alarms(accepted=()):
    rng = np.random.default_rng(6)
    later = [shifted(60 + n, rng) for n in range(6)]
    return [bool(judge([*PAST[20:], *later[:n]], later[n], accepted=accepted).anomalies) for n in range(6)]


def restless(batch, rng):
    """The batch with a column whose numbers are anywhere, some days far away."""
    wild = {Series("Mean", f"wild{n}"): Point(float(rng.standard_t(1.5))) for n in range(6)}
    return replace(batch, points={**batch.points, **wild})


def test_numbers_that_are_anywhere_do_not_hide_a_broken_column():
    rng = np.random.default_rng(5)
    past, today = [restless(batch, rng) for batch in PAST], restless(missing(TODAY, 10), rng)
    found = judge(past, today)
    assert found.anomalies[0].series == NULLS, found


def test_a_share_that_is_always_the_same_may_not_move_as_chance_would_let_it():
    # three stations, 24 rows each: by chance a third of 72 rows is 20 to 28 of them, here it has been 24 for two months
    share = Series("TopValueRatio", "station")

    def reported(batch, most):
        return Batch(batch.id, batch.time, 72, {SIZE: Point(72.0), share: Point(most / 72)})

    rng = np.random.default_rng(6)
    past = [reported(batch, 24 + (rng.random() < 0.2)) for batch in PAST]
    assert judge(past, reported(TODAY, 36)).anomalies[0].series == share
    assert not judge(past, reported(TODAY, 25)).anomalies


def test_warm_days_do_not_hide_values_that_never_were():
    # every ninth day is warmer than all before: a third of its values are new, all of them beyond the range
    def measured(batch, beyond, inside):
        shares = {"NewValueRatio": beyond + inside, "OutOfRangeRatio": beyond, "NewInRangeRatio": inside}
        points = {Series(name, "temperature"): Point(share) for name, share in shares.items()}
        return replace(batch, points={**batch.points, **points})

    past = [measured(batch, 0.35 if n % 9 == 8 else 0.0, 0.0) for n, batch in enumerate(PAST)]
    assert not judge(past, measured(TODAY, 0.35, 0.0)).anomalies
    found = judge(past, measured(TODAY, 0.0, 0.1)).anomalies
    assert found[0].series.name == "NewInRangeRatio", found


def test_what_moved_in_five_of_a_hundred_batches_is_as_odd_as_that():
    once, four = np.arcsin(np.sqrt(1 / 1000)), np.arcsin(np.sqrt(4 / 1000))
    past = np.zeros((100, 3))
    past[::20, 0] = once
    past[::2, 2] = once
    # twice the root: two to the power of six times rarer
    found = rare.most(np.array([[once] * 3, [four] * 3]), past)
    assert found[:, 0] == pytest.approx([np.log10(101 / 5.5) + 0.3, np.log10(101 / 5.5 * 2**6) + 0.3], abs=5e-3)
    assert np.isinf(found[:, 1:]).all(), "one that never moved, and one that often does"
    past[:50, 0] = np.nan
    assert rare.most(np.array([[once] * 3]), past)[0, 0] == pytest.approx(np.log10(51 / 2.5) + 0.3)


def test_one_row_where_there_was_one_before_is_as_odd_as_that_and_thirty_are_odder():
    beyond = Series("OutOfRangeRatio", "amount")

    def with_beyond(batch, count):
        return replace(batch, points={**batch.points, beyond: Point(count / batch.rows)})

    past = [with_beyond(batch, int(n == 3)) for n, batch in enumerate(PAST)]
    one, thirty = (judge(past, with_beyond(TODAY, count)).anomalies[0] for count in (1, 30))
    assert (one.series, thirty.series) == (beyond, beyond)
    # once in sixty batches, of some thousand rows each
    assert 1.5 < one.score < 2.3
    assert thirty.score > 4


@pytest.mark.parametrize("alpha", (0.05, 0.01, 0.001))
def test_the_threshold_is_the_score_of_the_chance_it_stands_for(alpha):
    past = np.random.default_rng(7).exponential(0.6, 150)
    level = Level(past)
    assert float(level.surprise(np.array([level.threshold(alpha)]), alpha)[0]) == pytest.approx(-np.log10(alpha))
    # the share of new scores above is what was asked for, as far as 150 tell
    new = np.random.default_rng(8).exponential(0.6, 200_000)
    assert alpha / 4 < (new > level.threshold(alpha)).mean() < 4 * alpha


def test_what_others_make_likely_is_told_by_batches_not_seen():
    # more metrics than batches: residuals of the batches learned from are small, those of new ones are not
    rng = np.random.default_rng(9)
    learned, new = rng.normal(size=(30, 60)), rng.normal(size=(200, 60))
    conditional = Conditional(learned)
    usual = Usual(conditional.residual(new[:100]))
    surprised = usual.surprise(conditional.residual(new[100:]))
    assert (surprised > 3).mean() < 0.005


def test_a_new_level_alarms_three_times_at_most():
    found = alarms()
    assert found[0]
    assert sum(found) <= 3


def test_an_accepted_level_alarms_no_more():
    assert sum(alarms([Accepted(f"{START + timedelta(days=60):%Y-%m-%d}")])) == 1
    assert sum(alarms([Accepted(f"{START + timedelta(days=60):%Y-%m-%d}", ("Mean(amount)",))])) == 1


def test_a_release_in_the_calendar_is_an_accepted_level():
    first = (START + timedelta(days=60)).date()
    calendar = Calendar((Event("release", first, first),))
    rng = np.random.default_rng(6)
    later = [shifted(60 + n, rng) for n in range(6)]
    assert not any(judge([*PAST, *later[:n]], later[n], calendar=calendar).anomalies for n in range(1, 6))


def test_a_holiday_may_have_few_rows_and_nothing_else():
    few = replace(changed(TODAY, size=Point(TODAY.rows * 0.7)), rows=int(TODAY.rows * 0.7))
    calendar = Calendar((Event("holiday", few.time.date(), few.time.date()),))
    assert judge(PAST, few).anomalies
    assert not judge(PAST, few, calendar=calendar).anomalies
    assert judge(PAST, missing(few, 300), calendar=calendar).anomalies


def test_an_incident_is_not_learned_from():
    bad = [missing(b, 300) if n >= 40 else b for n, b in enumerate(PAST)]
    odd = missing(TODAY, 300)
    calendar = Calendar((Event("incident", PAST[40].time.date(), PAST[59].time.date()),))
    assert not judge(bad, odd).anomalies
    assert judge(bad, odd, calendar=calendar).anomalies


def test_an_incident_of_some_metrics_leaves_the_others_as_they_were():
    def odd(batch):
        return changed(missing(batch, 300), mean=Point(batch.points[MEAN].value + 10))

    bad, today = [odd(b) if n >= 40 else b for n, b in enumerate(PAST)], odd(TODAY)
    span = PAST[40].time.date(), PAST[59].time.date()
    blamed = []
    for metrics in ((), ("Completeness",), ("Mean(amount)",)):
        calendar = Calendar((Event("incident", *span, "", metrics),))
        found = {one.series for one in judge(bad, today, calendar=calendar).anomalies}
        blamed.append((NULLS in found, MEAN in found))
    assert blamed == [(True, True), (True, False), (False, True)]


def test_an_incident_of_the_number_of_rows_alone_is_not_learned_from():
    def half(batch):
        return replace(changed(batch, size=Point(batch.rows * 0.5)), rows=int(batch.rows * 0.5))

    bad, today = [half(b) if n >= 40 else b for n, b in enumerate(PAST)], half(TODAY)
    calendar = Calendar((Event("incident", PAST[40].time.date(), PAST[59].time.date(), "", ("Size",)),))
    assert not judge(bad, today).anomalies
    assert [str(one.series) for one in judge(bad, today, calendar=calendar).anomalies] == ["Size(*)"]


def test_days_are_those_of_the_calendars_zone():
    calendar = Calendar((Event("holiday", date(2024, 7, 4), date(2024, 7, 4)),), "America/New_York")
    assert calendar.on(datetime(2024, 7, 5, 3, tzinfo=timezone.utc), "holiday")
    assert not calendar.on(datetime(2024, 7, 4, 3, tzinfo=timezone.utc), "holiday")


def test_odd_batches_in_the_history_hardly_blunt_the_judgement():
    dirty = [missing(b, 400) if n % 20 == 13 else b for n, b in enumerate(PAST)]
    assert judge(dirty, changed(TODAY, mean=Point(58.0))).anomalies


@pytest.mark.parametrize(
    ("gap", "season", "expected"),
    (
        (timedelta(hours=1), "auto", [0, 1, 2]),
        (timedelta(days=1), "auto", [0, 1, 2]),
        (timedelta(days=30), "auto", None),
        (timedelta(days=1), "none", None),
        (timedelta(hours=12), "weekly", [0, 0, 1]),
    ),
)
def test_the_season_is_told_by_how_often_batches_come(gap, season, expected):
    found = phases([Batch(str(n), START + n * gap, 1) for n in range(3)], season)
    assert (None if found is None else list(found)) == expected


def test_what_cannot_be_measured_is_no_error():
    nothing = {SIZE: Point(0.0), NULLS: Point(None, 0, 0), MEAN: Point(float("inf")), SPREAD: Point(None)}
    assert judge(PAST, Batch("empty", TODAY.time, 0, nothing)).judged
    assert judge([Batch(b.id, b.time, 0, {}) for b in PAST], TODAY).judged


def test_a_metric_that_is_new_is_not_judged_yet():
    new = replace(TODAY, points={**TODAY.points, Series("Mean", "new"): Point(7.0)})
    assert not judge(PAST, new).anomalies


def test_entries_are_what_the_result_has():
    entry = judge(PAST, missing(TODAY, 30)).anomalies[0].to_dict()
    assert list(entry) == [
        "metric", "instance", "segment", "value", "expected_low", "expected_high", "score", "since", "message",
    ]  # fmt: skip


def test_three_hundred_metrics_take_a_blink_a_batch():
    rng = np.random.default_rng(1)
    names = [Series("Mean", f"c{n}") for n in range(300)]
    batches = [
        Batch(str(n), START + timedelta(days=n), 1000, {s: Point(float(v)) for s, v in zip(names, rng.normal(size=300), strict=True)})
        for n in range(61)
    ]  # fmt: skip
    began = time.process_time()
    judge(batches[:-1], batches[-1])
    # 100 ms for each batch walked through is the promise; the machine may be busy
    assert (time.process_time() - began) / 61 < 0.2
