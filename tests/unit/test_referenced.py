"""What a batch holds that those before it did not, from sketches alone: against the values themselves."""

from __future__ import annotations

import json
import time
from datetime import datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quality.anomaly.values import Batch, Series
from quality.referenced import readable, with_references

START = datetime(2024, 1, 1, tzinfo=timezone.utc)
VALUES, SHAPES, NULLS = Series("Histogram", "c"), Series("Shapes", "c"), Series("NullPatterns")
NUMBERS = Series("ApproxQuantiles", "n")


def top(values, *, exact=True):
    counts = {value: values.count(value) for value in dict.fromkeys(values)}
    return json.dumps({"exact": exact, "error": 0, "values": list(counts.items())}).encode()


def bins(numbers):
    unique, counts = np.unique(numbers, return_counts=True)
    return b"\x01\0\0\0\0" + np.column_stack([unique, counts]).astype(">i8").tobytes()


def batch(n, sketches):
    return Batch(str(n), START + timedelta(days=n), 10, {}, sketches)


def values_of(found):
    return [{str(series): point.value for series, point in one.points.items()} for one in found]


@given(st.lists(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=8), min_size=2, max_size=6))
@settings(max_examples=40, deadline=None)
def test_a_new_value_is_one_that_no_earlier_batch_had(days):
    found = values_of(with_references([batch(n, {VALUES: top(day)}) for n, day in enumerate(days)]))
    assert [*found[0]] == ["Entropy(c)", "UniqueValueRatio(c)"]
    for n, day in enumerate(days[1:], 1):
        earlier = {value for before in days[:n] for value in before}
        assert found[n]["NewValueRatio(c)"] == pytest.approx(np.mean([value not in earlier for value in day]))


@given(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=20))
@settings(max_examples=40, deadline=None)
def test_how_evenly_values_occur_is_told_by_the_batch_alone(day):
    (found,) = values_of(with_references([batch(0, {VALUES: top(day)})]))
    shares = np.array([day.count(value) for value in set(day)]) / len(day)
    assert found["Entropy(c)"] == pytest.approx(-(shares * np.log(shares)).sum(), abs=1e-12)
    assert found["UniqueValueRatio(c)"] == pytest.approx(np.mean([day.count(value) == 1 for value in set(day)]))


@given(st.lists(st.lists(st.integers(-9, 9), min_size=1, max_size=8), min_size=2, max_size=5))
@settings(max_examples=40, deadline=None)
def test_numbers_beyond_all_earlier_ones_and_how_far_apart(days):
    found = values_of(with_references([batch(n, {NUMBERS: bins(day)}) for n, day in enumerate(days)]))
    for n, day in enumerate(days[1:], 1):
        earlier = np.concatenate(days[:n])
        beyond = np.mean([value < min(earlier) or value > max(earlier) for value in day])
        apart = max(abs(np.mean(np.array(day) <= x) - np.mean(earlier <= x)) for x in range(-9, 10))
        assert found[n]["OutOfRangeRatio(n)"] == pytest.approx(beyond)
        assert found[n]["Drift(n, measure=ks)"] == pytest.approx(apart)


@given(st.lists(st.lists(st.integers(-5, 5), min_size=1, max_size=8), min_size=2, max_size=5))
@settings(max_examples=40, deadline=None)
def test_new_numbers_between_those_that_were_there_are_told_from_those_beyond(days):
    values = Series("Histogram", "n")
    found = values_of(with_references([batch(n, {values: top(day), NUMBERS: bins(day)}) for n, day in enumerate(days)]))
    assert "NewInRangeRatio(n)" not in found[0]
    for n, day in enumerate(days[1:], 1):
        earlier = {value for before in days[:n] for value in before}
        inside = [value not in earlier and min(earlier) < value < max(earlier) for value in day]
        assert found[n]["NewInRangeRatio(n)"] == pytest.approx(np.mean(inside), abs=1e-12)


def test_texts_have_no_range():
    found = values_of(with_references([batch(n, {VALUES: top(["a", str(n)])}) for n in range(2)]))
    assert found[1]["NewValueRatio(c)"] == 0.5
    assert "NewInRangeRatio(c)" not in found[1]


def test_drift_is_measured_against_the_last_four_weeks():
    days = [batch(n, {VALUES: top(["a"] if n < 5 else ["b"])}) for n in range(40)]
    found = values_of(with_references(days))
    assert found[5]["Drift(c, measure=js)"] == pytest.approx(1)
    assert found[33]["Drift(c, measure=js)"] == 0
    assert found[32]["Drift(c, measure=js)"] > 0


def test_shapes_and_sets_of_null_columns():
    nulls = [json.dumps([{"columns": names, "rows": 5}]).encode() for names in ([], ["a"], ["a"])]
    shapes = [top(["A{2}"]), top(["A{2}", "9{4}"]), top(["9{4}"])]
    days = [batch(n, {NULLS: nulls[n], SHAPES: shapes[n]}) for n in range(3)]
    assert values_of(with_references(days)) == [
        {"TopPatternRatio(c)": 1.0},
        {"UnseenNullPatternRatio(*)": 1.0, "NewPatternRatio(c)": 0.5, "TopPatternRatio(c)": 0.5},
        {"UnseenNullPatternRatio(*)": 0.0, "NewPatternRatio(c)": 0.0, "TopPatternRatio(c)": 1.0},
    ]


def test_what_is_not_known_in_full_has_no_new_values():
    days = [batch(n, {VALUES: top(["a", "b"], exact=n != 1)}) for n in range(3)]
    drift = "Drift(c, measure=js)"
    # the last one is known in full itself
    assert [list(one) for one in values_of(with_references(days))[1:]] == [
        [drift],
        [drift, "Entropy(c)", "UniqueValueRatio(c)"],
    ]


def test_without_sketches_nothing_changes():
    days = [batch(n, {}) for n in range(3)]
    assert with_references(days) == days


def test_an_unknown_format_is_left_alone():
    assert readable(None) is None
    assert readable({"format": "top", "version": 2, "bytes": b"{}"}) is None
    assert readable({"format": "top", "version": 1, "bytes": b"{}"}) == b"{}"


@pytest.mark.full
def test_two_hundred_batches_of_ten_columns_take_seconds():
    rng, names = np.random.default_rng(1), [Series("Histogram", f"c{i}") for i in range(10)]
    days = [batch(n, {one: top(rng.integers(0, 500, 900).tolist()) for one in names}) for n in range(200)]
    began = time.process_time()
    with_references(days)
    assert time.process_time() - began < 10
