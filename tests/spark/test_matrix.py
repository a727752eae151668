"""Every registered rule type with every modifier: refused by lint with a reason, or judged as the naive oracle judges it.

The pairs come from the registry. What lint takes stands in one rule file, and one run over awkward rows judges it all.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import quality
from quality.rule_types import REGISTRY
from quality.rule_types.base import BatchRule, KeyRule, MetricRule, RowRule
from quality.rulefile.lint import lint
from tests import oracle
from tests.spark.test_oracle import (
    BATCH,
    FAMILIES,
    MIXED,
    MIXED_ROWS,
    TWINS,
    Done,
    carries,
    check_rule,
    check_sides,
    write_parquet,
    write_rules,
)

METADATA = {
    "owner": "o@example.com",
    "tags": ["a", "b"],
    "dimension": "validity",
    "labels": {"team": "x"},
    "description": "why",
}
MODIFIERS: dict[str, dict[str, Any]] = {
    "where": {"where": "i > 0 and g = 'a'"},
    "tolerance": {"tolerance": "12 rows"},
    "severity": {"severity": "warning"},
    "quarantine": {"on_fail": "quarantine"},
    "hold": {"on_fail": "hold"},
    "keep": {"on_fail": "keep"},
    "null fails": {"nulls": "fail"},
    "null is skipped": {"nulls": "skip"},
    "nan": {"nan": "pass"},
    "groups": {"group_by": ["g"]},
    "metadata": METADATA,
}
#: Modifiers that do not get in each other's way ride on one rule; with each other they are all met.
TOGETHER = (
    ("where", "severity", "metadata"),
    ("null fails", "tolerance", "hold"),
    ("null is skipped", "keep"),
    ("nan", "quarantine"),
    ("groups", "tolerance", "keep"),
)
#: Types that are about the whole batch, whatever their groups.
UNGROUPED = {
    "unique", "key", "malformed", "entropy", "mutual_information", "top_value_ratio", "most_common_value", "distinct_values",
    "drift", "gaps", "coverage", "monotonic", "no_outliers", "ordered",
}  # fmt: skip
#: Types with a `column` and others beside it: one rule is about one set of columns.
ABOUT_SEVERAL = {"compare", "sum_equals", "gaps", "monotonic", "ordered"}


def plain_rules() -> dict[str, dict[str, Any]]:
    """A rule of each type as the oracle knows it, about a column by its own name; of a type it does not know, its example."""
    found: dict[str, dict[str, Any]] = {}
    for rules in FAMILIES.values():
        for rule in rules:
            kind = oracle.rule_type(rule)
            arguments = rule[kind] if isinstance(rule[kind], dict) else {}
            if rule.keys() <= {kind, "name"} and "." not in f"{arguments.get('column')}{arguments.get('columns')}":
                found.setdefault(kind, {kind: rule[kind]})
    return found


PLAIN = plain_rules()


def refusals(path, rules: Sequence[Mapping[str, Any]]) -> dict[int, str]:
    """What lint says of rules, by their place."""
    head = "version: 1\ndataset: matrix\ninput: {path: in.parquet}\nreferences: {keys: {path: keys.parquet}}\nrules:\n"
    head += "- {row_count: {above: 0}, id: always}\n"
    lines = [f"- {json.dumps({**rule, 'name': f'r{index}'})}" for index, rule in enumerate(rules)]
    path.write_text(head + "\n".join(lines) + "\n", encoding="utf-8")
    return {problem.line - 7: problem.message for problem in lint(str(path)).problems}


def modified(word: str) -> dict[str, dict[str, Any]]:
    return {kind: {**rule, **MODIFIERS[word]} for kind, rule in EVERY.items()}


def composed(word: str) -> dict[str, dict[str, Any]]:
    def other(kind: str) -> list[dict[str, Any]]:
        about_batch = issubclass(REGISTRY[kind], BatchRule)
        return [] if word == "not" else [{"row_count": {"at_least": 1}} if about_batch else {"that": "g = 'a'"}]

    return {kind: {word: {"parts": [{kind: _arguments(rule)}, *other(kind)]}} for kind, rule in EVERY.items()}


def _arguments(rule: Mapping[str, Any]) -> Any:
    return rule[oracle.rule_type(rule)]


def chosen() -> dict[str, dict[str, Any]]:
    """Types about one column, about the columns that a pattern finds."""
    found = {}
    for kind, rule in PLAIN.items():
        arguments = rule[kind]
        if isinstance(arguments, dict) and isinstance(arguments.get("column"), str):
            rest = {word: value for word, value in arguments.items() if word != "column"}
            found[kind] = {kind: {**rest, "columns": {"matching": arguments["column"]}}}
    return found


def is_allowed(kind: str, variant: str) -> bool:
    """Whether a modifier goes with a type, as the documentation has it."""
    cls = REGISTRY[kind]
    if kind not in PLAIN:
        return kind in GOES_BEYOND[variant] if variant in GOES_BEYOND else (kind, variant) != ("malformed", "keep")
    if variant in ("all", "any", "not"):
        return issubclass(cls, (MetricRule, KeyRule)) or (issubclass(cls, RowRule) and cls.by_row)
    if variant == "groups":
        return kind not in UNGROUPED and issubclass(cls, (RowRule, MetricRule))
    if variant == "quarantine":
        return not issubclass(cls, BatchRule)
    (word,) = [word for word in MODIFIERS[variant] if word in oracle.MODIFIERS] or ["where"]
    return word == "on_fail" or carries(PLAIN[kind], word)


#: A reference, by column; of `g` the values that rows must have.
KEYS: dict[str, list[Any]] = {"g": ["a", None, "zz"], "i": [0, 5, 5]}
_OF_GROUPS = Counter(row["g"] for row in MIXED_ROWS)
#: Of the types that the oracle does not know: a rule about rows as another that it knows.
ASKING: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "exists_in": ({"columns": ["g"], "reference": "keys"}, {"in": {"column": "g", "values": ["a", "zz"]}}),
    "date_format": ({"column": "s", "pattern": "dd.MM.yyyy"}, {"in": {"column": "s", "values": ["01.01.2020"]}}),
    "sql_rows": ({"query": "select g from this group by g having count(*) > 12", "key": "g"}, {"that": "few of the group"}),
    "sql_rows filter": ({"query": "select i from {{ this }} where i > 1"}, {"that": "not above"}),
}  # fmt: skip
MORE_TWINS = {
    **TWINS,
    "few of the group": lambda row: _OF_GROUPS[row["g"]] <= 12,
    "not above": lambda row: row["i"] is None or row["i"] <= 1,
}
HOLDS, FAILS, SILENT = "passed", "failed", "not_applicable"
#: Rules about the batch: what their status is, whatever they carry.
ABOUT_BATCH: dict[str, tuple[dict[str, Any], str]] = {
    "row_count_match": ({"reference": "keys", "at_least": 1}, HOLDS),
    "aggregate_match": ({"column": "i", "reference": "keys", "below": 0}, FAILS),
    "schema_match": ({"reference": "keys"}, FAILS),
    "dataset_match": ({"key": "i", "reference": "keys", "at_least": 0.5}, FAILS),
    "sql": ({"query": "select count(*) from {{ this }}", "equals": len(MIXED_ROWS)}, HOLDS),
    "schema": ({"declared": {"i": "long"}, "extra": "allow"}, FAILS),
    "schema_change": ({"added": "fail"}, SILENT),
    "column_count": ({"equals": len(MIXED)}, HOLDS),
    "column_names": ({"pattern": "[a-z]"}, FAILS),
    "column_order": ({"columns": ["i", "l", "g"]}, HOLDS),
    "columns_absent": ({"columns": ["ssn", "I"]}, FAILS),
    "columns_exist": ({"columns": ["i", "G"]}, HOLDS),
    "file_count": ({"equals": 1}, HOLDS),
    "file_freshness": ({"at_least": "2020-01-01"}, HOLDS),
    "file_match": ({"hashes": ["00"]}, FAILS),
    "file_size": ({"above": "1 GB"}, FAILS),
    "file_uniqueness": ({"equals": 1}, HOLDS),
    "verdict": ({"not": ["always"]}, FAILS),
    # the reference has a value that the batch has not, and earlier batches there are none
    "drift": ({"column": "g", "reference": "keys", "method": "linf", "at_most": 0}, FAILS),
    "drift of batches": ({"column": "g", "against": "last 2", "at_most": 0}, SILENT),
}
#: A rule of each type; how lines that cannot be read carry modifiers is judged with the text formats of test_oracle.
BEYOND: dict[str, dict[str, Any]] = {
    **{kind.split()[0]: {kind.split()[0]: body} for kind, (body, _) in {**ASKING, **ABOUT_BATCH}.items()},
    "malformed": {"malformed": True},
}
EVERY = {**PLAIN, **BEYOND}
_OF_ROWS = {"exists_in", "date_format", "sql_rows"}
_OF_METRICS = {"row_count_match", "aggregate_match", "dataset_match"}
#: The types of BEYOND that carry what others of them do not.
GOES_BEYOND: dict[str, set[str]] = {
    "where": _OF_ROWS | _OF_METRICS,
    "tolerance": _OF_ROWS | {"malformed", "file_freshness", "file_size"},
    "quarantine": _OF_ROWS | {"malformed"},
    **dict.fromkeys(("null fails", "null is skipped", "nan"), _OF_ROWS - {"sql_rows"}),
    "groups": _OF_ROWS,
    **dict.fromkeys(("all", "any", "not"), _OF_ROWS - {"sql_rows"} | _OF_METRICS | {"schema_match", "sql", "drift"}),
}
VARIANTS = {word: modified(word) for word in MODIFIERS} | {word: composed(word) for word in ("all", "any", "not")}


def test_every_type_stands_in_the_matrix():
    assert set(EVERY) == set(REGISTRY)


def test_what_looks_beyond_the_rows_carries_every_modifier_too(spark, tmp_path):
    data = write_parquet(tmp_path / "data.parquet", MIXED, MIXED_ROWS)
    pq.write_table(pa.table(KEYS), tmp_path / "keys.parquet")
    rules: list[dict[str, Any]] = [{"row_count": {"above": 0}, "id": "always"}]
    asked: list[dict[str, Any]] = []
    told: dict[str, tuple[str, str, dict[str, Any]]] = {}
    for kind, (body, like) in ASKING.items():
        word, barred = kind.split()[0], ("nulls", "nan") if "sql_rows" in kind else ()
        for number, group in enumerate(TOGETHER):
            carried = {k: v for one in group for k, v in MODIFIERS[one].items() if k not in barred}
            name = f"{kind} {number}"
            rules.append({word: body, **carried, "name": name})
            asked.append(
                {
                    **like,
                    **{k: v for k, v in carried.items() if k not in METADATA},
                    "name": name.replace(" ", "-").replace("_", "-"),
                }
            )
    for kind, (body, status) in ABOUT_BATCH.items():
        word = kind.split()[0]
        for number, group in enumerate((("where", "severity", "keep"), ("hold", "metadata"))):
            carried = {k: v for one in group if is_allowed(word, one) for k, v in MODIFIERS[one].items()}
            name = f"{kind}-{number}".replace("_", "-").replace(" ", "-")
            told[name] = word, status, carried
            rules.append({word: body, **carried, "name": name})
    file = write_rules(tmp_path, str(data), rules, {"references": {"keys": {"path": str(tmp_path / "keys.parquet")}}})
    result = quality.run(file, BATCH, spark=spark)
    assert result.exit_code in (1, 4), result.data["message"]
    (commit,) = (tmp_path / "root" / "commits" / "awkward").rglob("*.json")
    record = json.loads(commit.read_text(encoding="utf-8"))
    expected = {rule["name"]: oracle.judge(rule, MIXED_ROWS, MORE_TWINS) for rule in asked}
    for name, found in expected.items():
        check_rule(result.rule(name), found)
    check_sides(Done(result, record, tmp_path / "root", asked, MIXED_ROWS, expected), list(MIXED))
    for name, (kind, status, carried) in told.items():
        entry = result.rule(name)
        severity = carried.get("severity", "error")
        on_fail = carried.get("on_fail", "hold" if severity == "error" else "keep")
        assert (entry["type"], entry["status"], entry["severity"], entry["on_fail"]) == (
            kind,
            status,
            severity,
            on_fail,
        ), entry["message"]
        assert entry.get("metadata", {}) == {word: carried[word] for word in METADATA if word in carried}


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_does_not_go_together_is_refused_by_name_and_nothing_else_is(tmp_path, variant):
    rules = VARIANTS[variant]
    said = refusals(tmp_path / "rules.yml", list(rules.values()))
    refused = {kind: said[index] for index, kind in enumerate(rules) if index in said}
    assert set(refused) == {kind for kind in rules if not is_allowed(kind, variant)}
    word = next(iter(MODIFIERS.get(variant, {variant: None})))
    assert all(f"'{kind}'" in message and word in message for kind, message in refused.items()), refused


@dataclass(frozen=True)
class Entry:
    """A rule as it is written, and as the oracle is asked, by the id that it has."""

    written: dict[str, Any]
    asked: dict[str, Any]


def entries(folder) -> list[Entry]:
    rules: list[dict[str, Any]] = []
    for group in TOGETHER:
        for kind, rule in PLAIN.items():
            carried = {k: v for word in group if is_allowed(kind, word) for k, v in MODIFIERS[word].items()}
            rules += [{**rule, **carried}] if carried else []
    # of the batch one is enough to meet every type
    rules += [
        rule
        for word in ("all", "any", "not")
        for kind, rule in composed(word).items()
        if kind in PLAIN
        and is_allowed(kind, word)
        and (word == "not" or not issubclass(REGISTRY[kind], MetricRule))
        # a key within a composition takes a pass, and has tests of its own
        and not issubclass(REGISTRY[kind], KeyRule)
    ]
    found = []
    for index, rule in enumerate(rules):
        asked = {word: value for word, value in rule.items() if word not in METADATA}
        found.append(Entry({**rule, "name": f"r{index}"}, {**asked, "name": f"r{index}"}))
    many = chosen()
    said = refusals(folder / "chosen.yml", list(many.values()))
    assert {kind for index, kind in enumerate(many) if index in said} == {"type", *ABOUT_SEVERAL}
    for index, (kind, rule) in enumerate(many.items()):
        if index not in said:
            column = PLAIN[kind][kind]["column"]
            name = f"c{index}.{column}"
            found.append(Entry({**rule, "name": f"c{index}"}, {**PLAIN[kind], "name": name}))
    return found


@pytest.fixture(scope="module")
def done(spark, tmp_path_factory):
    folder = tmp_path_factory.mktemp("matrix")
    data = write_parquet(folder / "data.parquet", MIXED, MIXED_ROWS)
    listed = entries(folder)
    file = write_rules(folder, str(data), [entry.written for entry in listed], {})
    result = quality.run(file, BATCH, spark=spark)
    assert result.exit_code in (0, 1, 4), result.data["message"]
    (commit,) = (folder / "root" / "commits" / "awkward").rglob("*.json")
    asked = [entry.asked for entry in listed]
    expected = {rule["name"]: oracle.judge(rule, MIXED_ROWS, TWINS) for rule in asked}
    return Done(result, json.loads(commit.read_text(encoding="utf-8")), folder / "root", asked, MIXED_ROWS, expected)


def test_every_pair_is_judged_as_the_oracle_judges_it(done):
    wrong = {}
    for rule in done.rules:
        try:
            check_rule(done.result.rule(rule["name"]), done.expected[rule["name"]])
        except (AssertionError, KeyError) as error:
            wrong[json.dumps(rule, default=str)] = str(error)[:300]
    assert wrong == {}
    assert len(done.rules) > 4 * len(PLAIN)


def test_the_rows_lie_where_the_oracle_puts_them_with_every_reason(done):
    check_sides(done, list(MIXED))
