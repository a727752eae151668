"""What rules say of their examples: for the terminal, and as JUnit XML."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any
from xml.etree.ElementTree import Element, SubElement

from quality.report import clean
from quality.report.junit import document, place, xml

_SAYS = {"pass": "passes", "fail": "fails", "skip": "is out of scope", "error": "could not be told"}
_MUST = {"pass": "must pass", "fail": "must fail", "skip": "must be out of scope"}
#: Rows of an example that are shown.
_ROWS = 5


def render(outcome: Mapping[str, Any], *, verbose: bool = False) -> str:
    """The examples that do not hold, each with what was expected and what was found, and how many hold."""
    lines: list[str] = []
    for told in outcome["results"]:
        if verbose or not told["holds"]:
            lines += _told(told)
    held, count = outcome["held"], outcome["examples"]
    without = len(outcome["rules_without_examples"])
    if verbose and without:
        lines.append(f"  without examples: {', '.join(outcome['rules_without_examples'])}")
    rest = f"; {without} {'rule has' if without == 1 else 'rules have'} none" if without else ""
    sign = "✓" if held == count else "✗"
    return "\n".join([*lines, f"{sign} {outcome['rule_file']}: {held} of {count} examples hold{rest}"])


def _told(told: Mapping[str, Any]) -> list[str]:
    sign = "✓" if told["holds"] else "✗"
    rules = ", ".join(map(clean, told["rules"]))
    lines = [f"{sign} {rules}", f"    {clean(told['location'])}"]
    lines += [f"    {row}" for row in _shown(told["rows"])]
    if told["holds"]:
        return [*lines, f"    {_SAYS[told['found']]}"]
    return [*lines, f"  - {_MUST[told['expected']]}", f"  + {_SAYS[told['found']]}: {clean(told['message'])}"]


def _shown(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    listed = list(rows)
    shown = [", ".join(f"{clean(name)}: {_value(value)}" for name, value in row.items()) for row in listed[:_ROWS]]
    more = len(listed) - _ROWS
    return [f"{{{row}}}" for row in shown] + ([f"and {more} more"] if more > 0 else [])


def _value(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def junit(outcomes: Iterable[Mapping[str, Any]]) -> str:
    """JUnit XML: a suite for each rule file, a case for each example."""
    root = Element("testsuites", name="quality test")
    for outcome in outcomes:
        suite = SubElement(root, "testsuite", name=xml(outcome["rule_file"]))
        for told in outcome["results"]:
            name = f"{', '.join(told['rules'])} {_MUST[told['expected']]}: {'; '.join(_shown(told['rows']))}"
            case = SubElement(suite, "testcase", classname=xml(outcome["dataset"]), name=xml(clean(name)))
            place(case, told)
            if not told["holds"]:
                kind = "error" if told["found"] == "error" else "failure"
                message = f"{_SAYS[told['found']]}: {told['message']}"
                SubElement(case, kind, message=xml(clean(message)), type="error").text = xml("\n".join(_told(told)))
    return document(root)
