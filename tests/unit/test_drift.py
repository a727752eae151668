"""Drift measures against numbers worked out by other means."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from quality.anomaly import drift
from quality.distributions import DRIFT_MEASURES

COUNTS = st.dictionaries(st.integers(-5, 5), st.integers(0, 50), max_size=8)


def test_rules_know_every_measure():
    assert tuple(drift.MEASURES) == DRIFT_MEASURES


def test_measures_of_two_known_windows():
    left, right = {"a": 50, "b": 50}, {"a": 25, "b": 75}
    assert drift.psi(left, right) == pytest.approx(0.25 * math.log(2) - 0.25 * math.log(2 / 3))
    assert drift.linf(left, right) == 0.25
    assert drift.ks(left, right) == 0.25
    assert drift.js(left, right) == pytest.approx(0.0487949, abs=1e-6)
    # a table of 2 x 2 with 200 rows: 200 (50 * 75 - 50 * 25)^2 / (100 * 100 * 75 * 125)
    assert drift.chi_square(left, right) == pytest.approx(200 * 2500**2 / (100 * 100 * 75 * 125))


def test_ks_goes_by_the_order_of_bins_and_linf_does_not():
    left, right = {1: 10, 2: 10, 3: 10}, {3: 10, 4: 10, 5: 10}
    assert drift.ks(left, right) == pytest.approx(2 / 3)
    assert drift.linf(left, right) == pytest.approx(1 / 3)


def test_windows_without_a_value_in_common_are_as_far_apart_as_can_be():
    assert drift.js({"a": 1}, {"b": 9}) == pytest.approx(1)
    assert drift.linf({"a": 1}, {"b": 9}) == 1
    found = drift.psi({"a": 1}, {"b": 9})
    assert found is not None
    assert math.isfinite(found)


@pytest.mark.parametrize("measure", drift.MEASURES.values(), ids=list(drift.MEASURES))
def test_of_nothing_there_is_nothing_to_say(measure):
    assert measure({}, {"a": 1}) is None
    assert measure({"a": 0}, {"a": 1}) is None


@pytest.mark.parametrize("measure", drift.MEASURES.values(), ids=list(drift.MEASURES))
@given(COUNTS, COUNTS)
def test_every_measure_is_a_distance_of_sorts(measure, left, right):
    found = measure(left, right)
    if found is not None:
        assert found >= 0
        assert found == pytest.approx(measure(right, left))
        assert measure(left, left) == pytest.approx(0)


@given(COUNTS, COUNTS)
def test_ks_is_that_of_the_rows(left, right):
    rows = [[key for key, count in side.items() for _ in range(count)] for side in (left, right)]
    if all(rows):
        by_hand = max(
            abs(sum(v <= x for v in rows[0]) / len(rows[0]) - sum(v <= x for v in rows[1]) / len(rows[1]))
            for x in range(-6, 7)
        )
        assert drift.ks(left, right) == pytest.approx(by_hand)


@given(st.lists(COUNTS, max_size=4))
def test_windows_merge_as_counters_do(windows):
    assert drift.merged(windows) == dict(sum_of(windows))


def sum_of(windows):
    total: Counter[int] = Counter()
    for window in windows:
        total.update(window)
    return total


def test_unseen_values_and_those_out_of_range_are_shares_of_rows():
    assert drift.unseen({"a": 90, "z": 10}, {"a", "b"}) == 0.1
    assert drift.out_of_range({-1: 5, 0: 10, 7: 85}, 0, 6) == 0.9
    assert drift.unseen({}, {"a"}) is None
    assert drift.out_of_range({}, 0, 1) is None


def test_bins_of_several_types_have_some_order():
    assert drift.linf({"a": 1, 1: 1, None: 2}, {"a": 4}) == 0.75


@given(COUNTS, st.dictionaries(st.integers(-50, 50), st.integers(0, 50), min_size=1, max_size=80))
@example({0: 1}, {0: 0, -1: 1})
def test_tenths_keep_the_order_the_rows_and_what_lies_beyond_the_reference(counts, reference):
    left, right = drift.tenths(counts, reference)
    there = [key for key, count in reference.items() if count]
    if not there:
        return
    assert sum(left.values()) == sum(counts.values())
    assert sum(right.values()) == sum(reference.values())
    # a last part may be empty, as bins of a reference may be
    beyond = max(part for part, count in right.items() if count) + 1
    assert sum(left.get(part, 0) for part in (0, beyond)) == sum(
        count for key, count in counts.items() if key < min(there) or key > max(there)
    )
    parts = [count for count in right.values() if count]
    assert len(parts) <= drift.PARTS
    # a part is not larger than a tenth and the bin that filled it
    assert max(parts) <= sum(parts) / drift.PARTS + max(reference.values())


def test_a_reference_of_equal_bins_is_divided_into_ten():
    _, right = drift.tenths({}, dict.fromkeys(range(1000), 3))
    assert sorted(right.values()) == [300] * 10


def test_values_that_are_rare_on_both_sides_are_one():
    left = {"a": 99, "b": 1, **{f"x{n}": 0.5 for n in range(4)}}
    right = {"a": 90, "x1": 10, drift.RARE: 1, "x9": 0.5}
    assert drift.frequent(left, right) == (
        {"a": 99, "x1": 0.5, drift.RARE: 2.5},
        {"a": 90, "x1": 10, drift.RARE: 1.5},
    )
