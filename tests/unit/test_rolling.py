"""Suggested bounds that move with the batches before: where they are, what they mean in a rule file, and what they find."""

from __future__ import annotations

import math

import numpy as np
import pytest

from quality.rule_types.base import MetricRule
from quality.rulefile import load
from quality.rulefile.lint import lint
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
    assert {("drift", "price"), ("mean", "warmth")} <= set(moving(suite))
    # how values are distributed tells their mean and spread too
    assert not {("mean", "price"), ("stddev", "price"), ("mean", "noise")} & set(moving(suite))
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
