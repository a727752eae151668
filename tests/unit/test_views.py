"""The file of views: every mistake at once, with its place. Nothing here starts Spark."""

from __future__ import annotations

import pytest

from quality.cli import run_command
from quality.errors import RuleFileError, UsageError
from quality.rulefile import load
from quality.targets import views_file
from quality.targets.view_file import read_views, wrong_query

GOOD = """\
version: 1
views:
  - schema: analytics
    view: orders
    query: SELECT order_id, amount FROM {{ table }} WHERE amount > 0
  - schema: analytics
    view: about
    query: SELECT '{{ dataset }}' AS d, '{{ batch }}' AS b, '{{ run | upper }}' AS r
"""
WORDS = {
    "table": "lake.orders VERSION AS OF 7",
    "dataset": "orders",
    "batch": "2024-01-02",
    "run": "r-1",
    "batch_time": "x",
    "run_time": "y",
}


def problems(rule_file, text):
    with pytest.raises(RuleFileError) as error:
        read_views(str(rule_file(text, "views.yml")))
    return [f"{problem.line}: {problem.message}" for problem in error.value.problems]


def test_views_are_read_in_their_order_and_rendered(rule_file):
    first, second = read_views(str(rule_file(GOOD)))
    assert (first.name, first.line) == ("analytics.orders", 5)
    assert first.rendered(WORDS) == "SELECT order_id, amount FROM lake.orders VERSION AS OF 7 WHERE amount > 0"
    assert second.rendered(WORDS) == "SELECT 'orders' AS d, '2024-01-02' AS b, 'R-1' AS r"


def test_all_mistakes_are_told_at_once_with_their_lines(rule_file):
    text = """\
version: 2
vews: []
views:
  - schema: a
    view: one
    qurey: SELECT 1
  - just text
  - schema: a-b
    view: [x]
    query: SELECT 1
  - {schema: a, view: two, query: "SELECT {{ tabel }}"}
  - {schema: a, view: three, query: SELECT 1}
  - {schema: A, view: Three, query: SELECT 2}
  - {schema: a, view: four, query: DROP TABLE x}
  - {schema: a, view: five, query: "SELECT {{ this }}"}
"""
    assert problems(rule_file, text) == [
        "1: 'version' must be 1, got 2",
        "2: 'vews' is not a section of a file of views; did you mean 'views'? allowed: version, views",
        "4: a view needs query",
        "6: 'qurey' is not a key of a view; did you mean 'query'? allowed: schema, view, query",
        "7: a view is a mapping with schema, view and query, got 'just text'",
        "8: 'schema' must be a name of letters, digits and '_', got 'a-b'",
        "9: 'view' must be a text, got a list",
        "11: 'tabel' is not defined in the template 'SELECT {{ tabel }}'; did you mean 'table'? known: table, dataset, run, batch, batch_time, run_time, this, env",
        "13: the view A.Three stands twice (first in line 12)",
        "14: the query of a.four must be one SELECT, got 'DROP' at its beginning",
        "15: 'this' is a column of a rule; a view has none",
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    (
        ("version: 1\n", ["1: 'views' must be a list with a view at least; each entry begins with '- '"]),
        ("version: 1\nviews: []\n", ["2: 'views' must be a list with a view at least; each entry begins with '- '"]),
        ("version: 1\nviews: x\n", ["2: 'views' must be a list with a view at least; each entry begins with '- '"]),
        ("views: [{schema: a, view: b, query: SELECT 1}]\n", ["1: 'version: 1' is missing at the top"]),
        ("- 1\n", ["1: a file of views is a mapping that begins with 'version: 1'"]),
    ),
)
def test_a_file_of_another_shape(rule_file, text, found):
    assert problems(rule_file, text) == found


@pytest.mark.parametrize(
    ("query", "what"),
    (
        ("SELECT 1; DROP TABLE x", "must be one SELECT without ';'"),
        ("", "is empty"),
        ("SELECT 1 -- all", "has a comment (-- or /*); use a YAML comment"),
        ("SELECT 'a", "opens a quote that is not closed"),
        ("INSERT INTO t SELECT 1", "must be one SELECT, got 'INSERT' at its beginning"),
        ("SELECT TRANSFORM (a) USING 'cat' FROM t", "may not use TRANSFORM: it runs a program"),
        ("SELECT reflect('java.lang.System', 'exit', 1)", "may not call reflect(): it runs code outside Spark SQL"),
        ("SELECT `java_method` ('x')", "may not call java_method(): it runs code outside Spark SQL"),
    ),
)
def test_a_query_that_is_no_query(query, what):
    assert wrong_query(query) == what


@pytest.mark.parametrize(
    "query",
    (
        "SELECT ';' AS semicolon FROM t JOIN u USING (a)",
        "with x as (select 1) select * from x",
        "(SELECT 1) UNION ALL (SELECT 2)",
        "VALUES (1)",
        "SELECT transform(a, x -> x + 1), reflect FROM t",
    ),
)
def test_what_is_a_query(query):
    assert wrong_query(query) == ""


def test_a_file_that_is_not_there_or_no_text(tmp_path):
    with pytest.raises(UsageError) as error:
        read_views(str(tmp_path / "no.yml"))
    assert str(error.value) == (
        f"{tmp_path}/no.yml: there is no such file of views; 'views' of 'outputs' is relative to the rule file"
    )
    (tmp_path / "latin.yml").write_bytes(b"version: 1 # \xe9")
    with pytest.raises(UsageError, match=r"latin\.yml: a file of views is UTF-8 text; byte 13 is not"):
        read_views(str(tmp_path / "latin.yml"))


def test_the_file_of_views_is_beside_the_rule_file(rule_file, tmp_path):
    text = "version: 1\ndataset: d\ninput: {path: a.csv}\n"
    assert views_file(load(rule_file(f"{text}outputs: {{views: sql/views.yml}}\n"))) == str(tmp_path / "sql/views.yml")
    assert views_file(load(rule_file(text))) == ""


def test_lint_reads_the_views_of_a_rule_file(rule_file, capsys):
    rule_file(GOOD.replace("view: about", "vew: about"), "views.yml")
    rules = rule_file(
        "version: 1\ndataset: d\ninput: {path: a.csv}\noutputs: {views: views.yml}\nrules:\n- row_count: {at_least: 1}\n"
    )
    assert run_command(["lint", str(rules)]) == 2
    told = capsys.readouterr().err
    assert "views.yml:7: " in told
    assert "did you mean 'view'" in told
    rule_file(GOOD, "views.yml")
    assert run_command(["lint", str(rules)]) == 0
