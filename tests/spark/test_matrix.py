"""Every registered rule type with every modifier: refused by lint with a reason, or judged as the naive oracle judges it.

The pairs come from the registry. What lint takes stands in one rule file, and one run over awkward rows judges it all.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

import quality
from quality.rule_types import REGISTRY
from quality.rule_types.base import BatchRule, KeyRule, MetricRule, RowRule, SchemaRule
from quality.rule_types.files import FileRule
from quality.rule_types.verdicts import Verdict
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
#: Lines that cannot be read exist in text formats alone, drift where there are earlier batches.
ELSEWHERE = {"malformed", "drift"}
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
    head = "version: 1\ndataset: matrix\ninput: {path: in.parquet}\nrules:\n"
    lines = [f"- {json.dumps({**rule, 'name': f'r{index}'})}" for index, rule in enumerate(rules)]
    path.write_text(head + "\n".join(lines) + "\n", encoding="utf-8")
    return {problem.line - 5: problem.message for problem in lint(str(path)).problems}


def modified(word: str) -> dict[str, dict[str, Any]]:
    return {kind: {**rule, **MODIFIERS[word]} for kind, rule in PLAIN.items()}


def composed(word: str) -> dict[str, dict[str, Any]]:
    def other(kind: str) -> list[dict[str, Any]]:
        about_batch = issubclass(REGISTRY[kind], MetricRule)
        return [] if word == "not" else [{"row_count": {"at_least": 1}} if about_batch else {"that": "g = 'a'"}]

    return {kind: {word: {"parts": [{kind: _arguments(rule)}, *other(kind)]}} for kind, rule in PLAIN.items()}


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


VARIANTS = {word: modified(word) for word in MODIFIERS} | {word: composed(word) for word in ("all", "any", "not")}


def is_allowed(kind: str, variant: str) -> bool:
    """Whether a modifier goes with a type, as the documentation has it."""
    cls = REGISTRY[kind]
    if variant in ("all", "any", "not"):
        return issubclass(cls, (MetricRule, KeyRule)) or (issubclass(cls, RowRule) and cls.by_row)
    if variant == "groups":
        return kind not in UNGROUPED and issubclass(cls, (RowRule, MetricRule))
    if variant == "quarantine":
        return not issubclass(cls, BatchRule)
    (word,) = [word for word in MODIFIERS[variant] if word in oracle.MODIFIERS] or ["where"]
    return word == "on_fail" or carries(PLAIN[kind], word)


def test_every_type_stands_in_the_matrix():
    schema = {word for word, kind in REGISTRY.items() if issubclass(kind, (SchemaRule, FileRule, Verdict))}
    assert set(PLAIN) == set(REGISTRY) - schema - ELSEWHERE - oracle.ASKING_REFERENCES - oracle.QUERIES - {
        "date_format"
    }


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_does_not_go_together_is_refused_by_name_and_nothing_else_is(tmp_path, variant):
    rules = VARIANTS[variant]
    said = refusals(tmp_path / "rules.yml", list(rules.values()))
    refused = {kind: said[index] for index, kind in enumerate(rules) if index in said}
    assert set(refused) == {kind for kind in rules if not is_allowed(kind, variant)}
    word = next(iter(MODIFIERS.get(variant, {variant: None})))
    assert all(f"'{kind}'" in message and word in message for kind, message in refused.items()), refused


@pytest.mark.parametrize("variant", MODIFIERS)
def test_a_modifier_goes_or_does_not_go_with_schema_and_malformed_too(tmp_path, variant):
    rules = [{"schema": {"extra": "fail"}, **MODIFIERS[variant]}, {"malformed": True, **MODIFIERS[variant]}]
    said = refusals(tmp_path / "rules.yml", rules)
    wrong = {
        0: ("tolerance", "quarantine", "null fails", "null is skipped", "nan", "groups"),
        1: ("keep", "null fails", "null is skipped", "nan", "groups"),
    }
    assert set(said) == {index for index, words in wrong.items() if variant in words}


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
        if is_allowed(kind, word)
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
