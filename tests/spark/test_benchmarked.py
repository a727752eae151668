"""What the benchmark of anomalies measures is what the product measures: days of flights through profile and history, against the
benchmark's own metrics and against pandas."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import quality
from quality import anomalies
from quality.anomaly.values import Series
from quality.backfill import backfill
from quality.referenced import with_references
from quality.rulefile import load
from quality.storage.store import LocalStore
from tests.written import Place

DAYS = 9
#: Of these the sketch has bins, and the benchmark its own coarser ones.
BINNED = ("ApproxQuantile", "Drift", "OutOfRangeRatio", "NewInRangeRatio")


@pytest.fixture(scope="module")
def measured(spark, tmp_path_factory):
    """The metrics of the last of nine days, which has doubled rows and swapped values, and the days."""
    patch = pytest.MonkeyPatch()
    patch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    import daily
    import faults

    patch.undo()
    days = [batch for _, batch in daily.load("flights")[:DAYS]]
    rng = np.random.default_rng(1)
    for fault, share in (("case_change", 0.05), ("swap_text", 0.1), ("duplicates", 0.03)):
        days[-1], _ = faults.inject(days[-1], fault, share, rng) or ({}, ())
    place = Place(tmp_path_factory.mktemp("benchmarked"), spark)
    (place.directory / "in").mkdir()
    for n, day in enumerate(days):
        table = pa.table({name: pa.array(values, from_pandas=True) for name, values in day.items()})
        pq.write_table(table, place.directory / "in" / f"2013-01-{n + 1:02}.parquet")
    rules = place.rules(path="{{ batch }}.parquet", format="parquet", top="profile: true\nanomalies: {}")
    backfill(rules, spark=spark)
    found = with_references(quality.History(str(place.root), "d").batches())
    profile = daily.Profile(days[0])
    for day in days[:-1]:
        profile.learn(day)
    return found, profile.of(days[-1]), [pd.DataFrame(day) for day in days], rules


def test_the_metrics_of_the_benchmark_are_those_of_the_product(measured):
    found, benchmark, _, _ = measured
    points = found[-1].points
    assert {one.name for one in benchmark} >= {"DuplicateRatio", "UnseenPairRatio", "LetterShare", "Shapes"}
    assert [str(one) for one in benchmark if one not in points and one.name != "ApproxQuantile"] == []
    exact = {one: value for one, value in benchmark.items() if one.name not in BINNED}
    assert {str(one): points[one].value for one in exact} == {
        str(one): pytest.approx(value, rel=1e-9, abs=1e-12) for one, value in exact.items()
    }
    assert {one for one in points if one.name == "UnseenPairRatio"} == {
        o for o in benchmark if o.name == "UnseenPairRatio"
    }


def test_copies_signs_and_new_pairs_are_those_of_pandas(measured):
    found, _, days, _ = measured
    points, last, earlier = found[-1].points, days[-1], pd.concat(days[:-1])
    copies = points[Series("DuplicateRatio")]
    assert (copies.numerator, copies.denominator) == (last.duplicated().sum(), len(last))
    assert copies.value > 0.02
    text = "".join(last["tailnum"].dropna())
    capitals = points[Series("LetterShare", "tailnum", parameters=(("kind", "upper"),))].value
    assert capitals == pytest.approx(sum(sign.isupper() for sign in text) / len(text))
    pairs = {one: point.value for one, point in points.items() if one.name == "UnseenPairRatio"}
    assert max(pairs.values()) > 0.03
    for one, value in pairs.items():
        both = one.instance.split(",")
        known = earlier[both].drop_duplicates().assign(known=True)
        new = last[both].merge(known, how="left", on=both)["known"].isna().to_numpy()
        there = np.all([last[name].isin(earlier[name]).to_numpy() for name in both], axis=0)
        assert value == pytest.approx((new & there).mean()), one
    assert all("UnseenPairRatio" not in {one.name for one in batch.points} for batch in found[:7])


def test_a_run_sees_in_its_batch_what_the_history_shows_of_it(spark, measured):
    """What earlier batches make possible (new values, pairs, shapes, drift) takes part in the judgement of the run itself."""
    *_, rules = measured
    settings = load(rules).anomalies
    assert settings
    made = quality.run(rules, f"2013-01-{DAYS:02}", spark=spark)
    store = LocalStore(str(rules.parent / "out"))
    _, judgement = anomalies.judge_stored(store, "d", f"2013-01-{DAYS:02}", settings)
    assert made.data["anomalies"] == [one.to_dict() for one in judgement.anomalies]
    assert {one["metric"] for one in made.data["anomalies"]} & {"NewValueRatio", "NewPatternRatio", "UnseenPairRatio"}


def test_a_day_like_the_others_has_few_of_them(measured):
    found, *_ = measured
    day = found[-2].points
    assert day[Series("DuplicateRatio")].value == 0
    assert max(point.value for one, point in day.items() if one.name == "UnseenPairRatio") < 0.1
    for before, after in pairwise(found[:-1]):
        shares = [
            one.points[Series("LetterShare", "carrier", parameters=(("kind", "digit"),))].value
            for one in (before, after)
        ]
        assert shares[0] == pytest.approx(shares[1], abs=0.03)
