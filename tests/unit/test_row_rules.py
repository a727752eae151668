"""Row rules that hold others, go by the clock, or speak of several columns: how they are read, expanded and told apart."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
import yaml

import quality
from quality.errors import RuleFileError
from quality.model import Column
from quality.planner import row_check
from quality.rule_types import REGISTRY
from quality.rule_types.base import KeyRule, MetricRule, Row, RowRule, SchemaRule
from quality.rule_types.composition import AllOf, Guarded, parse_part
from quality.rule_types.files import FileRule
from quality.rule_types.questions import Repeated
from quality.rulefile import lint

COLUMNS = tuple(
    Column(name, kind)
    for name, kind in {"i": "int", "d": "double", "s": "string", "day": "date", "ts": "timestamp"}.items()
)
HEAD = "version: 1\ndataset: a\ninput: {path: a.parquet}\nreferences: {airports: {path: b.csv}}\nrules:\n"
NESTED = (
    "- any: [{that: s = 'x'}, {not: [{values: {column: i, between: [1, 2]}}]}, {in: {column: s, values: ['1', 1]}}]"
)


def loaded(rule_file, text, **given):
    return quality.load(rule_file(HEAD + text + "\n"), batch="2024-01-01", **given)


def predicate(rule_set, zone="UTC"):
    (rule,) = rule_set.rules
    return row_check(rule, rule.check, Row(COLUMNS, timezone=zone)).complies


def test_a_composition_expands_to_a_file_of_the_same_meaning(rule_file):
    report = lint.lint(str(rule_file(HEAD + NESTED + "\n")), batch="2024-01-01")
    text = lint.expanded(report)
    assert report.rule_set is not None
    again = quality.load(rule_file(text, "again.yml"), batch="2024-01-01")
    assert again.fingerprint == report.rule_set.fingerprint
    assert [rule.check for rule in again.rules] == [rule.check for rule in report.rule_set.rules]


def test_a_composition_names_the_columns_of_its_parts_and_checks_their_sql(rule_file):
    (rule,) = loaded(rule_file, NESTED).rules
    assert (rule.id, rule.column, rule.check.expressions()) == ("any(i,s)", "i,s", ("s = 'x'",))
    (free,) = loaded(rule_file, "- not: {that: i > 0}").rules
    assert (free.id, free.check.is_free) == ("not", True)


def test_two_parts_that_differ_in_the_type_of_a_value_alone_are_two_rules(rule_file):
    prints = {
        loaded(rule_file, f"- not: [{{in: {{column: s, values: [{value}]}}}}]").fingerprint for value in ("1", "'1'")
    }
    assert len(prints) == 2


def test_a_rule_that_goes_by_the_clock_has_the_time_of_the_run_and_the_same_fingerprint_tomorrow(rule_file):
    text = "- not_future: {column: ts}"
    times = [datetime(2024, 5, day, 12, tzinfo=timezone.utc) for day in (1, 2)]
    found = [loaded(rule_file, text, run_time=time) for time in times]
    assert found[0].fingerprint == found[1].fingerprint
    micros = [int(time.timestamp()) * 1_000_000 for time in times]
    assert [f"{number}L" in predicate(rules) for number, rules in zip(micros, found, strict=True)] == [True, True]
    inside = loaded(rule_file, "- not: [{not_future: {column: ts}}]", run_time=times[0])
    assert f"{micros[0]}L" in predicate(inside)


@pytest.mark.parametrize(("zone", "day"), (("UTC", "2024-05-01"), ("Pacific/Auckland", "2024-05-02")))
def test_today_is_the_day_where_the_batch_is_from(rule_file, zone, day):
    found = loaded(rule_file, "- not_future: {column: day}", run_time=datetime(2024, 5, 1, 12, tzinfo=timezone.utc))
    assert f"date'{day}'" in predicate(found, zone)


@pytest.mark.parametrize(("text", "told"), (
    ("- not_future: {column: s}", "column 's' is string, not a date or time; give it a type under 'columns:'"),
    ("- compare: {column: s, above: i}", "column 's' is string, 'i' is int: they cannot be compared"),
    ("- sum_equals: {column: i, parts: [s, d]}", "column 's' is string: only numbers add up"),
    ("- no_placeholder: {column: i}", "column 'i' is int: say which 'values' are placeholders"),
))  # fmt: skip
def test_a_column_of_another_type_is_an_error_of_that_rule(rule_file, text, told):
    from quality.errors import RuleDataError

    with pytest.raises(RuleDataError, match=told):
        predicate(loaded(rule_file, text))


def examples(word):
    return yaml.safe_load(f"- {REGISTRY[word].example}")[0]


#: Types that are about the whole batch, whatever their groups.
UNGROUPED = {
    "unique", "key", "malformed", "entropy", "mutual_information", "top_value_ratio", "most_common_value", "distinct_values",
    "drift", "gaps", "coverage", "monotonic", "no_outliers", "ordered",
}  # fmt: skip
#: Modifiers, and who can carry them beside everyone: rules about rows, rows whose NULL another says nothing about.
MODIFIERS = {
    "where": (
        "i > 0",
        lambda kind: (
            kind.type not in ("drift", "malformed", "sql", "verdict", "schema_match")
            and not issubclass(kind, (FileRule, SchemaRule))
        ),
    ),
    "severity": ("warning", lambda kind: True),
    "on_fail": ("hold", lambda kind: True),
    "owner": ("someone", lambda kind: True),
    "group_by": (
        ["i"],
        lambda kind: (
            issubclass(kind, (RowRule, MetricRule))
            and kind.type not in (*UNGROUPED, "sql")
            and not (issubclass(kind, MetricRule) and kind.type.endswith("_match"))
        ),
    ),
    "tolerance": ("1%", lambda kind: issubclass(kind, RowRule) or getattr(kind, "each", False)),
    "nulls": ("fail", lambda kind: issubclass(kind, RowRule) and kind.nulls_apply),
    "nan": ("pass", lambda kind: issubclass(kind, RowRule) and kind.nulls_apply and kind.type != "that"),
}


@pytest.mark.parametrize("word", REGISTRY)
@pytest.mark.parametrize("modifier", MODIFIERS)
def test_every_rule_type_takes_a_modifier_or_says_why_not(rule_file, word, modifier):
    value, takes = MODIFIERS[modifier]
    # a verdict is on rules before it
    named = [{"row_count": {"at_least": 1}, "id": id} for id in ("enough_rows", "holiday")]
    entry = yaml.safe_dump([*(named if word == "verdict" else []), {**examples(word), modifier: value}])
    if not takes(REGISTRY[word]):
        with pytest.raises(RuleFileError, match=f": '{modifier}' of '{word}'"):
            loaded(rule_file, entry)
        return
    (rule,) = (rule for rule in loaded(rule_file, entry).rules if rule.check.type == word)
    assert rule.metadata.get(modifier) or rule.canonical.get(modifier)


@pytest.mark.parametrize("word", [w for w, k in REGISTRY.items() if issubclass(k, RowRule) and w != "malformed"])
def test_every_row_rule_can_be_a_part_or_is_refused(rule_file, word):
    text = yaml.safe_dump([{"not": [examples(word)]}])
    kind = REGISTRY[word]
    assert issubclass(kind, RowRule)
    if not kind.by_row and not issubclass(kind, KeyRule):
        with pytest.raises(RuleFileError, match=f"cannot hold '{word}'"):
            loaded(rule_file, text)
    else:
        (part,) = loaded(rule_file, text).rules[0].check.parts
        assert (part.part if isinstance(part, Guarded) else part).type == word


@pytest.mark.parametrize(
    ("modifier", "why"),
    (("group_by: [b]", "which is one of the whole batch"), ("examples: {pass: [{a: 1}]}", "judged by all of them")),
)
def test_a_key_within_a_composition_is_judged_over_the_batch(rule_file, modifier, why):
    with pytest.raises(RuleFileError, match=why):
        loaded(rule_file, f"- any: [{{unique: {{column: a}}}}, {{that: a > 1}}]\n  {modifier}")


def test_a_key_is_one_among_the_rows_of_every_filter_around_it():
    inner = {"any": [{"unique": "id", "where": "a > 1"}, {"that": "b"}], "where": "c > 2"}
    rule = parse_part({"all": [inner]})
    assert isinstance(rule, AllOf)
    (question,) = rule.questions("d > 3")
    assert isinstance(question, Repeated)
    assert all(text in question.where for text in ("a > 1", "c > 2", "d > 3"))
    row = Row((Column("id", "int"),), answers={question: None}, scope="d > 3")
    assert question.marker in rule.predicate(row)
