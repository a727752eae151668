"""Rules of DQDL as strings in a rule file: judged as what they convert to, or refused."""

from __future__ import annotations

import pytest

from quality.errors import RuleFileError
from quality.model import Bounds, Nulls, OnFail, Severity, Tolerance
from quality.rule_types import completeness, statistics, values
from quality.rulefile import load
from quality.rulefile.lint import expanded, lint

HEAD = "version: 1\ndataset: a\ninput: {path: a.parquet}\nrules:\n"


def rules(rule_file, text, **given):
    return load(rule_file(HEAD + text + "\n"), batch="b", **given).rules


def test_a_string_is_the_rule_it_converts_to_with_the_modifiers_beside_it(rule_file):
    text = (
        "- row_count: {above: 0}\n"
        '- dqdl: \'ColumnValues "hour" between -1 and 25 where "ok" with threshold > 0.99\'\n'
        "  name: hours\n  severity: warning\n  tags: [x]\n"
    )
    _, found = rules(rule_file, text)
    assert found.check == values.Values("hour", Bounds((("above", -1), ("below", 25))))
    assert (found.id, found.name, found.where, found.nulls) == ("hours", "hours", "ok", Nulls.FAIL)
    assert isinstance(found.tolerance, Tolerance)
    assert not found.tolerance.allows(1, 100)
    assert found.tolerance.allows(1, 101)
    assert (found.severity, found.on_fail, found.metadata) == (Severity.WARNING, OnFail.KEEP, {"tags": ["x"]})
    assert found.location.line == 6


def test_a_conjunction_is_several_rules(rule_file):
    found = rules(rule_file, '- dqdl: (IsComplete "a") and (RowCount > 1)\n  severity: info')
    assert [rule.check for rule in found] == [completeness.Required("a"), statistics.RowCount(Bounds((("above", 1),)))]
    assert {rule.severity for rule in found} == {Severity.INFO}


def test_the_clock_is_that_of_the_run_and_in_no_fingerprint(rule_file):
    from datetime import datetime, timezone

    path = rule_file(HEAD + '- dqdl: DataFreshness "t" <= 3 days\n')
    found = [load(path, batch="b", run_time=datetime(2024, 1, day, tzinfo=timezone.utc)) for day in (1, 2)]
    assert found[0].fingerprint == found[1].fingerprint
    assert "2024-01-02" in found[1].rules[0].check.expressions()[0]


def test_it_expands_to_rules_of_ours(rule_file):
    report = lint(str(rule_file(HEAD + '- dqdl: Uniqueness "a" "b" >= 0.9\n')), batch="b")
    assert report.rule_set is not None
    text = expanded(report)
    assert "dqdl" not in text
    assert load(rule_file(text, "again.yml"), batch="b").fingerprint == report.rule_set.fingerprint


@pytest.mark.parametrize(("text", "told"), (
    ("dqdl: RowCount", "'dqdl' is not DQDL: 'RowCount' needs a condition, such as '>= 1'"),
    ("dqdl: Rowcount > 1", "'dqdl' is not DQDL: 'Rowcount' is not a rule type"),
    ('dqdl: DetectAnomalies "RowCount"', "'dqdl' does not carry over: anomalies are looked for by the section 'anomalies:'"),
    ("dqdl: 'FileSize > 1 KB with threshold > avg(last(5))'", "'dqdl' does not carry over: a threshold from earlier batches goes with"),
    ("dqdl: 'RowCount > {{ batch }}'", "'dqdl' takes no templates"),
    ("dqdl: [RowCount > 1]", "'dqdl' must be a rule of DQDL as a text"),
    ("dqdl: ''", "'dqdl' must be a rule of DQDL as a text"),
    ("{dqdl: (RowCount > 1) and (ColumnCount > 1), name: both}", "'dqdl' becomes 2 rules, which cannot share one 'name'"),
    ("{dqdl: RowCount > 1, tolerance: 1%}", "'tolerance' of 'row_count': goes with rules about rows"),
))  # fmt: skip
def test_what_cannot_be_judged_is_refused_at_its_line(rule_file, text, told):
    with pytest.raises(RuleFileError) as error:
        rules(rule_file, f"- row_count: {{above: 0}}\n- {text}")
    assert f":6: {told}" in str(error.value)
