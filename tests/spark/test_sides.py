"""All ways to write the sides of a batch say the same, to the last row and metric, in the passes that were planned."""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from quality import keys, sides
from quality.backends.sizing import SMALL_BATCH
from tests.written import Place

ROWS = 240
RULES = """
- unique: id
- {name: pair, unique: {columns: [group, when]}, severity: warning}
- {key: {columns: [id]}, where: "group = 'a'"}
- {name: positive, above: {column: amount, value: 0}}
- {name: few, at_most: {column: price, value: 90}, severity: warning}
- {name: known, in: {column: group, values: [a, b, c]}, nulls: fail}
- {name: skipped, at_least: {column: score, value: 1}, nulls: skip}
- {name: finite, at_least: {column: ratio, value: 0}, tolerance: 10%}
- {name: recent, above: {column: when, value: "2024-01-02"}, where: "group <> 'b'", on_fail: keep}
- {name: tag-first, that: "tags[0] <> 'x'"}
- {required: group}
- {mean: {column: amount, at_least: -100}}
- {stddev: {column: price, at_most: 1000}}
- {min: {column: when, at_least: "2000-01-01"}}
- {max: {column: price, at_most: 1e9}, where: "group = 'c'"}
- {completeness: {column: score, at_least: 0.1}}
- {quantile: {column: amount, q: 0.5, at_most: 1000}}
- {uniqueness: {columns: [id], at_least: 0.1}}
- {row_count: {at_least: 1}}
"""


def table() -> pa.Table:
    """NULL, NaN, doubled keys, nested values, decimals, microseconds, names that need quoting, equal rows."""
    numbers = range(ROWS)
    moment = dt.datetime(2024, 1, 1, tzinfo=dt.timezone.utc)
    return pa.table(
        {
            "id": pa.array([None if n % 50 == 9 else n - (n % 40 == 7) for n in numbers], pa.int64()),
            "group": pa.array([None if n % 31 == 4 else "abcX"[n % 4 if n % 3 else 0] for n in numbers]),
            "amount": pa.array([None if n % 17 == 2 else n - 5 for n in numbers], pa.int32()),
            "price": pa.array([Decimal(n) / 2 for n in numbers], pa.decimal128(20, 3)),
            "ratio": pa.array([math.nan if n % 29 == 1 else n / 7 for n in numbers], pa.float64()),
            "score": pa.array([None if n % 2 else n % 9 for n in numbers], pa.int16()),
            "when": pa.array(
                [moment + dt.timedelta(hours=n % 97, microseconds=n) for n in numbers], pa.timestamp("us", "UTC")
            ),
            "tags": pa.array([["x", None] if n % 23 == 6 else [str(n)] for n in numbers]),
            "a.b `c` ü": pa.array([{"inner": n % 5} for n in numbers]),
            "same": pa.array(["same"] * ROWS),
        }
    )


pytestmark = pytest.mark.usefixtures("large")


@pytest.fixture
def place(spark, tmp_path):
    return Place(tmp_path, spark)


def put(place: Place, content: pa.Table, files: int = 3) -> None:
    folder = place.directory / "in"
    folder.mkdir()
    size = -(-content.num_rows // files) or 1
    for number in range(files):
        pq.write_table(content.slice(number * size, size), folder / f"{number}.parquet")


def left(place: Place, result) -> dict[str, Any]:
    """All that a run says and keeps, but for what names the run itself."""
    quarantined = sorted(
        (row["_quality"]["row_id"], repr([{**row["_quality"], "run": ""}, {**row, "_quality": ""}]))
        for row in place.rows("quarantine")
    )
    flagged = sorted(row["_quality"]["row_id"] for row in place.rows("flags"))
    return {
        "passed": sorted(map(repr, place.rows("passed"))),
        "quarantined": quarantined,
        "flagged": flagged,
        "rules": result.data["rules"],
        "rows": result.data["rows"],
        "outcome": (result.data["status"], result.data["decision"], result.exit_code),
        "checks": [(check.description, str(check.status)) for check in result.checks],
        "columns": place.record()["columns"],
    }


@pytest.fixture
def apart(monkeypatch):
    """Writes the sides one by one, as for a bucket."""
    return lambda: monkeypatch.setattr(sides, "writes_together", lambda *_, **__: False)


@pytest.mark.parametrize("flags", ("true", "false"))
def test_all_ways_leave_the_same(place, apart, flags):
    put(place, table())
    how = {"format": "parquet", "top": f"outputs: {{root: '{place.root}', flags: {flags}}}"}
    together = place.run(RULES, **how)
    assert together.data["passes"]["planned"]["wide"] == 1
    one = left(place, together)
    apart()
    separate = place.run(RULES, **how, force=True)
    assert separate.data["passes"]["planned"]["wide"] > 2
    assert left(place, separate) == one
    place.spark.conf.unset(SMALL_BATCH)
    small = place.run(RULES, **how, force=True)
    assert small.data["passes"]["planned"]["shuffles"] == small.data["passes"]["actual"]["shuffles"] == 0
    assert left(place, small) == one
    assert one["rows"]["quarantined"] > 20
    assert one["rows"]["passed"] + one["rows"]["quarantined"] == ROWS == one["rows"]["input"]
    assert {entry["status"] for entry in one["rules"]} == {"passed", "failed"}


def files_below(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.name[0] != ".")


def test_files_lie_where_every_run_has_them(place):
    put(place, table())
    result = place.run(RULES, format="parquet")
    for side in ("passed", "quarantine"):
        folder = place.root / side / "d" / "_runs" / "b" / result.data["run"]
        names = files_below(folder)
        assert names
        assert all("/" not in name and name.startswith("part-") for name in names)
        assert [f"{side}/d/_runs/b/{result.data['run']}/{name}" for name in names] == sorted(
            file["path"] for file in place.record()[side]
        )


def test_a_batch_without_a_failing_row_is_one_pass_and_one_side(place):
    put(place, pa.table({"n": [1, 2, 3]}))
    result = place.run("- above: {column: n, value: 0}\n- unique: n\n- mean: {column: n, equals: 2}", format="parquet")
    assert (result.exit_code, result.data["rows"]["passed"]) == (0, 3)
    assert place.passed("n") == [1, 2, 3]
    assert result.data["passes"]["actual"]["wide"] == 1
    assert result.data["outputs"]["quarantine"] is None


def test_a_batch_of_failing_rows_alone_has_no_passed_file(place):
    put(place, pa.table({"n": [1, 2, 3]}))
    result = place.run("- above: {column: n, value: 7}", format="parquet")
    assert place.reasons("n") == {1: ["n.above"], 2: ["n.above"], 3: ["n.above"]}
    assert place.rows("passed") == []
    assert result.data["rows"] == {"input": 3, "passed": 0, "quarantined": 3, "flagged": 0}


def test_an_empty_batch_is_held(place):
    put(place, pa.table({"n": pa.array([], pa.int64())}), files=1)
    result = place.run("- above: {column: n, value: 7}\n- mean: {column: n, at_least: 0}", format="parquet")
    assert (result.exit_code, result.data["status"], result.data["rows"]["input"]) == (4, "warning", 0)


def test_a_condition_that_leaves_no_row_of_several_files_is_an_empty_batch(place):
    put(place, pa.table({"n": [1, 2, 3]}))
    rules = "- above: {column: n, value: 1}\n- mean: {column: n, at_least: 0}"
    result = place.run(rules, format="parquet", input="where: n < 2 and 1 = 2\nallow_empty: true")
    assert (result.data["rows"]["input"], place.rows("passed"), place.rows("quarantine")) == (0, [], [])


def test_a_rule_that_breaks_the_shared_pass_is_set_apart_and_the_rest_is_judged(place):
    put(place, pa.table({"n": [1, 2, 0], "t": ["2020-01-01", "2020-1-1", "x"]}))
    rules = """
- {name: breaks, that: "to_date(t, 'yyyy-MM-dd') is not null and raise_error(t) is null", severity: warning}
- {name: fine, above: {column: n, value: 0}}"""
    result = place.run(rules, format="parquet")
    assert result.rule("breaks")["status"] == "error"
    assert place.reasons("n") == {0: ["fine"]}
    assert place.passed("n") == [1, 2]
    place.conserves(3)
    folder = place.root / "passed" / "d" / "_runs" / "b" / result.data["run"]
    assert all("/" not in name for name in files_below(folder))


def test_many_doubled_keys_are_found_by_a_shuffle(place, monkeypatch):
    monkeypatch.setattr(keys, "BROADCAST_KEYS", 1)
    put(place, pa.table({"n": [1, 1, 2, 2, 3]}))
    result = place.run("- unique: n", format="parquet")
    assert place.passed("n") == [3]
    assert result.data["passes"]["actual"]["wide"] > 1
    place.conserves(5)


def test_rules_about_the_file_read_it_where_it_is_known(place):
    put(place, pa.table({"n": [1, 2, 3]}))
    place.run("- that: \"_file not like '%2.parquet'\"", format="parquet")
    assert place.passed("n") == [1, 2]


def test_a_key_may_be_a_struct_with_odd_names(place):
    values = [{"a b`": 1, "c.d": "x"}, {"a b`": 1, "c.d": "x"}, {"a b`": 2, "c.d": None}]
    put(place, pa.table({"n": [1, 2, 3], "s": values}))
    place.run("- unique: s", format="parquet")
    assert place.passed("n") == [3]
    assert place.reasons("n") == {1: ["s.unique"], 2: ["s.unique"]}
