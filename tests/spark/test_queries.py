"""Queries of stewards: what they may read, in Spark's own parse, and what they say of a batch, against pandas."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

import pandas as pd
import pytest

import quality
from quality.backends.parsing import query_problems
from quality.errors import RuleFileError
from quality.runs import describe
from tests.written import Place

ROWS = pd.DataFrame(
    {"n": range(40), "g": ["a", "b", None, "c"] * 10, "v": [(i * 7) % 13 if i % 5 else None for i in range(40)]}
)
#: Queries, and what pandas says.
QUERIES = {
    "count": ("select count(*) from {{ this }} where v > 6", (ROWS.v > 6).sum()),
    "primary": ("select count(distinct g) from primary", ROWS.g.nunique()),
    "twice": (
        "select count(*) from this a join `This` b on a.n = b.n + 1 where a.v < b.v",
        (ROWS.v < ROWS.v.shift(1)).sum(),
    ),
    "with": (
        "with big as (select g, sum(v) as s from this group by g), mine as (select g from big where s > 50) select count(*) from mine",
        (ROWS.groupby("g", dropna=False).v.sum() > 50).sum(),
    ),
    "nested": (
        "select max(n) from {{ this }} where v = (select max(v) from this) and g in (select g from this where n < 2)",
        ROWS[(ROWS.v == ROWS.v.max()) & ROWS.g.isin(["a", "b"])].n.max(),
    ),
    "window": (
        "select count(*) from (select v - lag(v) over (order by n) as d from this) where d > 5",
        (ROWS.v.diff() > 5).sum(),
    ),
    "union": ("select sum(x) from (select n as x from this union all select v from this)", ROWS.n.sum() + ROWS.v.sum()),
}
#: Queries that run and give no number, and what is told.
NO_NUMBER = {
    "select max(v) from this where false": "CustomSQL is NULL",
    "select max(g) from this": "must give one number, its columns are string",
    "select n, v from this": "must give one number, its columns are int, int",
    "select n from this": "must give one row, it gave more",
    "select n from this where false": "must give one row, it gave none",
    "select count(nowhere) from this": "column 'nowhere' is not in the data",
    "select max(cast(raise_error(g) as int)) from this": "",
    "select count(*) from this where cast(g as date) < 'tomorrow'": "'tomorrow' as a date or time depends on the clock",
}


def test_a_query_gives_what_pandas_gives_and_nothing_else_is_a_number(spark, tmp_path):
    place = Place(tmp_path, spark)
    lines = ROWS.to_csv(index=False).replace(".0\n", "\n")
    place.put({"a.csv": lines + "this,line,has,more\n"})
    rules = [
        f"- name: {name}\n  severity: info\n  sql: {{query: {json.dumps(query)}, equals: {int(value)}}}"
        for name, (query, value) in QUERIES.items()
    ]
    rules += [
        f"- name: no {number}\n  severity: info\n  sql: {{query: {json.dumps(query)}, at_least: 0}}"
        for number, query in enumerate(NO_NUMBER)
    ]
    # a word is one unless it stands beside a date or time
    rules += ["- {name: word, that: \"g <> 'now'\"}", "- {name: clock, that: \"cast(g as timestamp) < ' NOW '\"}"]
    rules += ["- {name: scope, row_count: {equals: 0}, where: \"cast(g as date) > 'today'\"}"]
    rules.append('- any: [{sql: {query: "select count(*) from this", above: 40}}, {row_count: {equals: 40}}]')
    before = {table.name for table in spark.catalog.listTables()}
    result = place.run(
        "\n".join(rules), input="options: {header: true}", top="columns: {n: {type: integer}, v: {type: integer}}"
    )
    found = {entry["id"]: (entry["status"], entry["message"]) for entry in result.data["rules"]}
    assert {name: found[name] for name in QUERIES} == dict.fromkeys(QUERIES, ("passed", ""))
    for number, told in enumerate(NO_NUMBER.values()):
        status, message = found[f"no-{number}"]
        assert (status, told in message) == ("error", True), message
    assert (found["any"][0], found["word"][0]) == ("passed", "passed")
    for name, text in (("clock", "' NOW '"), ("scope", "'today'")):
        assert found[name][0] == "error"
        assert (
            found[name][1]
            == f"could not tell: {text} as a date or time depends on the clock; write {{{{ run_time }}}} or {{{{ batch }}}} instead"
        )
    # two names, two readings; four of those that give no number are not begun
    planned, actual = (result.data["passes"][which]["narrow"] for which in ("planned", "actual"))
    assert (planned, actual) == (20, 16)
    assert {table.name for table in spark.catalog.listTables()} == before
    place.conserves(41)


REFUSED = {
    "select * from other": "reads 'other'",
    "select * from default.this": "reads 'default.this'",
    "select * from csv.`/etc/passwd`": "reads 'csv./etc/passwd'",
    "select * from range(10)": "holds UnresolvedTableValuedFunction",
    "with x as (select * from secret) select * from x": "reads 'secret'",
    "select (select max(a) from elsewhere) from this": "reads 'elsewhere'",
    "select * from this where n in (select n from elsewhere)": "reads 'elsewhere'",
    "select * from this where exists (select 1 from elsewhere)": "reads 'elsewhere'",
    "with x as (select 1), y as (select * from x) select * from z": "reads 'z'",
    "insert into this select 1": "holds InsertIntoStatement",
    "drop table this": "holds DropTable",
    "create table x as select 1": "holds CreateTableAsSelect",
    "select transform(n) using 'cat' from this": "holds ScriptTransformation",
    "set spark.x = 1": "holds SetCommand",
    "explain select 1": "holds ExplainCommand",
    "cache table this": "holds CacheTable",
    "from this insert overwrite directory '/tmp/x' select *": "holds InsertInto",
    "select count( from this": "is not Spark SQL",
    "select * from identifier('this')": "holds PlanWithUnresolvedIdentifier",
    "select * from parquet.`/tmp/x` a join this": "reads 'parquet./tmp/x'",
    "select `java_method`('java.lang.System', 'exit') from this": "calls java_method(), which runs code outside Spark SQL",
    "select count(*) from this where input_file_name() > ''": "calls input_file_name()",
    "select other.f(n) from this": "calls other.f(), which is none of Spark's own functions",
    "select count(*) from this lateral view mine(n) as x": "calls mine(), which is none of Spark's own functions",
    "with names as (select * from elsewhere) select * from names": "reads 'elsewhere'",
    "select * from Names": "reads 'Names'",
    "select count(*) from {{ this }}": "is not Spark SQL",
}


@pytest.mark.parametrize("query", REFUSED)
def test_what_reads_more_than_the_batch_is_refused_in_sparks_own_parse(spark, query):
    assert any(REFUSED[query] in told for told in query_problems(spark, query, ["names"])), query_problems(spark, query)


@pytest.mark.parametrize("query", [query.replace("{{ this }}", "this") for query, _ in QUERIES.values()])
def test_what_reads_the_batch_is_not(spark, query):
    assert query_problems(spark, query) == []


def test_a_run_refuses_it_before_anything_is_read(spark, tmp_path):
    place = Place(tmp_path, spark)
    with pytest.raises(
        RuleFileError, match="rule 'sql': the query calls mine\\(\\), which is none of Spark's own functions"
    ):
        place.run('- sql: {query: "select mine(count(*)) from this", at_least: 0}')
    assert not place.root.exists()


#: Queries over references, each with what SQLite is asked where it says it another way.
OTHERS = {
    "joined": ("select count(*) from {{ this }} t join names on t.g = names.k", ""),
    "missing": (
        "select count(*) from this t left anti join `names` m on t.g <=> m.k",
        "select count(*) from this t where not exists (select 1 from names m where t.g is m.k)",
    ),
    "nested": (
        "select count(*) from this where g not in (select k from names where k is not null) or n > (select max(n) from big)",
        "",
    ),
    "both": (
        "with names as (select k from names where k > 'a') select count(*) from names join big on true",
        "select count(*) from names join big on true where k > 'a'",
    ),
    "alone": ("select sum(n) from big", ""),
    "nothing": ("select 1 + 1", ""),
}


def test_a_query_gives_over_references_what_sqlite_gives(spark, tmp_path):
    place = Place(tmp_path, spark)
    place.put({"a.csv": ROWS.to_csv(index=False).replace(".0\n", "\n")})
    names, big = pd.DataFrame({"k": ["a", "b", "b", None, "z"]}), pd.DataFrame({"n": [3, 30, None]})
    names.to_csv(tmp_path / "names.csv", index=False)
    big.astype("Int64").to_parquet(tmp_path / "big.parquet")
    with sqlite3.connect(":memory:") as told:
        for name, frame in {"this": ROWS, "names": names, "big": big}.items():
            frame.to_sql(name, told, index=False)
        asked = {name: other or query.replace("{{ this }}", "this") for name, (query, other) in OTHERS.items()}
        values = {name: told.execute(query).fetchone()[0] for name, query in asked.items()}
    rules = [
        f"- name: {n}\n  sql: {{query: {json.dumps(q)}, equals: {int(values[n])}}}" for n, (q, _) in OTHERS.items()
    ]
    rules.append('- {name: gone, severity: info, sql: {query: "select count(*) from this, gone", at_least: 0}}')
    rules.append('- {name: unknown, severity: info, sql: {query: "select count(l) from this, names", at_least: 0}}')
    places = {"names": "names.csv, options: {header: true}", "big": "big.parquet", "gone": "nowhere.parquet"}
    top = "columns: {n: {type: integer}, v: {type: integer}}\nreferences:"
    top += "".join(f"\n  {name}: {{path: {tmp_path}/{path}}}" for name, path in places.items())
    how: Any = {"input": "options: {header: true}", "top": top}
    before = {table.name for table in spark.catalog.listTables()}
    result = place.run("\n".join(rules), **how)
    found = {entry["id"]: (entry["status"], entry["message"]) for entry in result.data["rules"]}
    assert {name: found[name] for name in OTHERS} == dict.fromkeys(OTHERS, ("passed", ""))
    assert "reference 'gone'" in found["gone"][1]
    assert "column 'l' is not in the data" in found["unknown"][1]
    assert {table.name for table in spark.catalog.listTables()} == before
    plan = describe(place.rules("\n".join(rules), **how), "b", spark=spark)
    queries = [step for step in plan.steps if step.purpose == "asking a query"]
    # the batch in 3 of 6 and in the one without such a column, what is not to be had is not asked for
    assert [sum(step.of == name for step in queries) for name in ("", "names", "big", "gone")] == [5, 5, 3, 0]
    assert result.data["passes"]["planned"]["narrow"] == result.data["passes"]["actual"]["narrow"] + 2
    assert place.run("\n".join(rules), **how).data["unchanged"] is False  # one could not be read
    big.fillna(7).astype("Int64").to_parquet(tmp_path / "big.parquet")
    without = "\n".join(rule for rule in rules if "gone" not in rule)
    assert [place.run(without, **how).data["unchanged"] for _ in range(2)] == [False, True]


HEAD = "version: 1\ndataset: a\ninput: {path: a.parquet}\nrules:\n"
WRONG = {
    'sql: {query: "select count(*) from other", at_least: 0}': "reads 'other', which is neither the batch nor a reference; relations: this",
    'sql: {query: "select count(*) from thiss", at_least: 0}': "reads 'thiss', which is neither the batch nor a reference; did you mean 'this'",
    'sql: {query: "select 1 from csv.`/etc/passwd`", at_least: 0}': "reads 'csv./etc/passwd'",
    'any: [{sql: {query: "with x as (select 1 from y) select 1 from x", at_least: 0}}]': "reads 'y'",
    'sql: {query: "delete from this", at_least: 0}': "a query begins with SELECT or WITH",
    'sql: {query: "select rand() from this", at_least: 0}': "rand() gives another value each time it is read",
    'sql: {query: "select current_date from this", at_least: 0}': "depends on the clock",
    'sql: {query: "select reflect(1) from {{ this }}", at_least: 0}': "runs code outside Spark SQL",
    'sql: {query: "select 1; select 2", at_least: 0}': "';' is not allowed",
    'sql: {query: "select 1 -- one", at_least: 0}': "comments",
    'sql: {query: "select /*+ x */ 1", at_least: 0}': "comments",
    'sql: {query: "select count(*) from this"}': "'sql' needs",
    'sql: {query: "select 1", at_least: 0}\n    where: a > 0': "'where' of 'sql': does not go with it",
    'sql: {query: "select 1", at_least: 0}\n    group_by: [a]': "'group_by' of 'sql': does not go with it",
    'any: [{sql: {query: "select 1", at_least: 0}}]\n    group_by: [a]': "'group_by' of 'any': does not go with 'sql'",
    'any: [{sql: {query: "select 1", at_least: 0}}]\n    where: a > 0': "'where' of 'any'",
    'sql: {query: "select 1", at_least: 0}\n    examples: {pass: [{a: 1}]}': "'sql' takes no examples",
}


def refusal(folder, rule):
    """What a rule file with the rule is refused for."""
    file = folder / "rules.yml"
    file.write_text(f"{HEAD}  - {rule}\n")
    with pytest.raises(RuleFileError) as told:
        quality.load(file)
    return str(told.value)


@pytest.mark.parametrize("rule", WRONG)
def test_lint_refuses_what_it_can_know(tmp_path, rule):
    assert WRONG[rule] in refusal(tmp_path, rule)
