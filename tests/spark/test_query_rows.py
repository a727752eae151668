"""Rows that queries return: which rows fail, against SQLite, on rows with NULL, equal rows, and columns of odd names."""

from __future__ import annotations

import json
import random
import sqlite3
from collections import Counter
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from quality.runs import describe
from tests.sizes import as_large
from tests.spark.test_queries import refusal
from tests.written import Place

DRAWN = random.Random(7)
COLUMNS = ("id", "odd name", "v.w", "größe`s")
ROWS = [
    (DRAWN.choice([None, *range(12)]), DRAWN.choice([None, "", "a", "b", "Ä"]), DRAWN.choice([None, -0.0, 0.0, 1.5, 9.0]), n % 4)
    for n in range(60)
]  # fmt: skip
ROWS += ROWS[:15]
OTHERS = [(None, "x"), (1, "a"), (1, "b"), (3, None), (5, "Ä"), (99, "z")]
#: Rules, and the numbers of the rows that fail as SQLite tells them.
RULES = {
    "filter": (
        {"query": "select t.id from {{ this }} t where t.`v.w` > 1 or t.`odd name` = ''"},
        {},
        'select rowid from this where "v.w" > 1 or "odd name" = \'\'',
    ),
    "filter passing": (
        {"query": "SELECT * FROM primary WHERE `größe``s` < 3 and `v.w` < 5", "returns": "passing"},
        {},
        'select rowid from this where not coalesce("größe`s" < 3 and "v.w" < 5, 0)',
    ),
    "scoped": (
        {"query": "select 1 from this where `v.w` = 0"},
        {"where": "id > 3", "tolerance": "1 row"},
        'select rowid from this where "v.w" = 0 and id > 3',
    ),
    "anti": (
        {"query": "select t.id from {{ this }} t left anti join others o on t.id <=> o.id", "key": "id"},
        {},
        "select rowid from this t where not exists (select 1 from others o where o.id is t.id)",
    ),
    "many": (
        {"query": "select id, count(*) as n from this group by id having count(*) > 6", "key": "id"},
        {},
        "select rowid from this t where (select count(*) from this u where u.id is t.id) > 6",
    ),
    "most": (
        {"query": "select `odd name` from this where id = (select max(id) from this)", "key": ["odd name"]},
        {},
        'select rowid from this t where exists (select 1 from this u where u.id = (select max(id) from this) and u."odd name" is t."odd name")',
    ),
    "whole": (
        {"query": "select t.* from this t join others o on t.id = o.id"},
        {},
        "select rowid from this t where id in (select id from others)",
    ),
    "whole with nulls": (
        {"query": "select * from this where id is null or `v.w` < (select avg(id) from others where id < 9)"},
        {},
        'select rowid from this where id is null or "v.w" < (select avg(id) from others where id < 9)',
    ),
    "passing": (
        {
            "query": "select t.id, t.`odd name` from this t left semi join others o on t.id = o.id and t.`odd name` = o.k",
            "key": ["id", "odd name"],
            "returns": "passing",
        },
        {"where": "`v.w` is not null"},
        'select rowid from this t where "v.w" is not null and not exists (select 1 from others o where o.id = t.id and o.k = t."odd name")',
    ),
    "none": ({"query": "select * from this where id in (select id from others where id > 90)"}, {}, "select 1 where 0"),
}  # fmt: skip
UNTOLD = "the query tells no rows, as it returns no column 'größe`s'; name the columns that tell them under 'key'"
#: Rules that are about the batch, as rows are not told, and those that cannot be judged.
OTHERWISE = {
    "untold": (
        {"query": "select t.id, `odd name`, `v.w` from this t join others o on t.id = o.id"},
        ("failed", f"CustomSQL is {{joined}}, must be <= 0; {UNTOLD}"),
    ),
    "none untold": ({"query": "select o.id from others o left semi join this t on o.id > 900 + t.id"}, ("passed", "")),
    "of a share": (
        {"query": "select id from this join others using (id)"},
        ("error", "it returns no column 'odd name'; name the columns that tell them under 'key', and without them a tolerance of a share"),
    ),
    "not returned": ({"query": "select k from others", "key": "id"}, ("error", "by id: it returns no column 'id'")),
    "twice": (
        {"query": "select * from this t join others o on t.id = o.id", "key": "id"},
        ("error", "it returns two columns 'id'"),
    ),
    "another type": (
        {"query": "select k as id from others", "key": "id"},
        ("error", "it returns 'id' as string, which is int in the batch"),
    ),
    "no such column": ({"query": "select idd from this join others using (id)"}, ("error", "column 'idd' is not in the data")),
    "no such key": ({"query": "select id from others", "key": "idd"}, ("error", "column 'idd' is not in the data")),
    "gone": ({"query": "select id from gone", "key": "id"}, ("error", "reference 'gone'")),
}  # fmt: skip


@pytest.fixture
def place(tmp_path, quick):
    kinds = [pa.int32(), pa.string(), pa.float64(), pa.int32()]
    arrays = [pa.array(column, kind) for column, kind in zip(zip(*ROWS, strict=True), kinds, strict=True)]
    (tmp_path / "in").mkdir()
    half = pa.table(dict(zip(COLUMNS, arrays, strict=True)))
    pq.write_table(half.slice(0, 40), tmp_path / "in" / "1.parquet")
    pq.write_table(half.slice(40), tmp_path / "in" / "2.parquet")
    pq.write_table(half.slice(0, 0), tmp_path / "empty.parquet")
    pq.write_table(
        pa.table({"id": pa.array([o[0] for o in OTHERS], pa.int64()), "k": [o[1] for o in OTHERS]}),
        tmp_path / "others.parquet",
    )
    return Place(tmp_path, quick)


def top(place):
    return "references:\n" + "".join(
        f"  {name}: {{path: {place.directory}/{name}.parquet}}\n" for name in ("others", "gone")
    )


def told_by_sqlite():
    with sqlite3.connect(":memory:") as told:
        quoted = ", ".join(f'"{name}"' for name in COLUMNS)
        told.execute(f"create table this ({quoted})")
        told.executemany("insert into this values (?, ?, ?, ?)", ROWS)
        told.execute("create table others (id, k)")
        told.executemany("insert into others values (?, ?)", OTHERS)
        failing = {name: {row[0] for row in told.execute(query)} for name, (_, _, query) in RULES.items()}
        return failing, told.execute("select count(*) from this t join others o on t.id = o.id").fetchone()[0]


def written(name, body, beside):
    return "- " + json.dumps({"name": name, "sql_rows": body, **beside})


def held(row):
    return tuple(0.0 if row[name] == 0 and name == "v.w" else row[name] for name in COLUMNS)


def test_the_rows_that_fail_are_those_that_sqlite_tells(place):
    failing, joined = told_by_sqlite()
    rules = [written(name, body, beside) for name, (body, beside, _) in RULES.items()]
    rules += [
        written(name, body, {"severity": "info", **({"tolerance": "1%"} if name == "of a share" else {})})
        for name, (body, _) in OTHERWISE.items()
    ]
    how: Any = {"format": "parquet", "top": top(place)}
    with as_large(place.spark):
        result = place.run("\n".join(rules), **how)
        plan = describe(place.rules("\n".join(rules), **how), "b", spark=place.spark)
    place.conserves(len(ROWS))
    ids = {name: name.replace(" ", "-") for name in (*RULES, *OTHERWISE)}
    found = {entry["id"]: entry for entry in result.data["rules"]}
    assert {name: found[ids[name]]["failed_rows"] for name in RULES} == {
        name: len(rows) for name, rows in failing.items()
    }
    for name, (_, (status, message)) in OTHERWISE.items():
        said = found[ids[name]]
        assert (said["status"], message.format(joined=joined) in said["message"]) == (status, True), said["message"]
    # as it was written, also where it is judged as one about the batch
    assert {found[id]["type"] for id in ids.values()} == {"sql_rows"}
    reasons = {n: tuple(ids[name] for name in RULES if n in failing[name]) for n in range(1, len(ROWS) + 1)}
    expected = Counter((held(dict(zip(COLUMNS, row, strict=True))), reasons[n]) for n, row in enumerate(ROWS, 1))
    quarantined = Counter(
        (held(row), tuple(failure["rule"] for failure in row["_quality"]["failures"]))
        for row in place.rows("quarantine")
    )
    assert quarantined == Counter({key: count for key, count in expected.items() if key[1]})
    passed = Counter((held(row), ()) for row in place.rows("passed"))
    assert passed == Counter({key: count for key, count in expected.items() if not key[1]})
    steps = [step for step in plan.steps if step.purpose == "asking a query which rows it returns"]
    # a filter is asked of each row; the others read what they name
    named = {name: [step.of for step in steps if ids[name] in step.rules] for name in RULES}
    assert {name: of for name, of in named.items() if of} == {
        "anti": ["", "others"], "many": [""], "most": ["", ""], "whole": ["", "others"], "whole with nulls": ["", "others"],
        "passing": ["", "others"], "none": ["", "others"],
    }  # fmt: skip
    assert result.data["passes"]["planned"]["narrow"] >= result.data["passes"]["actual"]["narrow"]


def test_lines_that_could_not_be_read_are_no_rows_and_a_batch_whose_rows_are_not_told_is_held(place):
    place.put({"a.csv": "id,t\n1,x\n1,x\nnone,y\n,\n3,too,many\n4,z\n"})
    rules = [
        written("whole", {"query": "select * from this where t in (select t from this where id is null)"}, {}),
        written("numbers", {"query": "select id from this where id >= (select max(id) from this)", "key": "id"}, {}),
    ]
    how: Any = {"path": "a.csv", "input": "options: {header: true}", "top": "columns: {id: {type: integer}}"}
    result = place.run("\n".join(rules), **how)
    place.conserves(6)
    reasons = {(r["id"], r["t"]): [f["rule"] for f in r["_quality"]["failures"]] for r in place.rows("quarantine")}
    assert reasons == {(None, "y"): ["id.type", "whole"], (None, None): ["malformed"], (4, "z"): ["numbers"]}
    # 'none' is no number, and NULL; the line without anything has a NULL key, but no text to be found by
    assert place.passed("id", "t") == [(1, "x"), (1, "x"), (None, None)]
    assert (result.data["decision"], result.data["status"]) == ("published", "failed")
    rules = [
        written("untold", {"query": "select t, count(*) from this group by t having count(*) > 1"}, {}),
        written(
            "few", {"query": "select t, count(*) from this group by t having count(*) > 1"}, {"tolerance": "1 row"}
        ),
    ]
    result = place.run("\n".join(rules), batch="c", **how)
    untold, few = (next(e for e in result.data["rules"] if e["id"] == id) for id in ("untold", "few"))
    assert (untold["status"], untold["on_fail"], few["status"]) == ("failed", "hold", "passed")
    assert "CustomSQL is 1, must be <= 0; the query tells no rows" in untold["message"]
    assert result.data["decision"] == "held"


def test_a_batch_without_rows_has_none_that_fail(place):
    rules = [written(name, body, beside) for name, (body, beside, _) in RULES.items()]
    rules.append(written("untold", OTHERWISE["untold"][0], {}))
    how: Any = {"format": "parquet", "top": top(place)}
    result = place.run("\n".join(rules), input=f"path: {place.directory}/empty.parquet\nallow_empty: true", **how)
    assert {e["id"]: e["status"] for e in result.data["rules"] if e["id"] != "untold"} == {
        name.replace(" ", "-"): "not_applicable" for name in RULES
    }
    assert result.rule("untold")["status"] == "passed"
    place.conserves(0)


def test_keys_that_are_one_number_to_the_batch_multiply_no_row(place):
    big = 2**53
    (place.directory / "wide").mkdir()
    pq.write_table(pa.table({"id": [float(big), 1.0, None, 2.0]}), place.directory / "wide" / "a.parquet")
    ids = pa.array([big, big + 1, None, 1], pa.int64())
    pq.write_table(pa.table({"id": ids, "k": ["a", "b", "c", "d"]}), place.directory / "others.parquet")
    rules = [written("seen", {"query": "select id from others", "key": "id"}, {})]
    how: Any = {"format": "parquet", "top": top(place), "input": f"path: {place.directory}/wide"}
    place.run("\n".join(rules), **how)
    place.conserves(4)
    assert place.passed("id") == [2.0]
    assert sorted(map(str, (row["id"] for row in place.rows("quarantine")))) == ["1.0", "9007199254740992.0", "None"]


WRONG = {
    'sql_rows: "delete from this"': "a query begins with SELECT or WITH",
    'sql_rows: "select id from thiss"': "reads 'thiss', which is neither the batch nor a reference; did you mean 'this'",
    'sql_rows: "select id from this where rand() > 1"': "rand() gives another value each time it is read",
    'sql_rows: {query: "select id from this", key: [a, a]}': "names column 'a' twice",
    'sql_rows: {query: "select id from this", returns: bad}': "must be one of failing, passing, got 'bad'",
    'sql_rows: "select id from this"\n    nulls: fail': "'nulls' of 'sql_rows'",
    'sql_rows: "select id from this"\n    examples: {pass: [{id: 1}]}': "'sql_rows' takes no examples",
    'any: [{sql_rows: "select id from this"}]': "cannot hold 'sql_rows'",
}


@pytest.mark.parametrize("rule", WRONG)
def test_lint_refuses_what_it_can_know(tmp_path, rule):
    assert WRONG[rule] in refusal(tmp_path, rule)
