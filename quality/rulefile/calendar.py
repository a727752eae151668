"""Reads a calendar of holidays, incidents and releases; every mistake is told at once, with its line.

version: 1
timezone: America/New_York
events:
  - {holiday: 2013-07-04, note: Independence Day}
  - {incident: 2013-02-08..2013-02-09, note: blizzard}
  - {release: 2013-06-01, note: new source system, metrics: [Size, Mean(delay)]}
"""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Any

from quality.anomaly.calendar import KINDS, Calendar, Event
from quality.errors import RuleFileError, UsageError
from quality.rule_types.args import parse_text, shown
from quality.rulefile.nodes import Node, parse
from quality.rulefile.ruleforms import Problems
from quality.rulefile.sections import parse_zone

_KEYS = ("version", "timezone", "events")
_SPAN = re.compile(r"\s*(\d{4}-\d{2}-\d{2})\s*(?:\.\.\s*(\d{4}-\d{2}-\d{2})\s*)?")


def load_calendar(path: str | Path) -> Calendar:
    """The calendar of a file. Raises RuleFileError with every mistake, UsageError when it cannot be read."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no such calendar") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: a calendar is a file of UTF-8 text: {error}") from None
    if not text.strip():
        raise UsageError(f"{path}: the calendar is empty; it needs 'version: 1' and 'events'")
    return _calendar(parse(text, str(path)))


def _calendar(tree: Node) -> Calendar:
    problems = Problems()
    if not isinstance(tree.value, dict):
        problems.add(tree, "a calendar is a mapping that begins with 'version: 1'")
        raise RuleFileError(problems.found)
    problems.unknown_keys(tree, _KEYS, "key of a calendar")
    version = tree.mapping.get("version")
    if version is None or version.value != 1 or isinstance(version.value, bool):
        problems.add(version or tree, "'version' of a calendar must be 1")
    events = tree.mapping.get("events")
    if events is not None and not isinstance(events.value, list):
        problems.add(events, "'events' must be a list of entries such as {holiday: 2024-12-25, note: Christmas}")
    zone = problems.parsed(tree.mapping.get("timezone"), "'timezone'", parse_zone, "UTC")
    found = [event for node in (events.items if events else []) if (event := _event(node, problems))]
    if problems.found:
        raise RuleFileError(problems.found)
    return Calendar(tuple(found), zone)


def _event(node: Node, problems: Problems) -> Event | None:
    if not isinstance(node.value, dict):
        problems.add(node, f"an event is a mapping such as {{holiday: 2024-12-25}}, got {shown(node.plain())}")
        return None
    problems.unknown_keys(node, (*KINDS, "note", "metrics"), "key of an event")
    kinds = [kind for kind in KINDS if kind in node.mapping]
    if len(kinds) != 1:
        problems.add(node, f"an event is one of {', '.join(KINDS)}, with its day; got {' and '.join(kinds) or 'none'}")
        return None
    kind = kinds[0]
    if kind == "holiday" and "metrics" in node.mapping:
        problems.add(node.mapping["metrics"], "'metrics' goes with an incident or a release; a holiday is about rows")
    first, last = problems.parsed(node.mapping[kind], f"'{kind}'", _span, (date.min, date.min))
    metrics = problems.parsed(node.mapping.get("metrics"), "'metrics'", parse_names, ())
    return Event(kind, first, last, problems.text(node, "note"), metrics)


def _span(value: Any) -> tuple[date, date]:
    match = _SPAN.fullmatch(value) if isinstance(value, str) else None
    try:
        if match is None:
            raise ValueError
        first, last = date.fromisoformat(match[1]), date.fromisoformat(match[2] or match[1])
    except ValueError:
        raise ValueError(
            f"must be a day such as 2024-12-25, or days: 2024-12-24..2024-12-26; got {shown(value)}"
        ) from None
    if last < first:
        raise ValueError(f"ends before it begins: {value}")
    return first, last


def parse_names(value: Any) -> tuple[str, ...]:
    """A list of metrics' names; at least one."""
    if not isinstance(value, list) or not value:
        raise ValueError(f"must be a list of metrics such as [Size, Mean(price)], got {shown(value)}")
    return tuple(parse_text(item) for item in value)
