"""Sampled rows without Spark: their sketch, pairs of values that are new, and a history that knew none of it."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quality import row_samples
from quality.anomaly.judging import judge
from quality.anomaly.pairs import FIRST, Pairs, Rows
from quality.anomaly.values import Batch, Point, Series
from quality.referenced import readable, with_references
from quality.tally import RowSample, letter_shares

START = datetime(2024, 1, 1, tzinfo=timezone.utc)
DRAW = np.random.default_rng(5)


def sample(columns, times=None):
    values = np.array(list(columns.values()), np.uint32).T
    counts = np.ones(len(values), np.int64) if times is None else np.array(times)
    return RowSample(0, np.arange(len(values)) << 40 | 7, counts, values)


@given(st.lists(st.tuples(*[st.integers(0, 2**32 - 1)] * 3, st.integers(1, 2**40)), max_size=30))
@settings(max_examples=50, deadline=None)
def test_a_sketch_is_read_as_it_was_written(rows):
    columns = {name: [row[place] for row in rows] for place, name in enumerate(("a", "ö,b", "c"))}
    written = RowSample(3, np.arange(len(rows)), np.array([row[3] for row in rows], np.int64),
                        np.array([row[:3] for row in rows], np.uint32).reshape(len(rows), 3))  # fmt: skip
    found = row_samples.read(row_samples.write(written, list(columns), ["ö,b", "c"]))
    assert {name: values.tolist() for name, values in found.columns.items()} == {n: columns[n] for n in ("ö,b", "c")}
    assert found.times.tolist() == [row[3] for row in rows]


def test_identifiers_nested_and_sensitive_columns_are_not_kept():
    assert [row_samples.kept(n, sensitive=False) for n in (1, 3000, 3001, None)] == [True, True, False, False]
    assert not row_samples.kept(5, sensitive=True)


@given(st.lists(st.sampled_from("abcdef"), max_size=20))
def test_copies_are_all_rows_but_the_first_of_each(rows):
    counts = [rows.count(row) for row in set(rows)]
    naive = sum(row in rows[:place] for place, row in enumerate(rows))
    assert row_samples.doubled(counts) == (naive, len(rows))


def test_letters_by_their_kind():
    assert letter_shares({"digit": 1, "upper": 2, "lower": 3}, 10) == {
        "digit": 0.1,
        "upper": 0.2,
        "lower": 0.3,
        "other": 0.4,
    }
    assert letter_shares({"digit": 0, "upper": 0, "lower": 0}, 0) == {}


def a_day(swapped=0, size=300):
    """An origin tells its gate and its terminal; a passenger's seat tells nothing."""
    origin = DRAW.integers(1, 30, size)
    day = {"origin": origin, "gate": 1000 + 10 * origin + DRAW.integers(0, 3, size), "seat": DRAW.integers(1, 50, size)}
    day["gate"][:swapped] = day["gate"][::-1][:swapped]
    return day


def test_a_new_pair_is_one_of_values_that_were_there_but_never_together():
    days = [a_day() for _ in range(FIRST + 3)] + [a_day(swapped=40)]
    days[-2] = {name: values for name, values in days[-2].items() if name != "gate"}
    # a gate that never was is new, beside whichever origin
    days[-1]["gate"][-30:] = 7777
    pairs = Pairs()
    known: dict[tuple[str, str], set[tuple[int, int]]] = {pair: set() for pair in combinations(days[0], 2)}
    for place, day in enumerate(days):
        times = DRAW.integers(1, 4, len(day["origin"]))
        rows = Rows({name: values.astype(np.uint32) for name, values in day.items()}, times)
        found = pairs.of(rows)
        if place < FIRST or "gate" not in day:
            assert found == {}
        else:
            assert [*found] == [("origin", "gate")], "the seat has nothing to do with the others"
            seen = known["origin", "gate"]
            origins, gates = ({pair[side] for pair in seen} for side in (0, 1))
            today = zip(day["origin"], day["gate"], strict=True)
            new = [pair not in seen and pair[0] in origins and pair[1] in gates for pair in today]
            assert found["origin", "gate"] == pytest.approx(times[new].sum() / times.sum())
        pairs.learn(rows)
        for a, b in known:
            known[a, b] |= set(zip(day.get(a, ()), day.get(b, ()), strict=False)) if a in day and b in day else set()
    assert 0.05 < found["origin", "gate"] < 40 / 300
    assert pairs.of(rows, ["seat"]) == {}
    assert pairs.of(Rows({name: np.array([]) for name in day}, np.array([]))) == {}


def test_batches_get_the_share_of_new_pairs_from_their_sketches():
    name = Series("UnseenPairRatio", "origin,gate")
    days = [a_day() for _ in range(FIRST)] + [a_day(swapped=40)]
    contents = [row_samples.write(sample(day), list(day), day) for day in days]
    batches = [batch(n, {}, {Series("RowSample"): content}) for n, content in enumerate(contents)]
    # a batch of an older history in between is passed over
    batches.insert(3, batch(20, {}, {}))
    found = with_references(batches)
    known = {pair for day in days[:-1] for pair in zip(day["origin"], day["gate"], strict=True)}
    new = [pair not in known for pair in zip(days[-1]["origin"], days[-1]["gate"], strict=True)]
    assert found[-1].points[name].value == pytest.approx(np.mean(new))
    assert [name in one.points for one in found] == [False] * 8 + [True]
    assert readable({"format": "rows", "version": 1, "bytes": contents[0]}) == contents[0]
    assert readable({"format": "rows", "version": 2, "bytes": contents[0]}) is None


def batch(n, points, sketches):
    return Batch(str(n), START + timedelta(days=n), 1000, points, sketches)


@pytest.mark.parametrize("since", (30, 25, 8))
def test_a_metric_that_appears_is_no_anomaly(since):
    """A history that was written before a profile told of copies, signs and pairs."""

    def points(n):
        found = {Series("Mean", "p"): Point(50 + DRAW.normal()), Series("Size"): Point(1000.0)}
        if n >= since:
            found |= {Series("DuplicateRatio"): Point(0.02 + 0.002 * DRAW.random(), 20, 1000)}
            found |= {Series("UnseenPairRatio", "a,b"): Point(0.03 + 0.005 * DRAW.random())}
            found |= {Series("LetterShare", "t", parameters=(("kind", "digit"),)): Point(0.3 + 0.01 * DRAW.random())}
        return found

    days = [batch(n, points(n), {}) for n in range(34)]
    for place in range(30, 34):
        assert judge(days[:place], days[place]).anomalies == ()
