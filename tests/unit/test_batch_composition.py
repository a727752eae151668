"""Compositions of rules about the batch: three values of logic, parts that do not apply, and what is told of each."""

from __future__ import annotations

import itertools

import pytest

from quality import load
from quality.errors import RuleFileError
from quality.grouping import Group
from quality.model import Column, Metric, RuleStatus
from quality.planner import plan
from quality.rule_types.base import Row
from quality.verification import Measured, judge

COLUMNS = (Column("a", "double"), Column("b", "double"), Column("c", "double"), Column("g", "string"))
HEAD = "version: 1\ndataset: d\ninput: {table: t}\nrules:\n"
FAILED, UNSURE, PASSED, SILENT = RuleStatus.FAILED, RuleStatus.ERROR, RuleStatus.PASSED, RuleStatus.NOT_APPLICABLE
#: A value of a mean that is to be at most 10, and the rows in scope: passed, failed, could not be told, does not apply.
FOUND = {PASSED: (1.0, 5), FAILED: (11.0, 5), UNSURE: (None, 5), SILENT: (None, 0)}
THREE = "[{mean: {column: a, at_most: 10}}, {mean: {column: b, at_most: 10}}, {mean: {column: c, at_most: 10}}]"


def planned(rule_file, rule):
    return plan(load(rule_file(f"{HEAD}  - {rule}\n")), Row(COLUMNS), text=False)


def measured(made, found, checks=None):
    ids = [check.rule.id for check in checks or made.metric_checks]
    keys = [check.analyzer.key for check in checks or made.metric_checks]
    metrics = {id: Metric(key, value) for id, key, (value, _) in zip(ids, keys, found, strict=True)}
    return Measured(5, metrics=metrics, scopes={id: scope for id, (_, scope) in zip(ids, found, strict=True)})


def expected(word, parts):
    """By the tables: the unknown is tried as true and as false; what comes of both is known."""
    known = [part for part in parts if part != SILENT]
    if not known:
        return SILENT
    choices = itertools.product(*([True, False] if part == UNSURE else [part == PASSED] for part in known))
    of = {"all": all, "any": any, "not": lambda values: not any(values)}[word]
    verdicts = {of(values) for values in choices}
    return UNSURE if len(verdicts) > 1 else PASSED if verdicts.pop() else FAILED


@pytest.mark.parametrize("word", ("all", "any", "not"))
def test_a_composition_is_told_where_what_is_unknown_makes_no_difference(rule_file, word):
    made = planned(rule_file, f"{word}: {THREE}")
    for parts in itertools.product(FOUND, repeat=3):
        (result,) = judge(made, measured(made, [FOUND[part] for part in parts]), COLUMNS)
        assert result.status == expected(word, parts), parts
        assert tuple(part.status for part in result.parts) == parts
        assert bool(result.message) or (result.status == PASSED and UNSURE not in parts)


def test_compositions_stand_in_each_other(rule_file):
    made = planned(rule_file, f"any: [{{row_count: {{at_least: 6}}}}, {{not: [{{all: {THREE}}}]}}]")
    parts = [(5, 5), FOUND[PASSED], FOUND[FAILED], FOUND[UNSURE]]
    (result,) = judge(made, measured(made, parts), COLUMNS)
    # not all of them hold, whatever the third is
    assert result.status == PASSED
    (result,) = judge(made, measured(made, [*parts[:2], FOUND[PASSED], FOUND[PASSED]]), COLUMNS)
    assert result.status == FAILED
    assert result.message.startswith("Size is 5, must be >= 6; Mean of 'a' is 1, which is <= 10")


def test_the_result_has_every_part_and_its_metric(rule_file):
    made = planned(rule_file, f"any: {THREE}")
    (result,) = judge(made, measured(made, [FOUND[FAILED]] * 3), COLUMNS)
    data = result.to_dict()
    assert (data["metric"], data["rows_in_scope"], data["on_fail"]) == (None, 5, "hold")
    assert [(part["column"], part["status"], part["metric"]["value"]) for part in data["parts"]] == [
        (name, "failed", 11.0) for name in "abc"
    ]
    assert [metric.key.instance for metric in result.metrics] == ["a", "b", "c"]


def test_a_part_whose_column_is_not_there_is_unknown(rule_file):
    made = planned(rule_file, "any: [{mean: {column: nowhere, at_most: 10}}, {mean: {column: a, at_most: 10}}]")
    (result,) = judge(made, measured(made, [FOUND[PASSED]]), COLUMNS)
    assert (result.status, "column 'nowhere' is not in the data" in result.message) == (PASSED, True)
    (result,) = judge(made, measured(made, [FOUND[FAILED]]), COLUMNS)
    assert (result.status, "column 'nowhere' is not in the data" in result.message) == (UNSURE, True)


def test_a_composition_is_judged_in_groups(rule_file):
    made = planned(
        rule_file, "{name: r, any: [{row_count: {at_least: 9}}, {mean: {column: a, at_most: 10}}], group_by: [g]}"
    )
    groups: dict[Group, Measured] = {
        ("x",): measured(made, [(5, 5), FOUND[PASSED]], made.group_checks),
        ("y",): measured(made, [(5, 5), FOUND[FAILED]], made.group_checks),
        (None,): measured(made, [(9, 9), FOUND[UNSURE]], made.group_checks),
    }
    (result,) = judge(made, Measured(19, groups={"r[1]": groups, "r[2]": groups}), COLUMNS)
    assert (result.status, result.group_counts) == (FAILED, {"all": 3, "failed": 1, "error": 0})
    assert [group["group"] for group in result.groups] == [{"g": "y"}]
    assert len(made.group_passes) == 1


def test_earlier_batches_are_asked_for_by_any_part(rule_file):
    made = planned(
        rule_file,
        "{name: r, all: [{row_count: {at_least: last}}, {row_count: {at_most: 2 * median(last 7)}}], min_history: 3}",
    )
    assert made.batches == 7
    assert [check.rule.min_history for check in made.metric_checks] == [3, 3]


REFUSED = {
    "any: [{row_count: {at_least: 1}}, {that: a > 0}]": "holds 'that', which is about each row, and 'row_count'",
    "any: [{all: [{that: a > 0}]}, {row_count: {at_least: 1}}]": "holds 'all', which is about each row, and 'row_count'",
    "any: [{schema: {extra: fail}}]": "cannot hold 'schema'",
    "any: [{row_count: {at_least: 1}}]\n    nulls: fail": "'nulls' of 'any': goes with rules about rows",
    "any: [{row_count: {at_least: 1}}]\n    on_fail: quarantine": "has no rows to quarantine",
    "any: [{mean: {column: a, at_least: xyz}}]": "must be a number",
}


@pytest.mark.parametrize("rule", REFUSED)
def test_what_has_no_one_verdict_is_refused(rule_file, rule):
    with pytest.raises(RuleFileError) as told:
        load(rule_file(f"{HEAD}  - {rule}\n"))
    assert REFUSED[rule] in str(told.value)
