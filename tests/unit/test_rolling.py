"""Suggested bounds that move with the batches before: where they are, what they mean in a rule file, and what they find."""

from __future__ import annotations

import math
from datetime import date

import numpy as np
import pytest

from quality.rule_types.base import MetricRule
from quality.rulefile import load
from quality.rulefile.lint import lint
from quality.suggesting.distances import distance, together
from quality.suggesting.facts import of_arrays
from quality.suggesting.judging import breaks
from quality.suggesting.rolling import WINDOW, resolved
from quality.suggesting.suite import suggest
from quality.suggesting.writing import Head, rule_file

ROWS = 200


def day(n, rng):
    """Prices rise by a twentieth a day, temperatures come and go around zero, noise stays."""
    return {
        "price": rng.gamma(9, 10 * 1.05**n, ROWS),
        "warmth": 12 * math.sin(n / 25) + rng.normal(0, 3, ROWS),
        "noise": rng.normal(50, 1, ROWS),
    }


@pytest.fixture(scope="module")
def feed():
    rng = np.random.default_rng(1)
    return [(day(n, rng)) for n in range(100)]


@pytest.fixture(scope="module")
def batches(feed):
    return [of_arrays(f"{n:03d}", columns) for n, columns in enumerate(feed)]


@pytest.fixture(scope="module")
def suite(batches):
    return suggest(batches[:60], rolling=True)


def moving(suite):
    return {(one.type, *one.columns): one for one in suite.suggestions if one.given.get("key") == "rolling"}


def test_what_drifts_has_bounds_that_move_and_static_ones_stay_where_they_are_as_good(batches, suite):
    static = suggest(batches[:60])
    assert not [one for one in static.suggestions if one.columns == ("price",) and one.test == "mean"]
    assert {("mean", "price"), ("stddev", "price"), ("mean", "warmth"), ("drift", "noise")} <= set(moving(suite))
    # how values are distributed tells their mean and spread too
    assert not {("mean", "noise"), ("stddev", "noise")} & set(moving(suite))
    assert [one for one in suite.suggestions if one.columns == ("noise",) and one.type == "mean"]
    # nothing else is lost
    kept = {one.key for one in suite.suggestions}
    assert {one.key for one in static.suggestions if one.test not in ("rows", "mean")} <= kept


def test_later_days_are_left_in_peace_and_faulty_ones_are_found(feed, batches, suite):
    rules = moving(suite).values()

    def broken(place, batch):
        found = [resolved(rule, batches[:place]) for rule in rules]
        return {(one.type, *one.columns) for one in found if one and breaks(one, batch)}

    assert sum(bool(broken(place, batches[place])) for place in range(60, 100)) <= 2
    doubled = of_arrays("bad", {**feed[80], "price": feed[80]["price"] * 2})
    assert {("mean", "price"), ("stddev", "price")} <= broken(80, doubled)
    colder = of_arrays("bad", {**feed[80], "warmth": feed[80]["warmth"] - 15})
    assert ("mean", "warmth") in broken(80, colder)


def test_the_file_lints_and_means_what_was_measured(batches, suite, tmp_path):
    """The bounds that the engine reckons from the history are those that the suggestion was judged by."""
    path = tmp_path / "r.yml"
    path.write_text(rule_file(suite, Head("feed", "in/{{ batch }}.parquet", "parquet")))
    report = lint(str(path))
    assert (report.problems, report.warnings) == ((), ())
    checked = 0
    by_key = moving(suite)
    for rule in load(str(path), batch="100").rules:
        check = rule.check
        if not isinstance(check, MetricRule) or not check.bounds.past:
            continue
        name = (check.type, *check.columns())
        one = by_key[name]
        past = batches[-WINDOW:]
        values = [
            {"mean": lambda f: f.mean, "stddev": lambda f: f.spread, "max": lambda f: f.high, "min": lambda f: f.low}[
                check.type
            ](batch.columns[check.columns()[0]])
            if check.columns()
            else batch.rows
            for batch in reversed(past)
        ]
        found = check.bounds.resolved(values)
        exact = resolved(one, past)
        assert exact
        for value, accepted in ((exact.given["low"], True), (exact.given["high"], True)):
            inside = value + (1e-6 if value == exact.given["low"] else -1e-6) * (1 + abs(value))
            assert found.accepts(inside) is accepted
            assert not found.accepts(value + (-1e-6 if value == exact.given["low"] else 1e-6) * (1 + abs(value)))
        checked += 1
    assert checked == len([one for one in by_key.values() if one.type != "drift"]) >= 4


def test_too_few_batches_move_nothing(batches):
    assert not moving(suggest(batches[:41], rolling=True))
    (rule, *_) = moving(suggest(batches[:60], rolling=True)).values()
    assert resolved(rule, batches[: WINDOW - 1]) is None


def coded(n, rng):
    """Codes with steady shares, and numbers of trains that hardly come twice."""
    codes, trains = np.empty(ROWS, object), np.empty(ROWS, object)
    codes[:] = rng.choice(["a", "b", "c"], ROWS, p=[0.6, 0.3, 0.1])
    trains[:] = [f"T{number}" for number in rng.integers(1000, 9999, ROWS)]
    return {"code": codes, "train": trains, "delay": rng.gamma(2, 5, ROWS)}


def test_one_value_that_takes_the_place_of_others_is_found_and_chance_is_not():
    rng = np.random.default_rng(6)
    feed = [coded(n, rng) for n in range(110)]
    batches = [of_arrays(str(n), columns) for n, columns in enumerate(feed)]
    limits = {one.columns[0]: one for one in suggest(batches[:60], rolling=True).suggestions if one.type == "drift"}
    assert set(limits) == {"code", "train", "delay"}

    def broken(place, batch):
        found = [resolved(one, batches[:place]) for one in limits.values()]
        return {one.columns[0] for one in found if one and breaks(one, batch)}

    assert sum(bool(broken(place, batches[place])) for place in range(60, 110)) <= 2
    for name, value in (("code", "c"), ("train", "T1000")):
        stuck = {key: values.copy() for key, values in feed[70].items()}
        stuck[name][: ROWS // 2] = value
        assert broken(70, of_arrays("stuck", stuck)) == {name}
    assert broken(70, of_arrays("late", {**feed[70], "delay": feed[70]["delay"] + 5})) == {"delay"}


def test_a_distance_is_the_largest_difference_of_a_share():
    rng = np.random.default_rng(7)
    past, day = [coded(n, rng) for n in range(5)], coded(5, np.random.default_rng(8))
    day["code"][:50] = "d"
    before = [of_arrays(str(n), columns) for n, columns in enumerate(past)]
    now = of_arrays("now", day)
    codes = np.concatenate([columns["code"] for columns in past])
    shares = [abs((day["code"] == one).mean() - (codes == one).mean()) for one in "abcd"]
    assert distance(now.columns["code"], together(before, "code")) == pytest.approx(max(shares))
    # no train is frequent on either side: all count as one
    assert distance(now.columns["train"], together(before, "train")) == 0
    delays = np.concatenate([columns["delay"] for columns in past])
    at = np.concatenate([delays, day["delay"]])
    exact = max(abs((day["delay"] <= x).mean() - (delays <= x).mean()) for x in at)
    # bins of 1 % hide some of it
    assert exact - 0.03 <= distance(now.columns["delay"], together(before, "delay")) <= exact


def test_the_date_of_a_batch_is_no_set_of_values():
    rng = np.random.default_rng(9)
    ids = [f"2024-{month:02d}-{day:02d}" for month in (1, 2) for day in range(1, 25)]
    days = [
        {"year": np.full(ROWS, 2024.0), "month": np.full(ROWS, float(id[5:7])), "n": rng.choice([1.0, 7.0, 30.0], ROWS)}
        for id in ids
    ]
    batches = [of_arrays(id, columns) for id, columns in zip(ids, days, strict=True)]
    found = suggest(batches, {id: float(date.fromisoformat(id).toordinal() - 719163) for id in ids})
    assert {one.type for one in found.suggestions if {"year", "month"} & set(one.columns)} == {"required"}
    assert [one.columns for one in found.suggestions if one.type == "in"] == [("n",)]
    assert any(note.startswith("year, month:") for note in found.notes)
