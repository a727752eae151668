"""Results as JUnit XML, for the test tab of a CI system: a suite for each batch, a case for each rule.

JUnit has no warnings: a failed rule is a failure whatever its severity, which stands in the failure's `type`. When a
batch ends other than by its rules (unreadable input, too much in quarantine), a case named `batch` says so: a
report without a failure must mean exit code 0.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from quality.report import (
    Result,
    Rule,
    about,
    anomaly_text,
    clean,
    group_text,
    held_by,
    more_groups,
    numbers,
    problems,
    rows_line,
    rules_of,
    slice_text,
    title,
)

#: What XML 1.0 cannot hold, not even escaped.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(results: Iterable[Result]) -> str:
    """The document, with its XML declaration; to be stored as UTF-8."""
    root = Element("testsuites", name="quality")
    for result in results:
        _suite(root, result)
    return document(root)


def document(root: Element) -> str:
    """The suites below `root` as text, with their counts."""
    for suite in root:
        _tally(suite)
    _tally(root)
    indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _suite(root: Element, result: Result) -> None:
    suite = SubElement(root, "testsuite", name=xml(title(result)))
    _properties(suite, result)
    for rule in rules_of(result):
        _case(suite, result, rule)
    if result.get("exit_code") and not problems(result):
        _batch_case(suite, result)
    out = [rows_line(result), *map(anomaly_text, result.get("anomalies") or [])]
    SubElement(suite, "system-out").text = xml("\n".join(out))


def _properties(suite: Element, result: Result) -> None:
    properties = SubElement(suite, "properties")
    for name in ("run", "status", "decision", "rule_set", "batch_time"):
        if result.get(name):
            SubElement(properties, "property", name=name, value=xml(clean(result[name])))


def _case(suite: Element, result: Result, rule: Rule) -> None:
    case = SubElement(suite, "testcase", classname=xml(result.get("dataset")), name=xml(clean(rule.get("id"))))
    place(case, rule)
    if rule.get("status") == "not_applicable":
        SubElement(case, "skipped", message=xml(_message(rule)))
    elif rule.get("status") in ("failed", "error"):
        kind = "failure" if rule["status"] == "failed" else "error"
        SubElement(case, kind, message=xml(_message(rule)), type=xml(rule.get("severity"))).text = xml(_detail(rule))


def _batch_case(suite: Element, result: Result) -> None:
    case = SubElement(suite, "testcase", classname=xml(result.get("dataset")), name="batch")
    why = clean(result.get("message")) or held_by(result) or f"exit code {result['exit_code']}"
    kind = "error" if result.get("status") == "error" else "failure"
    SubElement(case, kind, message=xml(why), type="error").text = xml(rows_line(result))


def place(case: Element, rule: Rule) -> None:
    """`file` and `line`, from which CI systems make links."""
    file, _, line = str(rule.get("location") or "").rpartition(":")
    if file and line.isdigit():
        case.set("file", xml(file))
        case.set("line", line)


def _message(rule: Rule) -> str:
    return clean(rule.get("message")) or numbers(rule) or str(rule.get("status"))


def _detail(rule: Rule) -> str:
    groups = [f"group {group_text(group)}" for group in (rule.get("groups") or [])[:20]]
    groups.append(more_groups(rule, 20))
    return "\n".join(
        filter(
            None,
            [
                clean(rule.get("message")),
                numbers(rule),
                slice_text(rule),
                about(rule),
                *groups,
                clean(rule.get("location")),
            ],
        )
    )


def _tally(element: Element) -> None:
    """The counts that CI systems read before anything else."""
    element.set("tests", str(len(list(element.iter("testcase")))))
    for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        element.set(attribute, str(len(list(element.iter(tag)))))


def xml(value: Any) -> str:
    """A value as text that XML can hold."""
    return _NOT_XML.sub("", "" if value is None else str(value))
