"""What is told of a query without Spark: the relations that it names, and the condition of one that only filters the batch."""

from __future__ import annotations

import json

import pytest

from quality.model import Bounds, Location
from quality.query_text import condition, read_by, relations, renamed, selected
from quality.rule_types.custom import CustomSql
from quality.rule_types.rules import Rule
from quality.rulefile.lint import lint
from quality.rulefile.syntax import doubts, syntax_problems
from quality.sql import compares_with_null

HEAD = "version: 1\ndataset: d\ninput: {path: x, format: parquet}\nrules:\n"

NAMED = {
    "select 1": [],
    "select a from this": ["this"],
    "select a from `this` b, other c join d.`e f` on true": ["this", "other", "d.e f"],
    "select a from this where b in (select c from other where d is distinct from e)": ["this", "other"],
    "select extract(year from a), trim(both 'x' from b), (select max(c) from d) from this": ["d", "this"],
    "select a from ((select b from c) d join e using (f, g)), h": ["c", "e", "h"],
    "with x as (select 1 from a), y(b, c) as (select 2 from x) select * from y join x": ["a"],
    "with a as (select * from a) select * from a": ["a"],
    "select * from a left anti join b as c on a.d = c.d union all select * from e order by f, g": ["a", "b", "e"],
    "select * from range(3), values (1, true) as t(a, b)": [],
    "select * from this lateral view explode(a) t as b": ["this"],
    "select * from a, lateral (select a.b from c)": ["a", "c"],
    "select from_csv(a, 'b int'), 'x from y', `from z` from this": ["this"],
    "select a, from_, join_ from this group by a, b having count(*) > 1": ["this"],
}


@pytest.mark.parametrize("query", NAMED)
def test_the_relations_of_a_query(query):
    assert [one.name for one in relations(query)] == NAMED[query]
    assert all(query[one.start : one.end].replace("`", "") == one.name for one in relations(query))


READ = {
    "select * from this t join this u using (a) join b": ["this", "this", "b"],
    "with x as (select * from this) select * from x join x y using (a)": ["this", "this"],
    "with x as (select * from a), y as (select * from x union all select * from X) select * from y, y z": ["a"] * 4,
    "with x as (select * from a), y as (select * from this) select * from y": ["this"],
    "with x as (select * from a where b in (select c from d)) select (select max(b) from x) from x": [
        "a",
        "a",
        "d",
        "d",
    ],
}


@pytest.mark.parametrize("query", READ)
def test_what_a_query_reads_and_how_often(query):
    assert list(read_by(query)) == READ[query]


def test_names_that_double_what_they_read_are_counted_to_an_end():
    steps = ", ".join(f"x{n} as (select * from x{n - 1} union all select * from x{n - 1})" for n in range(1, 60))
    assert len(read_by(f"with x0 as (select * from this), {steps} select * from x59")) >= 1000
    assert "a" in read_by("with x as (with x as (select * from a) select * from x) select * from x")


CONDITIONS = {
    "select * from this": "true",
    "SELECT id, 1 AS x FROM primary WHERE age < 100": "age < 100",
    "select distinct o.id from this as o where o.a < 1 and x.o.y > '(' and `o`.b in (1, 2)": "a < 1 and x.o.y > '(' and b in (1, 2)",
    "select this.a from this where this.a is distinct from b": "a is distinct from b",
    "select a from `This` where extract(year from d) = 2": "extract(year from d) = 2",
    "select a from this t where exists(t.b, x -> x.c < t.d) and max > 1": "exists(b, x -> x.c < d) and max > 1",
}
NO_CONDITION = [
    "select count(*) from this where a",
    "select explode(a) from this where a",
    "select a from this order by a",
    "select a from this where b limit 3",
    "select a from this group by a",
    "select a from this where b in (select c from other)",
    "select a from other where b",
    "select a from this, other where b",
    "select a from this join other where b",
    "select a from this where",
    "select a from this where b union select c from this",
    "with x as (select 1) select a from this where b",
    "select a from (select a from this) where b",
    "select a from this t where exists(b, t -> t.c < 0)",
    "select a from this t where exists(b, (x, T) -> t.c < x)",
    "select a from this where count(a) > 1",
    "select a from this where a in (values 1, 2)",
    "select a from this where a in (table this)",
]


@pytest.mark.parametrize("query", (*CONDITIONS, *NO_CONDITION))
def test_the_condition_of_a_filter_and_of_nothing_else(query):
    assert condition(query) == CONDITIONS.get(query)


def test_columns_that_are_selected_by_name():
    assert selected("select distinct a, b.`c d`, e as f, b.g as h from b") == ("a", "c d", "f", "h")
    assert [selected(f"select {x} from this") for x in ("*", "a + b", "count(a)", "a b", "1", "")] == [()] * 6


def test_relations_are_called_another_way():
    names = {"orders": "this", "main.cust": "cust"}
    said = "select orders.a from orders join main.cust c on orders.b = c.b join main.cust using (b) where 'orders'"
    assert renamed(said, lambda name: names[name]) == (
        "select orders.a from this as `orders` join cust c on orders.b = c.b join cust using (b) where 'orders'"
    )


SPARKS = [
    "select count(*) from this where a <=> b and s rlike '^x' and d > date '2020-01-01' - interval 3 days",
    "select a div 2, b[0], m['x'], 1L, 5BD, s::int, r'a\\d', try_cast(s as decimal(10,2)) from this",
    "select sum(a) filter (where b > 1) over (partition by c order by d rows between 1 preceding and current row) from this",
    "select a, count(1) from this group by grouping sets ((a), (b)) having count_if(a > 1) > 0 order by a desc nulls last",
    "select aggregate(a, 0, (acc, x) -> acc + x) from this t left anti join r on t.a = r.b lateral view explode(b) e as f",
    "select * except (a) from this minus select * from r limit 3",
]


@pytest.mark.parametrize("query", (*NAMED, *CONDITIONS, *READ, *NO_CONDITION[:9], *SPARKS))
def test_lint_takes_what_spark_takes(query):
    rule = Rule("r", CustomSql(query, Bounds((("at_least", 0),))), Location("rules.yml", 1))
    assert (syntax_problems([rule]), doubts([rule])) == ([], [])


def test_what_only_spark_can_tell_is_a_warning_and_a_misspelt_word_a_mistake(rule_file):
    query = "select count(*) from this group by window(day, '1 hour')"
    report = lint(str(rule_file(f"{HEAD}- sql: {{query: {json.dumps(query)}, at_least: 0}}\n")))
    assert report.rule_set is not None
    assert [warning.message[-27:] for warning in report.warnings] == ["; 'quality plan' asks Spark"]
    query = query.replace("from", "fron")
    report = lint(str(rule_file(f"{HEAD}- sql: {{query: {json.dumps(query)}, at_least: 0}}\n")))
    assert [problem.message[-27:] for problem in report.problems] == ["is 'fron' meant to be FROM?"]


@pytest.mark.parametrize(
    ("text", "found"),
    (
        ("a = null", True), ("a <> NULL and b", True), ("a != null", True), ("b or a >= null", True), ("a <=> null", False),
        ("a is null", False), ("a = 'null'", False), ("a in (1, null)", False), ("a = `null`", False), ("coalesce(a, null) > 1", False),
    ),
)  # fmt: skip
def test_a_comparison_with_null_is_found_wherever_it_stands(text, found):
    assert compares_with_null(text) is found


def test_lint_warns_of_a_comparison_with_null(tmp_path):
    path = tmp_path / "a.yml"
    path.write_text(
        HEAD + "- that: a = null\n- {row_count: {above: 1}, where: b <> null}\n- {that: a is null, name: fine}\n"
    )
    report = lint(str(path))
    assert [(one.line, "write 'is null'" in one.message) for one in report.warnings] == [(5, True), (6, True)]
    assert report.problems == ()
