"""The section `anomalies:` of a rule file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from quality.anomaly.calendar import Calendar
from quality.anomaly.kinds import KINDS
from quality.errors import RuleFileError, UsageError, did_you_mean
from quality.model import Location, OnFail, Severity
from quality.rule_types.args import choice, parse_number, parse_ratio, shown
from quality.rule_types.rules import AnomalySettings
from quality.rulefile.calendar import load_calendar, parse_names
from quality.rulefile.nodes import Node
from quality.rulefile.ruleforms import Problems

KEYS = ("metrics", "season", "false_alarms", "severity", "on_fail", "calendar", "strategy")
SEASONS = ("auto", "daily", "weekly", "none")
#: Deequ's strategies with the names and kinds of their arguments.
STRATEGIES: dict[str, tuple[str, ...]] = {
    "SimpleThreshold": ("lower", "upper"),
    "AbsoluteChange": ("decrease", "increase", "order"),
    "RelativeRateOfChange": ("decrease", "increase", "order"),
    "OnlineNormal": ("lower_deviation_factor", "upper_deviation_factor", "ignore_start_percentage"),
    "BatchNormal": ("lower_deviation_factor", "upper_deviation_factor"),
    "HoltWinters": ("interval", "seasonality"),
}
#: The words of rule files for metrics that Deequ names otherwise.
_SAID = {"row_count": "Size", "rows": "Size", "null_ratio": "Completeness", "stddev": "StandardDeviation"}


def read_anomalies(tree: Node, problems: Problems) -> AnomalySettings | None:
    """What the section says; None when there is none. Every mistake is noted."""
    node = tree.mapping.get("anomalies")
    if node is None:
        return None
    if node.value is None:
        node = Node({}, node.file, node.line)
    if not isinstance(node.value, dict):
        problems.add(node, f"'anomalies' must be a mapping such as {{metrics: all}}, got {shown(node.plain())}")
        return None
    problems.unknown_keys(node, KEYS, "key of 'anomalies'")
    entries = node.mapping
    severity = Severity(
        problems.parsed(entries.get("severity"), "'severity'", choice(*map(str, Severity)).parse, "warning")
    )
    usual = OnFail.HOLD if severity == Severity.ERROR else OnFail.KEEP
    strategy, arguments = _strategy(entries.get("strategy"), problems)
    return AnomalySettings(
        Location(node.file, node.line),
        metrics=problems.parsed(entries.get("metrics"), "'metrics'", _metrics, ()),
        season=problems.parsed(entries.get("season"), "'season'", choice(*SEASONS).parse, "auto"),
        false_alarms=problems.parsed(entries.get("false_alarms"), "'false_alarms'", _level, 0.01),
        severity=severity,
        on_fail=OnFail(problems.parsed(entries.get("on_fail"), "'on_fail'", choice("hold", "keep").parse, str(usual))),
        calendar=_calendar(entries.get("calendar"), problems),
        strategy=strategy,
        arguments=arguments,
    )


def _metrics(value: Any) -> tuple[str, ...]:
    if value == "all":
        return ()
    names = parse_names(value)
    for name in names:
        bare = re.sub(r"\(.*", "", name, flags=re.DOTALL)
        if bare not in KINDS and bare in _SAID:
            raise ValueError(f"has '{name}'; here it is '{_SAID[bare]}'")
        if not re.fullmatch(r"[A-Z][A-Za-z]*", bare):
            raise ValueError(f"has '{name}'; {did_you_mean(bare, KINDS, 'metrics')}")
    return names


def _level(value: Any) -> float:
    level = parse_ratio(value)
    if not 0.0001 <= level <= 0.2:
        raise ValueError(f"must be between 0.01% and 20%, got {shown(value)}")
    return level


def _calendar(node: Node | None, problems: Problems) -> str:
    """The path, relative to the file; the calendar's own mistakes are told with those of the rule file."""
    if node is None:
        return ""
    if not isinstance(node.value, str):
        problems.add(node, f"'calendar' must be the path of a file, got {shown(node.plain())}")
        return ""
    path = str(Path(node.file).parent / node.value)
    try:
        assert isinstance(load_calendar(path), Calendar)
    except RuleFileError as error:
        problems.found += error.problems
    except UsageError as error:
        problems.add(node, f"'calendar': {error}")
    return path


def _strategy(node: Node | None, problems: Problems) -> tuple[str, tuple[tuple[str, Any], ...]]:
    """`OnlineNormal`, or `OnlineNormal: {upper_deviation_factor: 4}`."""
    if node is None:
        return "", ()
    if isinstance(node.value, str):
        name, given = node.value, Node({}, node.file, node.line)
    elif len(node.mapping) == 1:
        ((name, given),) = node.mapping.items()
    else:
        problems.add(node, f"'strategy' must be one of {', '.join(STRATEGIES)}, got {shown(node.plain())}")
        return "", ()
    if name not in STRATEGIES:
        problems.add(node, f"'{name}' is not a strategy; {did_you_mean(name, STRATEGIES, 'strategies')}")
        return "", ()
    problems.unknown_keys(given, STRATEGIES[name], f"argument of '{name}'")
    read = {
        key: problems.parsed(value, f"'{key}'", _word if name == "HoltWinters" else parse_number, None)
        for key, value in given.mapping.items()
    }
    _refuse_misfit(name, read, node, problems)
    return name, tuple(sorted(read.items()))


def _word(value: Any) -> str:
    return str(choice("Hourly", "Daily", "Weekly", "Monthly", "Yearly").parse(value))


def _refuse_misfit(name: str, arguments: dict[str, Any], node: Node, problems: Problems) -> None:
    from quality.anomaly.judging import strategy_of

    try:
        strategy_of(name, arguments)
    except (ValueError, TypeError) as error:
        problems.add(node, f"strategy '{name}': {error}")


def read_options(given: dict[str, Any]) -> dict[str, Any]:
    """The same values from a command line. Raises UsageError with the option's name."""
    parsers = {"metrics": _metrics, "false_alarms": _level, "season": choice(*SEASONS).parse}
    found = {}
    for name, value in given.items():
        try:
            found[name] = parsers[name](value)
        except ValueError as error:
            option = "--metric" if name == "metrics" else f"--{name.replace('_', '-')}"
            raise UsageError(f"{option} {error}") from None
    return found
