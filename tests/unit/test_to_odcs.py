"""Rule files as contracts of the Open Data Contract Standard: valid by its own schema, and read back as the same rules."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft201909Validator

from quality import cli
from quality.errors import UsageError
from quality.rule_types import REGISTRY
from quality.rulefile import load
from quality.rulefile.dqdl.convert import convert_file
from quality.rulefile.imports.to_odcs import to_odcs
from tests.imported import imported, said

#: Of bitol-io/open-data-contract-standard, under the Apache License 2.0, unchanged.
SCHEMA = Path(__file__).parents[1] / "schemas" / "odcs-json-schema-v3.1.0.json"
HEAD = "version: 1\ndataset: orders\ninput: {path: a.parquet}\nreferences: {airports: {path: b.csv}}\n"
#: What every file here says that has no place in a contract.
OWN = ("'id', 'version' and 'status'", "'input'", "'references'")


@cache
def validator():
    return Draft201909Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))


@pytest.fixture
def there_and_back(tmp_path):
    """The rules of a file, the contract it becomes (which is valid), what is lost, and the rules that the contract becomes."""

    def run(text):
        path = tmp_path / "orders.yml"
        path.write_text(HEAD + text, encoding="utf-8")
        rule_set = load(path)
        made = to_odcs(rule_set)
        contract = yaml.safe_load(made.text)
        assert [error.message for error in validator().iter_errors(contract)] == []
        back = tmp_path / "orders.odcs.yaml"
        back.write_text(made.text, encoding="utf-8")
        again, report = imported(back)
        assert [str(loss) for loss in report.losses if not loss.kept] == []
        return rule_set, contract["schema"][0], made, again

    return run


def by_id(rule_set):
    return {rule.id: dict(rule.canonical) for rule in rule_set.rules}


COLUMNS = """\
columns:
  id: {type: bigint, required: true, unique: true}
  amount: {type: "decimal(10,2)", values: {at_least: 0, below: 1000}}
  code: {type: string, length: {at_least: 2, at_most: 3}, contains_match: '^x'}
  day: {type: date, values: {at_least: "2020-01-01"}}
  n: {type: int}
  mail: {type: string, format: email}
key: [id, day]
"""


def test_columns_become_properties_with_logical_types_and_options(there_and_back):
    before, table, made, after = there_and_back(COLUMNS)
    properties = {one.pop("name"): one for one in table["properties"]}
    assert properties == {
        "id": {"logicalType": "integer", "required": True, "unique": True, "primaryKey": True, "primaryKeyPosition": 1},
        "amount": {"logicalType": "number", "physicalType": "decimal(10,2)", "logicalTypeOptions": {"minimum": 0, "exclusiveMaximum": 1000}},
        "code": {"logicalType": "string", "logicalTypeOptions": {"minLength": 2, "maxLength": 3, "pattern": "^x"}},
        "day": {"logicalType": "date", "logicalTypeOptions": {"minimum": "2020-01-01"}, "primaryKey": True, "primaryKeyPosition": 2},
        "n": {"logicalType": "integer", "logicalTypeOptions": {"format": "i32"}},
        "mail": {"logicalType": "string", "logicalTypeOptions": {"format": "email"}},
    }  # fmt: skip
    assert "quality" not in table
    assert by_id(after) == by_id(before)
    assert tuple(loss.what for loss in made.losses) == OWN


WORDS = {
    "required: {column: a}\n    tolerance: 3 rows": {"metric": "nullValues", "mustBeLessOrEqualTo": 3},
    "required: {column: b}\n    tolerance: 0.5%\n    severity: warning": {"severity": "warning", "metric": "nullValues", "mustBeLessOrEqualTo": 0.5, "unit": "percent"},
    "in: {column: c, values: [x, 1]}\n    name: only these\n    dimension: conformity": {
        "name": "only these", "dimension": "conformity", "metric": "invalidValues", "arguments": {"validValues": ["x", 1]}, "mustBe": 0,
    },
    "not_in: {column: d, values: ['-']}\n    nulls: fail": {"metric": "missingValues", "arguments": {"missingValues": [None, "-"]}, "mustBe": 0},
    "unique: [e, f]": {"metric": "duplicateValues", "arguments": {"properties": ["e", "f"]}, "mustBe": 0},
    "row_count: {at_least: 5}\n    id: enough": {"id": "enough", "metric": "rowCount", "mustBeGreaterOrEqualTo": 5},
    "row_count: {above: 5, below: 9}\n    id: some": {"id": "some", "metric": "rowCount", "mustBeBetween": [5, 9]},
    "that: a > b or `order` is null": {"type": "sql", "query": "SELECT COUNT(*) FROM {object} WHERE NOT (a > b or `order` is null)", "mustBe": 0},
    "sql: {query: select max(h) from this where h < 9, at_most: 20}": {
        "type": "sql", "query": "select max(h) from {object} where h < 9", "mustBeLessOrEqualTo": 20,
    },
    "compliance: {that: (a > b) or h like '%)', at_most: 20%}": {
        "type": "sql", "query": "SELECT AVG(CASE WHEN ((a > b) or h like '%)') THEN 1E0 ELSE 0E0 END) FROM {object}", "mustBeLessOrEqualTo": 0.2,
    },
    "mean: {column: g, at_most: 3}\n    where: a > 1": {
        "type": "custom", "engine": "quality", "implementation": {"mean": {"column": "g", "at_most": 3}, "where": "a > 1"},
    },
    "row_count: {at_least: 5}\n    group_by: b\n    id: in each": {
        "type": "custom", "engine": "quality", "implementation": {"id": "in each", "row_count": {"at_least": 5}, "group_by": ["b"]},
    },
    "unique: i\n    tolerance: 1%": {
        "type": "custom", "engine": "quality", "implementation": {"unique": {"columns": ["i"]}, "tolerance": {"ratio": 0.01}},
    },
    "row_count: {within: 10% of last}\n    name: as before": {
        "name": "as before", "type": "custom", "engine": "quality", "implementation": {"row_count": {"within": "10% of last"}},
    },
}  # fmt: skip


def test_other_rules_become_metrics_queries_and_custom_rules(there_and_back):
    before, table, made, after = there_and_back("rules:\n" + "".join(f"  - {rule}\n" for rule in WORDS))
    found = [one for own in table["properties"] for one in own.get("quality", [])] + table["quality"]
    assert sorted(found, key=str) == sorted(WORDS.values(), key=str)
    assert by_id(after) == by_id(before)
    custom = [loss.what for loss in made.losses if "no other engine runs" in loss.why]
    assert custom == [
        "rule 'g.mean'", "rule 'in each'", "rule 'i.unique'", "rule 'as-before'",
    ]  # fmt: skip


def test_every_rule_type_comes_back_as_it_was(there_and_back):
    # `matches` is anchored, and comes back as a pattern that is searched for
    types = sorted(set(REGISTRY) - {"malformed", "matches"})
    # a verdict is on rules that stand before it
    first = "  - {row_count: {at_least: 1}, id: enough_rows}\n  - {row_count: {at_least: 1}, id: holiday}\n"
    rules = first + "".join(f"  - {REGISTRY[name].example}\n    id: {name}.{n}\n" for n, name in enumerate(types))
    before, _, made, after = there_and_back(f"rules:\n{rules}")
    asking = {rule.id for rule in before.rules if "airports" in REGISTRY[rule.check.type].example}
    assert "exists_in" in {id.partition(".")[0] for id in asking}
    assert by_id(after) == {id: rule for id, rule in by_id(before).items() if id not in asking}
    assert (made.rules, made.total) == (len(before.rules) - len(asking), len(before.rules))
    assert {loss.what for loss in made.losses if "another data set" in loss.why} == {f"rule '{id}'" for id in asking}


def test_bounds_of_a_value_are_options_and_come_back_as_one_rule(there_and_back):
    text = "columns:\n  a: {type: int, between: [1, 5]}\n  b: {type: double, above: 0, at_most: 9, equals: 3}\n  c: {between: [1, 5]}\n"
    _, table, _, after = there_and_back(text)
    options = [one.get("logicalTypeOptions") for one in table["properties"]]
    assert options == [{"format": "i32", "minimum": 1, "maximum": 5}, {"exclusiveMinimum": 0, "maximum": 9}, None]
    # a column without a type has no options that fit
    assert [one["implementation"].keys() for one in table["quality"]] == [{"equals"}, {"between"}]
    assert [rule.get("bounds") for rule in said(after) if rule["type"] == "values"] == [
        {"at_least": 1, "at_most": 5}, {"above": 0, "at_most": 9},
    ]  # fmt: skip


def test_a_pattern_of_the_whole_value_is_anchored_and_that_is_said(there_and_back):
    _, table, made, after = there_and_back("rules:\n  - matches: {column: a, pattern: 'x|y'}\n")
    (quality,) = table["properties"][0]["quality"]
    assert quality["arguments"] == {"pattern": "^(?:x|y)$"}
    assert [loss.what for loss in made.losses if "Java" in loss.why] == ["rule 'a.matches'"]
    assert [rule["type"] for rule in said(after)] == ["contains_match"]


def test_a_reference_is_a_relationship_as_far_as_a_contract_says_it(there_and_back):
    text = (
        "rules:\n  - exists_in: {columns: [dest], reference: airports, reference_columns: [faa]}\n"
        "  - exists_in: {columns: [a, b], reference: airports}\n"
        "  - exists_in: {columns: [c], reference: airports}\n    tolerance: 1%\n  - row_count_match: airports\n"
    )
    before, table, made, after = there_and_back(text)
    assert table["properties"] == [{"name": "dest", "relationships": [{"to": "airports.faa"}]}]
    assert table["relationships"] == [
        {"type": "foreignKey", "from": ["orders.a", "orders.b"], "to": ["airports.a", "airports.b"]}
    ]
    # names of its own columns are told when they come back
    back = {id: {**rule, "reference_columns": None} for id, rule in by_id(after).items()}
    assert back == {
        id: {**rule, "reference_columns": None}
        for id, rule in by_id(before).items()
        if rule["type"] == "exists_in" and "tolerance" not in rule
    }
    told = {
        loss.what: loss.kept for loss in made.losses if "other data set" in loss.why or "another data set" in loss.why
    }
    assert told == {
        "rule 'dest.exists_in'": True, "rule 'exists_in(a,b)'": True, "rule 'c.exists_in'": False, "rule 'row_count_match'": False,
    }  # fmt: skip


def test_templates_stay_templates_and_what_has_no_place_is_named(there_and_back):
    text = 'owner: me\nhold: {quarantined_above: 10%}\ncolumns: {a: {sensitive: true}}\nrules:\n  - equals: {column: a, value: "{{ batch }}"}\n'
    before, _, made, after = there_and_back(text)
    assert [rule["value"] for rule in said(after)] == [rule["value"] for rule in said(before)]
    named = {loss.what for loss in made.losses if not loss.kept}
    assert named == {"'input'", "'references'", "'owner'", "'hold'", "'sensitive' of column 'a'"}


CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: orders
version: 1.0.0
status: draft
schema:
- name: orders
  description: what was sold
  properties:
  - name: id
    logicalType: integer
    required: true
    unique: true
    primaryKey: true
    primaryKeyPosition: 1
  - name: code
    logicalType: string
    logicalTypeOptions: {pattern: ^x, maxLength: 3}
    quality:
    - {metric: nullValues, mustBeLessOrEqualTo: 5, unit: percent, severity: warning}
    - {metric: invalidValues, arguments: {validValues: [xa, xb]}, mustBe: 0}
  quality:
  - {metric: rowCount, mustBeGreaterThan: 10}
  - {id: dearer, type: sql, query: SELECT COUNT(*) FROM {object} WHERE NOT (a > b), mustBe: 0}
"""


def test_a_contract_comes_back_as_it_was(tmp_path, capsys):
    text = CONTRACT.replace(
        "SELECT COUNT(*) FROM {object} WHERE NOT (a > b)", "'SELECT COUNT(*) FROM {object} WHERE NOT (a > b)'"
    )
    path, rules, back = (tmp_path / name for name in ("a.odcs.yaml", "a.yml", "b.odcs.yaml"))
    path.write_text(text, encoding="utf-8")
    assert cli.run_command(["convert", str(path), "-o", str(rules), "--input", "a.parquet"]) == 0
    assert cli.run_command(["convert", str(rules), "--to", "odcs", "-o", str(back)]) == 0
    assert yaml.safe_load(back.read_text(encoding="utf-8")) == yaml.safe_load(text)
    assert capsys.readouterr().err.count("11 of 11 rules carried over") == 2


def test_only_a_rule_file_becomes_a_contract(tmp_path):
    path = tmp_path / "checks.yml"
    path.write_text("checks for a:\n  - row_count > 0\n", encoding="utf-8")
    with pytest.raises(UsageError, match="it becomes a rule file; convert that to odcs"):
        convert_file(path, "odcs")
