"""Contracts of the Open Data Contract Standard (version 3) as rule files: they lint, and demand the same."""

from __future__ import annotations

import pytest

from quality import cli
from quality.errors import RuleFileError
from tests.imported import imported, said

HEAD = "apiVersion: v3.1.0\nkind: DataContract\nid: c-1\nversion: 1.0.0\nstatus: active\nschema:\n  - name: orders\n"


@pytest.fixture
def converted(tmp_path):
    """The rules of properties and of entries of `quality` of an object, and what the conversion reports."""

    def run(*properties, quality=(), head=HEAD, **given):
        text = head + ("    properties:\n" if properties else "") + "".join(f"      - {one}\n" for one in properties)
        text += ("    quality:\n" if quality else "") + "".join(f"      - {one}\n" for one in quality)
        path = tmp_path / "orders.odcs.yaml"
        path.write_text(text, encoding="utf-8")
        found, report = imported(path, **given)
        return [{word: value for word, value in rule.items() if word != "id"} for rule in said(found)], report

    return run


def only(rules, *types):
    return [rule for rule in rules if rule["type"] not in ("type", *types)]


TYPES = {
    "logicalType: string": "string", "logicalType: integer": "bigint", "logicalType: number": "double", "logicalType: boolean": "boolean",
    "logicalType: date": "date", "logicalType: timestamp": "timestamp", "logicalType: integer, physicalType: INT": "int",
    "logicalType: integer, logicalTypeOptions: {format: i16}": "smallint", "logicalType: number, physicalType: 'decimal(10,2)'": "decimal(10,2)",
    "logicalType: number, logicalTypeOptions: {format: f32}": "float", "physicalType: timestamp": "timestamp",
}  # fmt: skip


def test_a_logical_type_is_one_of_spark(converted):
    found, report = converted(*(f"{{name: c{n}, {said_of}}}" for n, said_of in enumerate(TYPES)))
    assert dict(zip(TYPES, found, strict=True)) == {
        said_of: {"type": "type", "column": f"c{n}", "is": kind} for n, (said_of, kind) in enumerate(TYPES.items())
    }
    assert list(report.losses) == []


OF_PROPERTY = {
    "required: true": {"type": "required", "column": "a"},
    "unique: true": {"type": "unique", "columns": ["a"]},
    "logicalType: string, logicalTypeOptions: {minLength: 2, maxLength: 3}": {"type": "length", "column": "a", "bounds": {"at_least": 2, "at_most": 3}},
    "logicalType: string, logicalTypeOptions: {pattern: '^x'}": {"type": "contains_match", "column": "a", "pattern": "^x"},
    "logicalType: integer, logicalTypeOptions: {minimum: 1, exclusiveMaximum: 9}": {"type": "values", "column": "a", "bounds": {"at_least": 1, "below": 9}},
    "logicalType: date, logicalTypeOptions: {exclusiveMinimum: '2020-01-01'}": {"type": "values", "column": "a", "bounds": {"above": "2020-01-01"}},
    "logicalType: integer, logicalTypeOptions: {multipleOf: 5}": {"type": "that", "expression": "`a` % 5 = 0"},
    "quality: [{metric: nullValues, mustBe: 0}]": {"type": "required", "column": "a"},
    "quality: [{metric: nullValues, mustBeLessOrEqualTo: 3}]": {"type": "required", "column": "a", "tolerance": {"rows": 3}},
    "quality: [{rule: nullValues, mustBeLessOrEqualTo: 1, unit: percent}]": {"type": "required", "column": "a", "tolerance": {"ratio": 0.01}},
    "quality: [{metric: missingValues, arguments: {missingValues: [null, n/a]}, mustBe: 0}]": {"type": "not_in", "column": "a", "values": ["n/a"], "nulls": "fail"},
    "quality: [{metric: invalidValues, arguments: {validValues: [x, 1]}, mustBe: 0}]": {"type": "in", "column": "a", "values": ["x", 1]},
    "quality: [{metric: invalidValues, arguments: {pattern: '^x'}, mustBeLessThan: 2}]": {"type": "contains_match", "column": "a", "pattern": "^x", "tolerance": {"rows": 1}},
    "quality: [{metric: duplicateValues, mustBe: 0}]": {"type": "unique", "columns": ["a"]},
    "quality: [{metric: nullValues, mustBeGreaterThan: 1}]": {"type": "row_count", "bounds": {"above": 1}, "where": "`a` is null"},
    "quality: [{metric: nullValues, mustNotBeBetween: [1, 2]}]": {"type": "not", "parts": [{"row_count": {"above": 1, "below": 2}}], "where": "`a` is null"},
    "logicalType: date, physicalType: varchar(10), logicalTypeOptions: {format: dd.MM.yyyy}": {"type": "date_format", "column": "a", "pattern": "dd.MM.yyyy"},
    "quality: [{metric: nullValues, mustBe: 0, severity: warning}]": {"type": "required", "column": "a", "severity": "warning", "on_fail": "keep"},
    "quality: [{type: sql, query: 'SELECT COUNT(*) FROM {object} WHERE {property} < 0', mustBe: 0}]": {"type": "that", "expression": "not (`a` < 0)"},
    "quality: [{type: sql, query: 'SELECT max({property}) FROM ${object};', mustBeLessThan: 9, severity: info}]": {"type": "sql", "query": "SELECT max(`a`) FROM this", "bounds": {"below": 9}, "severity": "info", "on_fail": "keep"},
    "quality: [{type: sql, query: 'select count(*) from shop.orders join main.b using (a) where orders.a > 1', mustBe: 0}]": {
        "type": "sql", "query": "select count(*) from this as `orders` join main_b using (a) where orders.a > 1", "bounds": {"equals": 0},
    },
    "quality: [{type: sql, query: 'select count(*) from b where a > 1', mustBeBetween: [1, 9]}]": {
        "type": "sql", "query": "select count(*) from b where a > 1", "bounds": {"above": 1, "below": 9},
    },
    "quality: [{type: sql, query: 'select count(1) from orders where a < 0', mustBeGreaterThan: 2}]": {"type": "row_count", "bounds": {"above": 2}, "where": "a < 0"},
}  # fmt: skip


def test_what_a_property_demands_is_this_rule(converted):
    found, report = converted(*(f"{{name: a, {said_of}}}" for said_of in OF_PROPERTY))
    assert dict(zip(OF_PROPERTY, only(found), strict=True)) == OF_PROPERTY
    places = [loss.what for loss in report.losses if "where it lies" in loss.why]
    assert places == ["reference 'main_b'", "reference 'b'"]
    assert ["no such row at all" in loss.why for loss in report.losses if loss.what not in places] == [True, True]


OF_OBJECT = {
    "{metric: rowCount, mustBeBetween: [10, 20]}": {"type": "row_count", "bounds": {"above": 10, "below": 20}},
    "{type: library, metric: rowCount, mustNotBe: 0}": {"type": "row_count", "bounds": {"not_equals": 0}},
    "{metric: duplicateValues, arguments: {properties: [a, b]}, mustBe: 0}": {"type": "unique", "columns": ["a", "b"]},
    "{type: custom, engine: greatExpectations, implementation: {type: expect_column_to_exist, kwargs: {column: a}}}": {"type": "columns_exist", "columns": ["a"]},
    "{type: custom, engine: quality, implementation: {mean: {column: a, at_most: 2}, where: b = 1}}": {"type": "mean", "column": "a", "bounds": {"at_most": 2}, "where": "b = 1"},
    "{type: custom, engine: quality, implementation: 'in: {column: a, values: [NO]}'}": {"type": "in", "column": "a", "values": ["NO"]},
}  # fmt: skip


def test_what_an_object_demands_is_this_rule(converted):
    found, report = converted(quality=OF_OBJECT)
    assert dict(zip(OF_OBJECT, found, strict=True)) == OF_OBJECT
    assert list(report.losses) == []


def test_the_primary_key_is_in_the_order_of_its_positions_and_columns_have_physical_names(converted):
    found, report = converted(
        "{name: b, primaryKey: true, primaryKeyPosition: 2}",
        "{name: a, physicalName: A_ID, primaryKey: true, primaryKeyPosition: 1}",
    )
    assert found == [{"type": "key", "columns": ["A_ID", "b"]}]
    assert ["one name, here the physical one" in loss.why for loss in report.losses] == [True]


def test_properties_of_objects_are_paths(converted):
    found, _ = converted("{name: a, logicalType: object, properties: [{name: b, required: true}]}")
    assert found == [{"type": "required", "column": "a.b"}]


def test_what_is_in_an_array_is_demanded_of_its_elements(converted):
    items = "logicalType: object, properties: [{name: b, required: true, logicalTypeOptions: {maxLength: 3}}]"
    found, report = converted(
        f"{{name: a, items: {{{items}}}}}",
        "{name: t, items: {logicalType: string, quality: [{metric: invalidValues, arguments: {validValues: [x]}, mustBe: 0}]}}",
    )
    assert found == [
        {"type": "required", "column": "a[].b"},
        {"type": "length", "column": "a[].b", "bounds": {"at_most": 3}},
        {"type": "in", "column": "t[]", "values": ["x"]},
    ]
    assert [loss for loss in report.losses if not loss.kept] == []


def test_a_field_is_quoted_part_by_part_in_a_condition(converted):
    found, _ = converted(
        "{name: a, logicalType: object, properties: [{name: b, quality: [{metric: nullValues, mustBeGreaterThan: 1}]}]}"
    )
    assert [rule["where"] for rule in found] == ["`a`.`b` is null"]


def test_relationships_ask_references_that_are_declared(converted):
    found, report = converted(
        "{name: a, relationships: [{to: b.c}]}",
        head=HEAD + "    relationships: [{type: foreignKey, from: [orders.x, orders.y], to: [d.x, d.z]}]\n",
    )
    assert found == [
        {"type": "exists_in", "columns": ["a"], "reference": "b", "reference_columns": ["c"]},
        {"type": "exists_in", "columns": ["x", "y"], "reference": "d", "reference_columns": ["x", "z"]},
    ]
    assert [loss.what for loss in report.losses if loss.kept] == ["reference 'd'", "reference 'b'"]


LOST = {
    "the type 'time'": "{name: a, logicalType: time}",
    "times of day": "{name: a, logicalTypeOptions: {minimum: '10:00'}, logicalType: time}",
    "the format 'dd.MM.yyyy'": "{name: a, logicalTypeOptions: {format: dd.MM.yyyy}}",
    "named as 'object.column'": "{name: a, relationships: [{to: schema/b/properties/c}]}",
    "it is prose": "{name: a, quality: [{type: text, description: true names}]}",
    "engine 'soda'": "{name: a, quality: [{type: custom, engine: soda, implementation: 'type: x'}]}",
    "its query cannot be used": "{name: a, quality: [{type: sql, query: drop table b, mustBe: 1}]}",
    "no number": "{name: a, quality: [{metric: nullValues}]}",
    "its severity 'grave'": "{name: a, quality: [{metric: nullValues, mustBe: 0, severity: grave}]}",
    "the metric 'charm'": "{name: a, quality: [{metric: charm, mustBe: 0}]}",
    "true of each by itself": "{name: a, items: {unique: true, quality: [{metric: nullValues, mustBeGreaterThan: 1}]}}",
    "no rule": "{name: a, quality: [{type: custom, engine: quality, implementation: {where: a > 1}}]}",
    "a rule file refuses it": "{name: a, quality: [{type: custom, engine: quality, implementation: {charm: 1}}]}",
}  # fmt: skip


def test_what_has_no_equal_is_listed_with_its_reason(converted):
    found, report = converted(*LOST.values(), quality=["{metric: rowCount, mustBe: 1}"])
    assert [rule["type"] for rule in only(found)] == ["row_count"]
    reasons = [loss.why for loss in report.losses if loss.demand and not loss.kept]
    for why in LOST:
        assert sum(why in reason for reason in reasons) >= 1, why
    assert report.total - report.rules == len(reasons)


def test_what_demands_nothing_is_named_with_its_keys(converted):
    _, report = converted(
        "{name: a, required: true, businessName: A, classification: public}",
        head=f"price: {{priceAmount: 1}}\n{HEAD}    tags: [x]\n",
    )
    assert [(loss.what, loss.why.partition("for ")[2], loss.demand) for loss in report.losses] == [
        ("'the contract'", "price", False),
        ("'orders'", "tags", False),
        ("'a'", "businessName, classification", False),
    ]


def test_one_object_of_several_is_asked_for(converted, tmp_path, capsys):
    several = f"{HEAD}    properties: [{{name: a, required: true}}]\n  - name: lines\n"
    with pytest.raises(RuleFileError, match="here are orders, lines; choose by --dataset"):
        converted("{name: b, unique: true}", head=several)
    found, _ = converted("{name: b, unique: true}", head=several, dataset="lines")
    assert found == [{"type": "unique", "columns": ["b"]}]
    assert cli.run_command(["convert", str(tmp_path / "orders.odcs.yaml"), "--dataset", "orders"]) == 0
    assert "  - required: {column: a}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("head", "message"),
    (
        ("apiVersion: v2.2.2\nkind: DataContract\n", "must be of version 3, got 'v2.2.2'"),
        ("apiVersion: v3.1.0\nkind: DataContract\nid: a\n", "it has no object under 'schema'"),
    ),
)
def test_what_cannot_be_read_at_all_is_one_message(converted, head, message):
    with pytest.raises(RuleFileError, match=message):
        converted(head=head)
