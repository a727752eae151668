"""The section `anomalies:` of a rule file and its calendar: what may stand there, and what a mistake is told."""

from __future__ import annotations

from datetime import date

import jsonschema
import pytest
import yaml

from quality.anomaly.calendar import Event
from quality.anomaly.judging import STRATEGIES
from quality.errors import RuleFileError, UsageError
from quality.model import OnFail, Severity
from quality.rulefile import anomalies, load
from quality.rulefile.calendar import load_calendar
from quality.rulefile.schema import json_schema

HEAD = "version: 1\ndataset: d\ninput: {path: a.parquet}\n"


def settings(rule_file, section):
    return load(rule_file(HEAD + section)).anomalies


def problems(rule_file, section):
    with pytest.raises(RuleFileError) as caught:
        load(rule_file(HEAD + section))
    return [(problem.line, problem.message) for problem in caught.value.problems]


def test_no_section_asks_for_nothing(rule_file):
    assert settings(rule_file, "") is None
    assert load(rule_file(HEAD)).fingerprint != load(rule_file(HEAD + "anomalies: {}\n")).fingerprint


def test_an_empty_section_has_careful_defaults(rule_file):
    found = settings(rule_file, "anomalies:\n")
    assert (found.metrics, found.season, found.false_alarms) == ((), "auto", 0.01)
    assert (found.severity, found.on_fail) == (Severity.WARNING, OnFail.KEEP)


def test_everything_that_may_be_said(rule_file):
    section = (
        "anomalies: {metrics: [Size, Mean(price)], season: weekly, false_alarms: 2%, severity: error, on_fail: keep}\n"
    )
    found = settings(rule_file, section)
    assert (found.metrics, found.season, found.false_alarms) == (("Size", "Mean(price)"), "weekly", 0.02)
    assert (found.severity, found.on_fail) == (Severity.ERROR, OnFail.KEEP)
    assert settings(rule_file, "anomalies: {severity: error}\n").on_fail == OnFail.HOLD


def test_deequs_strategies_take_deequs_arguments(rule_file):
    found = settings(rule_file, "anomalies: {strategy: {OnlineNormal: {upper_deviation_factor: 4}}}\n")
    assert (found.strategy, found.arguments) == ("OnlineNormal", (("upper_deviation_factor", 4),))
    assert settings(rule_file, "anomalies: {strategy: HoltWinters}\n").strategy == "HoltWinters"


def test_every_mistake_is_told_at_once(rule_file):
    section = (
        "anomalies:\n  metric: all\n  season: weakly\n  false_alarms: 50%\n  severity: fatal\n  metrics: [row_count]\n"
        "  strategy: OnlineNormall\n  calendar: none.yml\n"
    )
    found = problems(rule_file, section)
    assert [line for line, _ in found] == [5, 6, 7, 8, 9, 10, 11]
    assert found[0][1].startswith("'metric' is not a key of 'anomalies'; did you mean 'metrics'?")
    assert found[2][1] == "'false_alarms' must be between 0.01% and 20%, got '50%'"
    assert found[4][1] == "'metrics' has 'row_count'; here it is 'Size'"
    assert found[5][1].startswith("'OnlineNormall' is not a strategy; did you mean 'OnlineNormal'?")
    assert "there is no such calendar" in found[6][1]


@pytest.mark.parametrize(
    ("strategy", "message"),
    (
        ("{OnlineNormal: {factor: 4}}", "'factor' is not an argument of 'OnlineNormal'"),
        ("AbsoluteChange", "strategy 'AbsoluteChange': one of 'decrease' and 'increase' must be given"),
        ("{HoltWinters: {interval: Hourly}}", "strategy 'HoltWinters': 'interval' and 'seasonality' must be"),
        ("3", "'strategy' must be one of SimpleThreshold"),
    ),
)
def test_a_strategy_that_could_not_run_is_told(rule_file, strategy, message):
    assert any(message in text for _, text in problems(rule_file, f"anomalies: {{strategy: {strategy}}}\n"))


def test_what_rule_files_may_name_is_what_the_detector_has():
    assert set(anomalies.STRATEGIES) == set(STRATEGIES)


@pytest.mark.parametrize(
    ("section", "good"),
    (
        ({"metrics": "all", "season": "weekly", "false_alarms": "1%", "severity": "warning"}, True),
        ({"metrics": ["Size"], "strategy": {"OnlineNormal": {"upper_deviation_factor": 4}}}, True),
        ({"strategy": "HoltWinters", "calendar": "calendar.yml"}, True),
        (None, True),
        ({"metrics": []}, False),
        ({"season": "weakly"}, False),
        ({"strategy": "OnlineNormall"}, False),
    ),
)
def test_the_schema_for_editors_agrees(section, good):
    tree = {**yaml.safe_load(HEAD), "anomalies": section}
    assert jsonschema.Draft202012Validator(json_schema()).is_valid(tree) == good


CALENDAR = """version: 1
timezone: America/New_York
events:
  - {holiday: 2013-07-04, note: Independence Day}
  - {incident: 2013-02-08..2013-02-09, metrics: [Size]}
  - {release: 2013-06-01}
"""


def test_a_calendar_is_read(rule_file):
    found = load_calendar(rule_file(CALENDAR, "calendar.yml"))
    assert found.timezone == "America/New_York"
    assert found.events == (
        Event("holiday", date(2013, 7, 4), date(2013, 7, 4), "Independence Day"),
        Event("incident", date(2013, 2, 8), date(2013, 2, 9), "", ("Size",)),
        Event("release", date(2013, 6, 1), date(2013, 6, 1)),
    )


def test_a_calendar_tells_all_its_mistakes(rule_file):
    path = rule_file(
        "version: 2\ntimezone: Berlin\nevents:\n  - {holyday: 2013-07-04}\n  - {holiday: 4.7.2013}\n"
        "  - {holiday: 2013-07-04..2013-07-01}\n  - {holiday: 2013-07-04, metrics: [Size]}\n  - 2013-07-04\n",
        "calendar.yml",
    )
    with pytest.raises(RuleFileError) as caught:
        load_calendar(path)
    assert [problem.line for problem in caught.value.problems] == [1, 2, 4, 4, 5, 6, 7, 8]
    text = str(caught.value)
    assert f"{path}:4: 'holyday' is not a key of an event; did you mean 'holiday'?" in text
    assert f"{path}:5: 'holiday' must be a day such as 2024-12-25" in text
    assert f"{path}:6: 'holiday' ends before it begins" in text


def test_mistakes_of_a_calendar_are_told_with_those_of_the_rule_file(rule_file):
    rule_file("version: 1\nevents: [{holiday: never}]\n", "calendar.yml")
    found = problems(rule_file, "anomalies: {calendar: calendar.yml, season: weakly}\n")
    assert len(found) == 2


@pytest.mark.parametrize("text", ("", "- 1\n", "version: 1\nevents: 3\n"))
def test_what_is_no_calendar_is_said(rule_file, text):
    with pytest.raises(UsageError, match=r"calendar|events"):
        load_calendar(rule_file(text, "calendar.yml"))
