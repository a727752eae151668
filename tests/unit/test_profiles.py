"""Sketches and profiles without Spark: bins, distinct counts, metrics, and how a profile is shown."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quality import row_samples
from quality.model import Column, Metric, MetricKey
from quality.profiles import metrics, profile, read_bins, with_profile
from quality.report.profile_page import render as page
from quality.report.profiles import render
from quality.sensitive import Sensitive
from quality.tally import Bins, ColumnTally, Numbers, RowSample, Tallied, Texts, Top, distinct, read_key_runs


def bins_of(values, *, relative=True, shift=0):
    """As `Bins.java` numbers them."""
    if relative:
        bits = np.array(values, dtype=np.float64).view(np.int64)
        size = (bits & (2**63 - 1)) >> 46
        numbers = np.where(np.signbit(np.array(values, dtype=np.float64)) & (size > 0), -size, size)
    else:
        numbers = np.array(values, dtype=np.int64) >> shift
    unique, counts = np.unique(numbers, return_counts=True)
    return Bins(relative, shift, unique, counts)


FINITE = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e300, max_value=1e300).filter(
    lambda x: x == 0 or abs(x) > 1e-300
)


@settings(deadline=None)
@given(st.lists(FINITE, min_size=1, max_size=60))
def test_every_value_lies_in_its_bin_and_near_its_middle(values):
    found = bins_of(values)
    starts, ends = found.edges()
    for value in values:
        inside = [(a, b) for a, b in zip(starts, ends, strict=True) if a <= value <= b]
        assert inside
        assert any(abs((a + b) / 2 - value) <= 0.01 * abs(value) for a, b in inside)


@settings(deadline=None)
@given(st.lists(FINITE, min_size=1, max_size=60), st.sampled_from((0.0, 0.05, 0.5, 0.95, 1.0)))
def test_a_quantile_is_near_the_value_of_that_rank(values, q):
    ordered = sorted(values)
    exact = ordered[math.floor(q * (len(ordered) - 1))]
    found = bins_of(values).quantile(q, ordered[0], ordered[-1])
    assert found is not None
    assert abs(found - exact) <= 0.01 * abs(exact) + 1e-300


def test_a_bin_of_one_whole_number_is_that_number():
    found = bins_of([1, 5, 5, 20])
    assert [found.quantile(q, 1, 20, whole=True) for q in (0.0, 0.5, 1.0)] == [1, 5, 20]


@settings(deadline=None)
@given(st.lists(FINITE, max_size=30), st.lists(FINITE, max_size=30))
def test_bins_merge_as_if_all_had_been_counted_together(one, other):
    merged, whole = bins_of(one).merged(bins_of(other)), bins_of(one + other)
    assert merged.numbers.tolist() == whole.numbers.tolist()
    assert merged.counts.tolist() == whole.counts.tolist()


def test_even_bins_of_unlike_width_merge_at_the_wider():
    merged = bins_of([0, 7, 8], relative=False).merged(bins_of([0, 9, 17], relative=False, shift=3))
    assert merged.shift == 3
    assert dict(zip(merged.numbers.tolist(), merged.counts.tolist(), strict=True)) == {0: 3, 1: 2, 2: 1}


@pytest.mark.parametrize("count", (0, 1, 10, 1_000, 5_000, 100_000))
def test_distinct_values_are_estimated_within_a_few_percent(count):
    registers = bytearray(4096)
    for n in range(count):
        hashed = int.from_bytes(hashlib.sha256(str(n).encode()).digest()[:8], "big")
        place, rest = hashed >> 52, (hashed << 12) & (2**64 - 1) | 1 << 11
        registers[place] = max(registers[place], 64 - rest.bit_length() + 1)
    assert distinct(bytes(registers)) == pytest.approx(count, rel=0.05)
    assert distinct(None) == 0


def tallied():
    numbers = Numbers(1, 0, 0, 0, 0, 4, 2.0, 10.0, 0.0, 82.0, 0.0, 5.0, bins_of([0, 1, 2, 5]))
    top = Top((("0", 1), ("1", 1), ("2", 1), ("5", 1)), True, 0)
    words = Texts(6, 1, 0, 0, 4, bins_of([0, 2, 4]), {"Text": 2, "Integral": 1}, {"a{2}": 1, "": 1, "9{4}": 1}, 0)
    columns = (
        ColumnTally("int", 4, None, top, numbers=numbers),
        ColumnTally("string", 3, None, Top((("ab", 1), ("", 1), ("2024", 1)), True, 0), texts=words),
        ColumnTally("boolean", 5, trues=2),
        ColumnTally("binary", 0),
    )
    return Tallied(5, (), {(): 2, (1,): 2, (0, 3): 1}, 0, columns)


COLUMNS = (Column("n", "int"), Column("t", "string"), Column("b", "boolean"), Column("x", "binary"))


def test_a_profile_becomes_metrics_by_deequs_names():
    found = {(m.key.name, m.key.instance, m.key.parameters): m for m in metrics(profile(tallied(), COLUMNS))}
    assert found["Completeness", "n", ()].value == 0.8
    assert (found["Completeness", "t", ()].numerator, found["Completeness", "t", ()].denominator) == (3, 5)
    assert found["ApproxQuantile", "n", (("q", "0.5"),)].value == 1
    assert found["StandardDeviation", "n", ()].value == pytest.approx(math.sqrt(2.5))
    assert found["DataType", "t", (("type", "Integral"),)].value == pytest.approx(1 / 3)
    assert found["MeanLength", "t", ()].value == 2
    assert found["ApproxCountDistinct", "b", ()].value == 2
    assert found["TopValueRatio", "b", ()].value == pytest.approx(0.6)
    assert found["Completeness", "x", ()].value == 0
    sketch = found["ApproxQuantiles", "n", ()].sketch
    assert sketch is not None
    assert read_bins(sketch.content).counts.tolist() == [1, 1, 1, 1]


def test_a_rules_own_value_stands_and_takes_the_sketch():
    key = MetricKey("Column", "ApproxCountDistinct", "b")
    kept = {m.key: m for m in with_profile([Metric(key, 7), Metric(MetricKey("Dataset", "Size", "*"), 5)], None)}
    assert kept[key].sketch is None
    kept = {m.key: m for m in with_profile([Metric(key, 7)], profile(tallied(), COLUMNS))}
    assert kept[key].value == 7


def test_a_profile_without_rows_says_nothing_it_does_not_know():
    nothing = Numbers(0, 0, 0, 0, 0, 0, 0.0, 0.0, 0.0, 0.0, math.inf, -math.inf, bins_of([]))
    empty = Tallied(0, (), {}, 0, (ColumnTally("int", 0, None, Top((), True, 0), numbers=nothing),))
    found = profile(empty, (Column("n", "int"),))
    assert found.columns[0].completeness is None
    assert found.columns[0].to_dict()["minimum"] is None
    assert "0 rows, 1 column\n" in render(found)
    assert {m.key.name for m in metrics(found) if m.value is not None} >= {"Size", "ZerosCount"}


def test_a_profile_is_shown_a_line_a_column():
    shown = render(profile(tallied(), COLUMNS)).splitlines()
    assert shown[0] == "5 rows, 4 columns"
    assert shown[3].split() == ["n", "int", "80%", "4", "0", "0", "1", "5", "5"]
    assert shown[5].endswith("false 60%, true 40%")
    assert shown[6].split() == ["x", "binary", "0%"]


def test_what_would_move_the_cursor_is_spelled_out():
    named = (Column("a\r\x1b[2J", "int"), Column("b\nc", "string"), *COLUMNS[2:])
    shown = render(profile(tallied(), named)).splitlines()
    assert [line.partition("  ")[0] for line in shown[3:5]] == ["a\\r\\x1b[2J", "b\\nc"]


def test_rows_that_are_copies_are_told_and_kept():
    counts = np.array([1, 3, 1])
    sample = RowSample(0, np.arange(3), counts, np.zeros((3, 4), np.uint32))
    found = profile(replace(tallied(), counted=sample, kept=sample), COLUMNS)
    assert render(found).startswith("5 rows, 4 columns; 40.00% of the rows are copies of another\n")
    assert "5 rows, 4 columns; 40.00% of the rows are copies" in page(found, "in/a.csv")
    kept = {metric.key.name: metric for metric in metrics(found)}
    ratio = kept["DuplicateRatio"]
    assert (ratio.value, ratio.numerator, ratio.denominator) == (0.4, 2, 5)
    assert kept["RowSample"].sketch is not None
    assert [*row_samples.read(kept["RowSample"].sketch.content).columns] == ["n", "t", "b"], (
        "bytes are nothing to compare"
    )
    hiding = profile(replace(tallied(), counted=sample, kept=sample), COLUMNS, sensitive=Sensitive.of({"t": "mask"}))
    assert [*row_samples.read(hiding.sample or b"").columns] == ["n", "b"]


def test_keys_that_were_not_sorted_tell_nothing():
    assert read_key_runs(b"\x00" + bytes(8) * 2 + bytes(4) * 2) is None
    found = read_key_runs(b"\x01" + (5).to_bytes(8, "big") + (4).to_bytes(8, "big") + bytes(4) + (1).to_bytes(4, "big") + (7).to_bytes(8, "big") + (2).to_bytes(8, "big"))  # fmt: skip
    assert found is not None
    assert (found.rows, found.keys, found.doubled) == (5, 4, ((7, 2),))
