"""A suite as the text of a rule file, with the evidence beside each rule."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from quality.rulefile.dqdl.yaml_text import Template, flow
from quality.rulefile.sections import guess_format
from quality.sql import literal, quote
from quality.suggesting.judging import METRICS, Suggestion
from quality.suggesting.suite import Suite, expected

_WIDTH = 116
#: What says how values are distributed: a batch beyond it is looked at, not held.
_WARNS = frozenset({"mean", "spread", "smallest", "largest", "distinct", "correlation", "unpaired", "drift"})


@dataclass(frozen=True)
class Head:
    """What stands above the rules. `types`: those that a text format's columns are to have; `references`: paths of other data
    sets, by name."""

    dataset: str
    path: str = ""
    format: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    timezone: str = ""
    batch_time: bool = False
    types: Mapping[str, str] = field(default_factory=dict)
    source: str = ""
    references: Mapping[str, str] = field(default_factory=dict)


def rule_file(suite: Suite, head: Head) -> str:
    """The text of the rule file."""
    lines = [*_opening(suite, head), *_input(head)]
    if head.types:
        lines += ["", "columns:"]
        lines += [f"  {flow(name)}: {{type: {flow(kind)}}}" for name, kind in head.types.items()]
    lines += ["", "rules:", *_rules(suite)]
    lines += ["", "hold: {quarantined_above: 20%}"]
    if suite.dropped:
        lines += ["", "# Tried and dropped, because later batches broke them:"]
        lines += [f"#   {_title(one)}: {one.broken} of {one.held_back}" for one in suite.dropped if one.held_back]
    if suite.notes:
        lines += ["", "# Seen, but not said by a rule:", *(_comment(f"  {note}", 0) for note in suite.notes)]
    return "\n".join(lines) + "\n"


def _opening(suite: Suite, head: Head) -> Iterator[str]:
    ids, count = suite.batches, len(suite.batches)
    spread = f"{count} batches, {ids[0]} to {ids[-1]}" if count > 1 else f"one batch, {ids[0] if ids else 'empty'}"
    yield _comment(f"Suggested from {spread} ({suite.rows:,} rows){head.source}. Read it before it holds anything.", 0)
    usual = _usual(suite)
    if count > 1 and usual:
        share = expected(usual)
        assert share is not None
        yield _comment(
            f"Above each rule stands what was seen. Each was fitted to the earlier batches and judged by the {usual.held_back} "
            f"later ones; where nothing else is said, none broke it, and at most {100 * share:.2g} % of good batches will.", 0
        )  # fmt: skip
    else:
        yield _comment("One batch does not say how batches vary: bounds are wide, nothing was held back.", 0)
    yield "version: 1"
    yield f"dataset: {flow(head.dataset)}"


def _usual(suite: Suite) -> Suggestion | None:
    """A rule with the odds that most have: no held-back batch broke it, and all could tell."""
    judged = [one for one in suite.suggestions if one.held_back and not one.broken]
    return max(judged, key=lambda one: one.held_back, default=None)


def _input(head: Head) -> Iterator[str]:
    if not head.path:
        return
    given: dict[str, Any] = {"path": Template(head.path), "format": head.format}
    if head.options:
        given["options"] = dict(head.options)
    if head.timezone:
        given["timezone"] = head.timezone
    if head.batch_time:
        given["batch_time"] = Template("{{ batch }}")
    yield f"input: {flow(given)}"
    if head.references:
        yield "references:"
    for name, path in head.references.items():
        csv = {"options": {"header": True}} if guess_format(path) == "csv" else {}
        yield f"  {name}: {flow({'path': path, **csv})}"


#: The parts of the file, in this order.
_PARTS = (
    "The batch as a whole",
    "Always there",
    "Values of single columns",
    "Columns that have to do with each other",
    "Against the batches before (drift: how far the values are from those of the last 7 together)",
)


def _part(one: Suggestion) -> int:
    """Which part a rule stands in."""
    if one.given.get("key") == "rolling":
        return 4
    if not one.columns or one.type in ("key", "freshness"):
        return 0
    if one.type == "required" and len(one.columns) == 1:
        return 1
    return 2 if len(one.columns) == 1 or one.type == "exists_in" else 3


def _rules(suite: Suite) -> Iterator[str]:
    usual = expected(one) if (one := _usual(suite)) else None
    key = next((one for one in suite.suggestions if one.type == "key"), None)
    named = set(key.columns) if key and _sure(key) else set()
    always = [one for one in suite.suggestions if _part(one) == 1 and _sure(one)]
    listed = [one for one in always if one.columns[0] not in named]
    if not suite.suggestions:
        yield "  - row_count: {at_least: 1}"
    first = len(_PARTS)
    for part, title in enumerate(_PARTS):
        found = [one for one in suite.suggestions if _part(one) == part and one not in always]
        if not found and not (part == 1 and listed):
            continue
        yield from [""] * (part > first)
        first = min(first, part)
        yield f"  # --- {title}"
        if part == 1 and listed:
            yield from _required(listed, usual)
        for one in found:
            yield from _rule(one, usual)


def _required(found: Sequence[Suggestion], usual: float | None) -> Iterator[str]:
    yield _comment(_told(found[0], usual), 2)
    names = [one.columns[0] for one in found]
    body = flow({"column": names[0]} if len(names) == 1 else {"columns": names})
    yield f"  - required: {body}"


def _rule(one: Suggestion, usual: float | None) -> Iterator[str]:
    yield _comment(_told(one, usual), 2)
    name = _name(one)
    body = _body(one)
    if name:
        yield f"  - name: {flow(name)}"
        yield from _entry(one.type, body, "    ")
    else:
        yield from _entry(one.type, body, "  - ")
    if one.test == "incomplete":
        yield _where(one)
    if one.tolerance and one.test not in METRICS and one.type != "completeness":
        yield f"    tolerance: {100 * one.tolerance:.4g}%"
    if not _sure(one) or one.test in _WARNS:
        yield "    severity: warning"


def _told(one: Suggestion, usual: float | None) -> str:
    """What was seen, and how it was judged where that is not as usual."""
    odds = "" if expected(one) == usual else _odds(one)
    return f"{one.why}; {odds}" if odds else one.why


def _where(one: Suggestion) -> str:
    condition = f"{_sql(one.columns[0])} = {literal(one.given['value'])}"
    return f"    where: {flow(condition)}"


def _entry(type: str, body: Any, start: str) -> Iterator[str]:
    text = flow(body)
    if type == "that" and len(text) > _WIDTH - 10 and _folds(body):
        yield f"{start}that: >-"
        inside = " " * (len(start) + 2)
        yield from textwrap.wrap(
            body,
            _WIDTH,
            initial_indent=inside,
            subsequent_indent=inside,
            break_long_words=False,
            break_on_hyphens=False,
        )
    else:
        yield f"{start}{type}: {text}"


def _folds(text: str) -> bool:
    """Whether a folded scalar reads as the same text: wrapping loses nothing but single blanks."""
    return text.isprintable() and "{" not in text and "  " not in text and "#" not in text


def _sure(one: Suggestion) -> bool:
    return one.strong and one.held_back > 0


def _odds(one: Suggestion) -> str:
    share = expected(one)
    if share is None:
        return ""
    broke = (
        f"{one.broken} of {one.held_back} later batches broke it"
        if one.broken
        else f"{one.held_back} later batches judged it"
    )
    return f"{broke}: expect {100 * share:.2g} %"


def _comment(text: str, indent: int) -> str:
    start = " " * indent + "# "
    plain = " ".join(text.split()) if not text.startswith(" ") else text
    shown = "".join(sign if sign.isprintable() else "?" for sign in plain)
    return textwrap.fill(shown, _WIDTH, initial_indent=start, subsequent_indent=start)


def _title(one: Suggestion) -> str:
    return f"{one.type} of {', '.join(one.columns)}" if one.columns else one.type


def _name(one: Suggestion) -> str:
    a, *rest = one.columns or ("",)
    if one.test == "lone nulls":
        return f"{rest[0]} needs {a}" if one.type == "that" else ""
    if one.test == "unequal":
        return f"{a} is made of {rest[0]} and {rest[1]}"
    if one.test == "unpaired":
        return f"{a} and {rest[0]} go together"
    if one.test == "disordered":
        return f"{a} at most {rest[0]}"
    if one.test == "incomplete":
        return f"{rest[0]} when {a} is {one.given['value']}"
    return ""


def _sql(name: str) -> str:
    return name if name.isidentifier() and name.isascii() and name.lower() not in _WORDS else quote(name)


#: Names that could mean something else in an expression.
_WORDS = {
    "and", "or", "not", "in", "is", "null", "true", "false", "case", "when", "then", "else", "end", "between", "like", "date",
    "timestamp", "interval", "select", "from", "where", "exists", "array", "map", "struct",
}  # fmt: skip


def _body(one: Suggestion) -> Any:
    if one.type == "that":
        return _that(one)
    if one.type in ("all_or_none_of", "correlation"):
        return {"columns": list(one.columns), **one.arguments}
    if one.type == "exists_in":
        asked = dict(one.arguments)
        if asked["reference_columns"] == list(one.columns):
            del asked["reference_columns"]
        return {"columns": list(one.columns), **asked}
    if one.type == "key":
        return {"columns": list(one.columns)}
    if one.type == "row_count":
        return one.arguments
    if one.test == "incomplete":
        return {"column": one.columns[1]}
    if one.type == "freshness":
        # as of the batch's own day, so that a batch of long ago can be judged again
        return {"column": one.columns[0], **one.arguments, "as_of": Template("{{ batch }}")}
    return {"column": one.columns[0], **one.arguments}


def _that(one: Suggestion) -> str:
    a, b, *rest = (_sql(name) for name in one.columns)
    if one.test == "lone nulls":
        return f"{a} is not null or {b} is null"
    if one.test == "unequal":
        factor = "" if one.given["factor"] == 1 else f"{one.given['factor']:g} * "
        sign = "+" if one.given["sign"] > 0 else "-"
        return f"{a} = {factor}{b} {sign} {rest[0]}"
    texts = [f"{_plain(x)}|{_plain(y)}" for x, y in one.given["values"]]
    return f"concat({a}, '|', {b}) in ({', '.join(literal(text) for text in texts)})"


def _plain(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) else str(value)
