"""The passes a plan promises, those a run says it made, and those that Spark itself has in its books."""

from __future__ import annotations

import json
import re
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import quality
from quality.backends.sizing import KEPT_TEXT
from quality.errors import UsageError
from tests.sizes import as_large, in_size
from tests.written import Place

#: Of the whole numbers in k the first four occur twice: few enough to be looked at one by one.
ROWS = [{"n": n, "k": 1000 * (n % 96), "t": "abc"[n % 3]} for n in range(100)]
ONE_KEY = "- above: {column: n, value: 3}\n- unique: k\n- mean: {column: n, at_least: 0}"
TWO_KEYS = f"{ONE_KEY}\n- key: [n, t]\n- {{uniqueness: {{columns: [k], at_least: 0.1}}}}"
AT_ONCE = "spark.sql.inMemoryColumnarStorage.batchSize"
KEPT = f"{ONE_KEY}\n- {{name: kept, at_most: {{column: n, value: 50}}, on_fail: keep}}"

#: Of ten rows n is too small or k is doubled.
ROWS_OF_KEPT = {"input": 100, "passed": 92, "quarantined": 8}


@pytest.fixture
def place(spark, tmp_path):
    found = Place(tmp_path, spark)
    (tmp_path / "in").mkdir()
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "in" / "a.parquet")
    (tmp_path / "in" / "a.csv").write_text("n,k,t\n" + "".join(f"{r['n']},{r['k']},{r['t']}\n" for r in ROWS))
    return found


def in_the_books(spark: Any, place: Place, action: Any) -> tuple[Any, list[str]]:
    """What the action returned, and the widths of the schema of each scan of the input that ran."""
    spark.conf.set("spark.sql.maxMetadataStringLength", "10000")
    books = spark._jsparkSession.sharedState().statusStore()
    bus = spark.sparkContext._jsc.sc().listenerBus()
    bus.waitUntilEmpty()
    before = {execution.executionId() for execution in listed(books.executionsList())}
    try:
        returned = action()
    finally:
        spark.conf.unset("spark.sql.maxMetadataStringLength")
    bus.waitUntilEmpty()
    scans = []
    for execution in listed(books.executionsList()):
        number = execution.executionId()
        if number in before:
            continue
        ran = books.executionMetrics(number)
        for node in listed(books.planGraph(number).allNodes()):
            if node.name().startswith("Scan ") and f"{place.directory}/in/" in node.desc():
                # what is kept from an earlier pass stands in the plan with its scan, which does not run again
                rows = [m.accumulatorId() for m in listed(node.metrics()) if m.name() == "number of output rows"]
                scans += [node.desc() for id in rows if ran.contains(id) and ran.get(id).get() != "0"]
    return returned, scans


def listed(seq: Any) -> list[Any]:
    return [seq.apply(index) for index in range(seq.size())]


@pytest.mark.parametrize("rules", (ONE_KEY, TWO_KEYS, KEPT), ids=("one key", "two keys", "kept"))
@pytest.mark.parametrize("form", ("parquet", "csv"))
@pytest.mark.parametrize("size", ("large", "small"))
def test_spark_read_the_input_as_often_as_was_planned(spark, place, rules, form, size):
    more = {"input": "options: {header: true}", "top": "columns: {n: {type: integer}, k: {type: integer}}"}
    if form == "parquet":
        more = {}

    with in_size(spark, size):
        result, scans = in_the_books(spark, place, lambda: place.run(rules, format=form, path=f"a.{form}", **more))
    planned, actual = result.data["passes"]["planned"], result.data["passes"]["actual"]
    assert {name: actual[name] for name in planned} == planned
    assert len(scans) == actual["wide"] + actual["narrow"]
    keys = 2 if rules == TWO_KEYS else 1
    # k is taken for sorted, counted, and looked at closer; of a small batch one reading is all; of a large text the first
    # pass keeps the rows
    assert planned["narrow"] == (keys if size == "small" else keys + 2 if form == "parquet" else 0)
    assert planned["wide"] == 1 or form == "parquet" or size == "small"
    assert planned["shuffles"] == 0 if size == "small" else planned["shuffles"] >= keys
    assert (actual["shuffle_bytes"] > 0) is (size == "large")
    run_row = pq.read_table(next((place.root / "history" / "runs").rglob("*.parquet"))).to_pylist()[0]
    assert run_row["shuffle_bytes"] == actual["shuffle_bytes"]


@pytest.mark.parametrize("limit", ("0", "1g"))
def test_text_is_kept_by_the_first_pass_up_to_a_size_and_then_let_go(spark, place, limit):
    more = {"input": "options: {header: true}", "top": "columns: {n: {type: integer}, k: {type: integer}}"}
    # others keep what is theirs: Delta the states of its tables
    before = {*spark.sparkContext._jsc.getPersistentRDDs()}
    spark.conf.set(KEPT_TEXT, limit)
    spark.conf.set(AT_ONCE, "5000")
    try:
        with as_large(spark):
            result, scans = in_the_books(spark, place, lambda: place.run(KEPT, format="csv", path="a.csv", **more))
    finally:
        spark.conf.unset(KEPT_TEXT)
        left = spark.conf.get(AT_ONCE)
        spark.conf.unset(AT_ONCE)
    assert left == "5000"
    assert {*spark.sparkContext._jsc.getPersistentRDDs()} <= before
    # the batch, its key twice, both sides and what fails and stays; or the batch alone
    assert len(scans) == (6 if limit == "0" else 1)
    assert {name: result.data["rows"][name] for name in ("input", "passed", "quarantined")} == ROWS_OF_KEPT
    assert result.rule("kept")["failed_rows"] == sum(n > 50 for n in range(100))


def test_keys_that_come_sorted_take_one_pass_and_no_shuffle(spark, place):
    pq.write_table(
        pa.table({"n": range(1000), "k": [n - (n == 500) for n in range(1000)]}), place.directory / "in" / "a.parquet"
    )
    with as_large(spark):
        result, scans = in_the_books(spark, place, lambda: place.run(ONE_KEY, format="parquet", path="a.parquet"))
    actual = result.data["passes"]["actual"]
    assert (actual["wide"], actual["narrow"], actual["shuffles"], len(scans)) == (1, 1, 0, 2)
    assert result.rule("k.unique")["failed_rows"] == 2


def test_metrics_that_no_tally_has_take_a_narrow_pass(spark, place):
    rules = "- above: {column: n, value: 3}\n- correlation: {columns: [n, k], at_least: -1}\n- mean: {column: n, at_least: 0}"
    with as_large(spark):
        result, scans = in_the_books(spark, place, lambda: place.run(rules, format="parquet", path="a.parquet"))
    actual = result.data["passes"]["actual"]
    assert (actual["wide"], actual["narrow"], len(scans)) == (1, 1, 2)
    assert result.rule("n.mean")["metric"]["value"] == 49.5


def test_a_plan_over_the_budget_is_refused_with_what_forces_it(place):
    rules = place.rules(TWO_KEYS, format="parquet", path="a.parquet")
    with as_large(place.spark):
        enough = quality.run(rules, "b", spark=place.spark, max_scans=5)
        assert enough.exit_code == 1
        refused = quality.run(rules, "b", spark=place.spark, max_scans=4, force=True)
    assert (refused.exit_code, refused.data["decision"]) == (3, "none")
    assert refused.data["message"].splitlines() == [
        "the plan reads the batch up to 5 times, 4 allowed:",
        "  narrow: counting keys of k as if they were sorted (for k.unique, k.uniqueness)",
        "  narrow: counting keys of k, one shuffle (for k.unique, k.uniqueness)",
        "  narrow: looking closer at doubled keys of k, one shuffle (for k.unique, k.uniqueness)",
        "  narrow: counting keys of n, t, one shuffle (for key(n,t))",
        "  wide: judging rows and writing each to its side, counting beside it (for n.above, k.unique, key(n,t) and 1 more)",
    ]
    assert refused.data["passes"]["actual"]["jobs"] is None
    assert json.loads((place.root / "commits/d/b/1.json").read_text())["run"] == enough.data["run"]


def test_a_budget_below_one_is_a_mistake(place):
    rules = place.rules(ONE_KEY, format="parquet", path="a.parquet")
    with pytest.raises(UsageError, match="'max_scans' must be at least 1, got 0"):
        quality.run(rules, "b", spark=place.spark, max_scans=0)


OWN = (
    "- entropy: {column: n, equals: 0}\n- top_value_ratio: {column: n, at_most: 0.01}\n"
    "- mutual_information: {columns: [n, t], above: 1}\n- most_common_value: {column: t, in: [b]}\n"
    "- distinct_values: {column: t, equals: [a, b, x, y]}"
)


@pytest.mark.parametrize("size", ("large", "small"))
def test_metrics_of_the_same_values_share_a_pass_of_their_own(spark, place, size):
    with in_size(spark, size):
        result, scans = in_the_books(spark, place, lambda: place.run(OWN, format="parquet", path="a.parquet"))
    planned, actual = result.data["passes"]["planned"], result.data["passes"]["actual"]
    assert {name: actual[name] for name in planned} == planned
    # values of n, of n and t, of t
    assert planned["narrow"] == 3
    assert len(scans) == actual["wide"] + actual["narrow"]
    assert planned["shuffles"] == (3 if size == "large" else 0)
    told = {rule["type"]: rule["message"] for rule in result.data["rules"] if rule["status"] == "failed"}
    assert told.keys() == {"entropy", "most_common_value", "distinct_values"}
    assert told["entropy"].startswith("Entropy of 'n' is 4.60517, must be = 0")
    assert told["most_common_value"] == "t: the most common value is 'a' (34 rows); must be one of b"
    assert told["distinct_values"] == (
        "t: 'x', 'y' do not occur; 33 rows have another value, such as 'c'; must be exactly a, b, x, y"
    )


OUTLIERS = (
    "- no_outliers: {column: n, method: mad, factor: 1}\n"
    "- {no_outliers: {column: k, factor: 0.1}, name: far, severity: warning}\n- above: {column: n, value: 3}"
)


@pytest.mark.parametrize(("size", "form"), (("large", "parquet"), ("small", "parquet"), ("large", "csv")))
def test_bounds_that_come_from_the_batch_are_found_before_rows_are_judged(spark, place, size, form):
    more = {"top": "columns: {k: {sensitive: true}}"}
    if form == "csv":
        columns = "columns: {n: {type: integer}, k: {type: integer, sensitive: true}}"
        more = {"input": "options: {header: true}", "top": columns}

    with in_size(spark, size):
        result, scans = in_the_books(spark, place, lambda: place.run(OUTLIERS, format=form, path=f"a.{form}", **more))
    planned, actual = result.data["passes"]["planned"], result.data["passes"]["actual"]
    assert {name: actual[name] for name in planned} == planned
    # all that is of values, and how far they are from the median; of a large text the rows are kept
    assert planned["narrow"] == (0 if form == "csv" else 2)
    assert len(scans) == actual["wide"] + actual["narrow"]
    # the median of 0 to 99 is 49, the median distance from it 25
    entry = result.rule("n.no_outliers")
    assert entry["failed_rows"] == sum(abs(n - 49) > 1.4826 * 25 for n in range(100))
    # the quartiles are 20,000 and 70,000
    assert result.rule("far")["failed_rows"] == sum(not 15_000 <= 1000 * (n % 96) <= 75_000 for n in range(100))
    assert entry["message"].endswith("; must be no outlier (mad, factor 1): between 11.935 and 86.065")
    assert result.rule("far")["message"].endswith("; must be no outlier (iqr, factor 0.1)")


ORDERED = (
    "- ordered: {column: k, order_by: n}\n- {ordered: {column: n, order_by: n, direction: decreasing}, name: down}\n"
    "- {ordered: {column: k, order_by: [n], per: [t], strict: true}, name: apart, where: n <> 96, on_fail: keep}\n"
    "- {ordered: {column: k, order_by: [n], per: [t], strict: true}, name: again, where: n <> 96, severity: warning}\n"
    "- {ordered: {column: t, order_by: m}, name: map}\n- {ordered: {column: t, order_by: n}, name: gone, where: x > 1}"
)


@pytest.mark.full
@pytest.mark.parametrize("size", ("large", "small"))
def test_rows_out_of_order_are_found_by_the_columns_that_are_compared(spark, place, size):
    rows = [{**row, "m": [("a", row["n"])]} for row in ROWS]
    kinds = pa.schema({"n": pa.int64(), "k": pa.int64(), "t": pa.string(), "m": pa.map_(pa.string(), pa.int64())})
    pq.write_table(pa.Table.from_pylist(rows[50:] + rows[:50], kinds), place.directory / "in" / "a.parquet")

    with in_size(spark, size):
        result, scans = in_the_books(spark, place, lambda: place.run(ORDERED, format="parquet", path="a.parquet"))
    planned, actual = result.data["passes"]["planned"], result.data["passes"]["actual"]
    assert {name: actual[name] for name in ("narrow", "shuffles")} == {
        "narrow": planned["narrow"],
        "shuffles": planned["shuffles"],
    }
    # ranges of n are sampled twice and sorted twice; per t there is nothing to sample
    assert planned["narrow"] == 5
    read = [re.sub(r"#[0-9]+L?", "", scan[scan.index("[") + 1 : scan.index("]")]) for scan in scans]
    assert read[:3] == ["n,k", "n", "n,k,t"]
    # k begins anew at 96, which rules do not look at: 97, 98 and 99 are the next of their letters
    late = [97, 98, 99]
    assert result.rule("ordered(k,n)")["failed_rows"] == 1
    assert result.rule("down")["failed_rows"] == 99
    assert result.rule("apart")["failed_rows"] == result.rule("again")["failed_rows"] == len(late)
    assert result.rule("map")["message"] == "could not tell: column 'm' is map<string,bigint>, which has no order"
    assert "column 'x' is not in the data" in result.rule("gone")["message"]
    assert result.data["rows"] == {"input": 100, "passed": 1, "quarantined": 99, "flagged": 0}
    quarantined = pq.read_table(next((place.root / "quarantine").rglob("*.parquet"))).to_pylist()
    reasons = {row["n"]: [failure["rule"] for failure in row["_quality"]["failures"]] for row in quarantined}
    assert reasons[96] == ["ordered(k,n)", "down"]
    assert sorted(n for n, failed in reasons.items() if "apart" in failed and "again" in failed) == late
    assert 0 not in reasons
