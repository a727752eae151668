"""Paths into columns: what they stand for, and where they are refused."""

from __future__ import annotations

import pytest

from quality import planner
from quality.errors import RuleDataError
from quality.model import Column
from quality.rule_types import paths
from quality.rule_types.base import Row
from quality.rulefile import load
from quality.sensitive import Hiding, Sensitive

HEAD = "version: 1\ndataset: d\ninput: {path: x, format: parquet}\nrules:\n"
COLUMNS = (
    Column("a.b", "int"),
    Column("a", "struct<b:string,C:array<int>,`x.y`:struct<z:date>>"),
    Column("items", "array<struct<price:decimal(10,2),tags:map<string,array<int>>>>"),
    Column("m", "map<struct<q:int,r:int>,double>"),
    Column("n", "int"),
    Column("it`em[]", "int"),
)
ROW = Row(COLUMNS)


@pytest.mark.parametrize(("path", "parts"), (
    ("a", ("a",)), ("a.b", ("a", "b")), ("items[].price", ("items", "[]", "price")), ("m[keys]", ("m", "[keys]")),
    ("`a.b`.c", ("a.b", "c")), ("`it``em[]`", ("it`em[]",)), ("a[][]", ("a", "[]", "[]")), ("a b.c d", ("a b", "c d")),
    *((wrong, ()) for wrong in ("", ".", "a.", ".a", "a..b", "[]", "a[", "a[0]", "a]b", "a`b", "a[]b", "a.[]", "`a")),
))  # fmt: skip
def test_a_path_has_parts_or_is_none(path, parts):
    assert paths.split(path) == parts


@pytest.mark.parametrize(("name", "sql", "kind"), (
    # a column of this very name comes first
    ("a.b", "`a.b`", "int"), ("`a`.b", "`a`.`b`", "string"), ("A.c", "`a`.`c`", "array<int>"), ("`a.b`", "`a.b`", "int"),
    ("a.`x.y`.z", "`a`.`x.y`.`z`", "date"), ("it`em[]", "`it``em[]`", "int"),
))  # fmt: skip
def test_a_name_reaches_a_column_or_a_field(name, sql, kind):
    assert (ROW.ref(name), ROW.type(name)) == (sql, kind)


@pytest.mark.parametrize(("name", "arrays", "kind"), (
    ("items[].price", ("`items`",), "decimal(10,2)"), ("m[keys].r", ("map_keys(`m`)",), "int"),
    ("m[values]", ("map_values(`m`)",), "double"), ("a.C[]", ("`a`.`C`",), "int"),
    ("items[].tags[values][]", ("`items`", "map_values(__quality_element_0.`tags`)", "__quality_element_1"), "int"),
))  # fmt: skip
def test_elements_are_those_of_arrays_on_the_way(name, arrays, kind):
    found = ROW.elements(name)
    assert found is not None
    assert (found.arrays, found.row.type(name)) == (arrays, kind)


def checked(rule_file, rule):
    plan = planner.plan(load(rule_file(HEAD + f"- {rule}\n"), batch="b"), ROW, text=False)
    return next(iter(plan.errors.values()), "")


@pytest.mark.parametrize(("rule", "wrong"), (
    ("unique: 'items[].price'", "elements can be demanded of by a rule about one row and one column"),
    ("correlation: {columns: [n, 'items[].price'], above: 0}", "Correlation of n, items[].price is not measured of elements: an aggregate of one"),
    ("distinct_count: {columns: ['items[].price', n], at_least: 0}", "CountDistinct of items[].price, n is not measured of elements"),
    ("drift: {column: 'items[].price', method: psi, against: last 7, at_most: 1}", "Drift of items[].price is not measured of elements"),
    ("mean: {column: 'items[].tags', above: 0}", "Mean needs a column of type number, 'items[].tags' is map<string,array<int>>"),
    ("distinct_count: {column: 'items[]', at_least: 0}", "maps cannot be compared, so they are no key"),
    ("entropy: {column: 'items[].tags', at_least: 0}", "maps cannot be compared, so they are not counted"),
    ("mean: {column: 'n[]', above: 0}", "'n[]' leads nowhere: 'n' is int"),
    ("{mean: {column: 'items[].price', above: 0}, group_by: n}", "Mean of elements is not measured in groups: it is one of"),
    ("compare: {column: 'items[].price', above: n}", "elements can be demanded of by a rule about one row and one column"),
    ("above: {column: 'm[]', value: 0}", "'m[]' leads nowhere: 'm' is map<struct<q:int,r:int>,double>; 'a.b' is a field of"),
    ("above: {column: 'items[].prize', value: 0}", "'items[].prize' leads nowhere: 'items' is array<"),
    ("above: {column: 'item[].price', value: 0}", "column 'item' is not in the data; did you mean 'items'?"),
    ("above: {column: 'n[]', value: 0}", "'n[]' leads nowhere: 'n' is int"),
    ("no_outliers: {column: 'items[].price'}", "elements can be demanded of by a rule about one row and one column"),
    ("above: {column: 'items[].price', value: x}", "column 'items[].price' is decimal(10,2), cannot be compared with"),
))  # fmt: skip
def test_a_path_that_cannot_be_demanded_of_is_refused(rule_file, rule, wrong):
    assert wrong in checked(rule_file, rule)


def test_metrics_of_elements_share_a_pass_where_they_are_of_the_same_lists(rule_file):
    rules = """
- {mean: {column: 'items[].price', above: 0}, where: n > 1}
- sum: {column: 'items[].price', above: 0}
- completeness: {column: 'items[]', at_least: 0}
- max: {column: 'm[values]', above: 0}
- distinct_count: {column: 'items[].price', above: 0}
- uniqueness: {column: 'items[].price', above: 0}
- {entropy: {column: 'items[].price', above: 0}, where: n > 1}
"""
    plan = planner.plan(load(rule_file(HEAD + rules), batch="b"), ROW, text=False)
    assert plan.errors == {}
    steps = [
        (step.width, step.purpose, len(step.rules), step.shuffles) for step in plan.steps if "element" in step.purpose
    ]
    assert steps == [
        ("narrow", "measuring elements items[]", 3, 0),
        ("narrow", "measuring elements m[values]", 1, 0),
        ("narrow", "counting values of elements items[].price", 2, 1),
        ("narrow", "counting values of elements items[].price", 1, 1),
    ]
    keys = {check.analyzer.key for check in plan.metric_checks}
    assert ("Column", "Mean", "items[].price", "n > 1") in {(k.entity, k.name, k.instance, k.filter) for k in keys}


def test_parts_of_a_sensitive_column_are_sensitive():
    sensitive = Sensitive((("items", Hiding.MASK),))
    assert {name: sensitive.how(name) for name in ("items[].price", "`items`[]", "Items[keys]", "items2[]")} == {
        "items[].price": Hiding.MASK,
        "`items`[]": Hiding.MASK,
        "Items[keys]": Hiding.MASK,
        "items2[]": None,
    }


def test_a_column_that_is_not_there_is_no_path():
    with pytest.raises(RuleDataError, match=r"column 'b\.c' is not in the data"):
        ROW.find("b.c")
