"""A result as one HTML page that needs nothing else: no network, no scripts, readable from S3, e-mail or paper.

All values are escaped by the template engine, cleaned of control characters before that, and kept from running or
loading anything by the page's own content security policy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib import resources
from inspect import isfunction
from typing import Any

from jinja2 import Environment, Template

from quality import report
from quality.report import Result, Rule, problems, rows_of, rules_of

_HEADINGS = {"failed": "Failed", "error": "Could not be judged", "not_applicable": "Not applicable", "passed": "Passed"}
_WORDS = {"failed": "failed", "error": "not judged"}

#: Enough to see what is wrong; the quarantine has the rest.
_SAMPLE_ROWS = 20
_SAMPLE_COLUMNS = 60


def render(result: Result) -> str:
    """The page. `result["samples"]` ({rule id: [{column: value}]}), when present, adds failing rows below the rules."""
    return _template().render(
        result=result,
        sections=_sections(result),
        samples=_samples(result),
        passes=_passes(result.get("passes") or {}),
        bar=_bar(result),
        UNEXPLAINED=report.UNEXPLAINED,
        headings=_HEADINGS,
        words=_WORDS,
    )


@lru_cache(maxsize=1)
def _template() -> Template:
    # read through importlib, not the file system: the package may be a zip on a cluster
    text = resources.files("quality.report").joinpath("report.html").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.globals.update({name: word for name, word in vars(report).items() if isfunction(word)})
    return environment.from_string(text)


def _sections(result: Result) -> dict[str, list[tuple[int, Rule]]]:
    """Rules by status, each with its number in the file (an anchor that no hostile id can forge)."""
    graver = {id(rule): rank for rank, rule in enumerate(problems(result))}
    numbered = sorted(enumerate(rules_of(result)), key=lambda pair: graver.get(id(pair[1]), 0))
    found = {status: [pair for pair in numbered if pair[1].get("status") == status] for status in _HEADINGS}
    return {status: rules for status, rules in found.items() if rules}


def _bar(result: Result) -> list[tuple[str, float]]:
    """The row bar's parts in percent. One row in a million is still seen: a part is at least 0.5 wide."""
    rows = rows_of(result)
    parts = [(name, rows[name]) for name in ("passed", "quarantined") if rows[name]]
    total = sum(number for _, number in parts)
    return [(name, min(max(100 * number / total, 0.5), 99.5 if len(parts) > 1 else 100)) for name, number in parts]


def _samples(result: Result) -> dict[int, dict[str, Any]]:
    """Sampled failing rows by the number of their rule, cut to what a page can hold."""
    samples = result.get("samples") or {}
    return {n: _sample(samples[r["id"]]) for n, r in enumerate(rules_of(result)) if samples.get(r.get("id"))}


def _sample(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    names = list(dict.fromkeys(name for row in rows for name in row))
    shown = names[:_SAMPLE_COLUMNS]
    return {
        "names": shown,
        "rows": [[row.get(name) for name in shown] for row in rows[:_SAMPLE_ROWS]],
        "more_rows": max(len(rows) - _SAMPLE_ROWS, 0),
        "more_columns": len(names) - len(shown),
    }


def _passes(passes: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """(what, planned, actual) for everything either side counted."""
    planned, actual = passes.get("planned") or {}, passes.get("actual") or {}
    return [(name, planned.get(name), actual.get(name)) for name in dict.fromkeys([*planned, *actual])]
