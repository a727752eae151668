"""Metrics of elements against plain Python over the same rows, and the passes they take."""

from __future__ import annotations

import math
import random
import statistics
from collections import Counter
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.sizes import in_size
from tests.spark.test_passes import in_the_books
from tests.written import Place

SCHEMA = pa.schema(
    {
        "n": pa.int32(),
        "items": pa.list_(
            pa.struct([("price", pa.decimal128(10, 2)), ("qty", pa.int64()), ("tags", pa.list_(pa.string()))])
        ),
        "m": pa.map_(pa.string(), pa.float64()),
        "grid": pa.list_(pa.list_(pa.int32())),
        "days": pa.list_(pa.date32()),
        "at": pa.list_(pa.timestamp("us")),
        "none": pa.list_(pa.int32()),
    }
)
CHANCE = random.Random(20)


def some(make: Any, most: int = 4) -> Any:
    """A list that may be NULL or empty, of elements that may be NULL."""
    if CHANCE.random() < 0.15:
        return None
    return [None if CHANCE.random() < 0.15 else make() for _ in range(CHANCE.randrange(most))]


def item() -> dict[str, Any]:
    return {
        "price": None if CHANCE.random() < 0.1 else Decimal(CHANCE.randrange(-500, 5000)) / 100,
        "qty": CHANCE.choice((0, 1, 2, 2**62)),
        "tags": some(lambda: CHANCE.choice(("a", "bb", "", "\u00e5\u00e4\u00f6 x"))),
    }


def pairs() -> Any:
    found = some(lambda: 0)
    return found and list({CHANCE.choice("abcdef"): CHANCE.choice((None, 0.5, -2.0, 7.25)) for _ in found}.items())


ROWS = [
    {
        "n": None if number % 11 == 0 else number,
        "items": some(item),
        "m": pairs(),
        "grid": some(lambda: some(lambda: CHANCE.randrange(-9, 9))),
        "days": some(lambda: date(2020, 1, 1) + timedelta(CHANCE.randrange(900))),
        "at": some(lambda: datetime(2020, 1, 1) + timedelta(microseconds=CHANCE.randrange(10**15))),
        "none": (None, [])[number % 2],
    }
    for number in range(90)
]
#: The elements that a path stands for in a row, by hand.
PATHS: dict[str, Any] = {
    "items[].price": lambda row: [i and i["price"] for i in row["items"] or ()],
    "items[].qty": lambda row: [i and i["qty"] for i in row["items"] or ()],
    "items[].tags[]": lambda row: [t for i in row["items"] or () if i for t in i["tags"] or ()],
    "m[values]": lambda row: [value for _, value in row["m"] or ()],
    "m[keys]": lambda row: [name for name, _ in row["m"] or ()],
    "grid[][]": lambda row: [v for inner in row["grid"] or () for v in inner or ()],
    "days[]": lambda row: row["days"] or [],
    "at[]": lambda row: row["at"] or [],
    "none[]": lambda row: row["none"] or [],
}


def entropy(values: list[Any]) -> float:
    counts = Counter(values).values()
    return -sum(c / len(values) * math.log(c / len(values)) for c in counts)


def once(values: list[Any]) -> int:
    return sum(count == 1 for count in Counter(values).values())


#: What each metric is of the values that are not NULL.
METRICS: dict[str, Any] = {
    "mean": lambda v: statistics.fmean(map(float, v)),
    "sum": sum,
    "min": min,
    "max": max,
    "stddev": lambda v: statistics.pstdev(map(float, v)),
    "variance": lambda v: statistics.pvariance(map(float, v)),
    "value_range": lambda v: float(max(v)) - float(min(v)),
    "zeros_count": lambda v: sum(one == 0 for one in v),
    "median": lambda v: statistics.median(map(float, v)),
    "quantile": lambda v: sorted(map(float, v))[math.ceil(0.25 * len(v)) - 1],
    "min_length": lambda v: min(map(len, v)),
    "max_length": lambda v: max(map(len, v)),
    "distinct_count": lambda v: len(set(v)),
    "distinctness": lambda v: len(set(v)) / len(v),
    "uniqueness": lambda v: once(v) / len(v),
    "unique_value_ratio": lambda v: once(v) / len(set(v)),
    "duplicate_rows": lambda v: len(v) - once(v),
    "entropy": entropy,
    "top_value_ratio": lambda v: max(Counter(v).values()) / len(v),
}
NUMBERS = ("mean", "sum", "min", "max", "stddev", "variance", "value_range", "zeros_count", "median", "quantile")
COUNTS = ("distinct_count", "distinctness", "uniqueness", "unique_value_ratio", "duplicate_rows", "entropy", "top_value_ratio")  # fmt: skip
ASKED = [
    *((word, path, "") for path in ("items[].price",) for word in NUMBERS),
    *((word, "items[].qty", "") for word in ("sum", "max", "zeros_count")),
    *((word, path, "n > 30") for path in ("items[].price", "m[values]") for word in ("mean", "sum", "completeness")),
    ("completeness", "items[].qty", "n <= 30"),
    ("distinct_count", "items[].qty", "n <= 30"),
    *((word, "items[].tags[]", "") for word in ("min_length", "max_length", "completeness", *COUNTS)),
    *((word, "days[]", "") for word in ("min", "max")),
    *((word, "none[]", "") for word in ("mean", "completeness", "zeros_count")),
]  # fmt: skip
#: Of a batch that is one task: what shows in other lists.
FEW = [
    *((word, "grid[][]", where) for word in ("sum", "median", "completeness") for where in ("", "n > 30")),
    *((word, "at[]", "") for word in ("min", "max")),
    *((word, "m[keys]", "") for word in ("distinct_count", "entropy", "min_length")),
    *((word, "none[]", "") for word in ("distinct_count", "uniqueness", "entropy")),
]


def rule(number: int, word: str, path: str, where: str) -> str:
    column = f"columns: ['{path}']" if word == "duplicate_rows" else f"column: '{path}'"
    if word in ("distinctness", "uniqueness", "unique_value_ratio", "distinct_count"):
        column = f"columns: '{path}'"
    least = "'1900-01-01'" if path in ("days[]", "at[]") and word in ("min", "max") else "-1e300"
    if word in ("completeness", "distinctness", "uniqueness", "unique_value_ratio", "top_value_ratio"):
        # no share is below
        least = "0"
    more = f", where: {where}" if where else ""
    q = ", q: 0.25" if word == "quantile" else ""
    return f"- {{name: r{number}, {word}: {{{column}{q}, at_least: {least}}}{more}}}"


@pytest.fixture(scope="module")
def place(spark, tmp_path_factory):
    found = Place(tmp_path_factory.mktemp("elements"), spark)
    (found.directory / "in").mkdir()
    pq.write_table(pa.Table.from_pylist(ROWS, SCHEMA), found.directory / "in" / "a.parquet")
    return found


def expected(word: str, path: str, where: str) -> Any:
    rows = [row for row in ROWS if not where or (row["n"] is not None and eval(where, {"n": row["n"]}))]
    every = [value for row in rows for value in PATHS[path](row)]
    values = [value for value in every if value is not None]
    if word == "completeness":
        return len(values) / len(every) if every else None
    if not values:
        return 0 if word in ("zeros_count", "distinct_count") else None
    return METRICS[word](values)


@pytest.mark.parametrize(
    ("size", "asking", "passes", "shuffles"),
    (pytest.param("small", FEW, 5, 0, marks=pytest.mark.full), ("large", ASKED, 7, 2)),
    ids=("small", "large"),
)
def test_a_metric_of_a_path_is_that_of_all_elements_of_the_rows_in_scope(spark, place, size, asking, passes, shuffles):
    rules = "\n".join(rule(number, *asked) for number, asked in enumerate(asking))

    with in_size(spark, size):
        result, scans = in_the_books(
            spark, place, lambda: place.run(rules, batch=size, format="parquet", path="a.parquet")
        )
    wrong = []
    for number, (word, path, where) in enumerate(asking):
        found, value = result.rule(f"r{number}"), expected(word, path, where)
        metric = found["metric"]
        assert (metric["instance"], found["status"]) == (path, "error" if value is None else "passed"), found
        in_scope = [row for row in ROWS if not where or (row["n"] is not None and eval(where, {"n": row["n"]}))]
        assert found["rows_in_scope"] == len(in_scope)
        if value is None:
            holds = "have no element that is not NULL" in found["message"]
        elif isinstance(value, (date, datetime)):
            text = value.isoformat(sep=" ") if isinstance(value, datetime) else value.isoformat()
            holds = metric["value_text"].removesuffix("+00:00") == text
        elif isinstance(value, (int, Decimal)):
            holds = Decimal(metric["value_text"]) == value
        else:
            holds = math.isclose(metric["value"], value, rel_tol=1e-9, abs_tol=1e-9)
        if not holds:
            wrong.append((word, path, where, metric, found["message"], value))
    assert wrong == []
    planned, actual = result.data["passes"]["planned"], result.data["passes"]["actual"]
    assert {name: actual[name] for name in planned} == planned
    assert len(scans) == actual["wide"] + actual["narrow"]
    assert (planned["narrow"], planned["shuffles"]) == (passes, shuffles)


def test_metrics_of_elements_fail_alone_stand_in_compositions_and_are_kept_by_their_path(place):
    rules = """
- {name: low, mean: {column: 'items[].qty', at_most: -1}, severity: warning}
- {name: odd, mean: {column: 'items[].what', at_least: 0}, severity: warning}
- {name: both, all: [{max: {column: 'grid[][]', at_most: 100}}, {distinct_count: {column: 'm[keys]', at_most: 2}}], severity: warning}
- {name: groups, mean: {column: 'm[values]', at_least: 0}, group_by: n, severity: warning}
- {name: where, mean: {column: 'm[values]', at_least: 0}, where: n > 1000, severity: warning}
- {name: secret, sum: {column: 'grid[][]', at_least: 0}}
- {name: secret day, max: {column: 'days[]', at_least: '1900-01-01'}}
"""
    result = place.run(
        rules, format="parquet", path="a.parquet", top="columns: {days: {sensitive: mask}, grid: {sensitive: mask}}"
    )
    told = {name: result.rule(name) for name in ("low", "odd", "both", "groups", "where")}
    assert {name: one["status"] for name, one in told.items()} == {
        "low": "failed",
        "odd": "error",
        "both": "failed",
        "groups": "error",
        "where": "not_applicable",
    }
    assert "Mean of 'items[].qty' is " in told["low"]["message"]
    assert "'items[].what' leads nowhere" in told["odd"]["message"]
    keys = {name for row in ROWS for name in PATHS["m[keys]"](row)}
    assert f"CountDistinct of 'm[keys]' is {len(keys)}" in told["both"]["message"]
    assert "not measured in groups" in told["groups"]["message"]
    kept = [
        row
        for file in (place.root / "history" / "metrics").rglob("*.parquet")
        for row in pq.read_table(file).to_pylist()
    ]
    assert {"items[].qty", "m[keys]", "grid[][]"} <= {row["instance"] for row in kept}
    assert [result.rule(name)["metric"]["value_text"] for name in ("secret", "secret-day")] == ["***", "***"]
