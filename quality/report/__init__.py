"""A result as people read it: on a terminal, as a page, as JUnit XML.

Every report starts from the result JSON (`"quality.result/1"`), never from live objects, so a stored result can be told
again years later. The wording that all forms share is here. Anything in a result may come from the data, hence be
hostile: it passes `clean` before a person sees it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from quality.model import number_text

Result = Mapping[str, Any]
Rule = Mapping[str, Any]

#: What would move the cursor, break the line, reverse the reading order or fail to encode.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

UNEXPLAINED = "no failed rule explains the rows in quarantine"

#: What became of the rows on either side of the split, by decision.
_FATES: Mapping[str, tuple[str, str]] = {
    "published": ("passed", "quarantined"),
    "held": ("would have passed", "quarantined"),
    "none": ("would have passed", "would have been quarantined"),
}


def clean(value: Any, limit: int = 400) -> str:
    r"""The value on one line that is safe to print: control characters, direction overrides and lone surrogates are
    spelled out (`\n`, `\x1b`), and what exceeds `limit` characters is cut with a note of how much is missing."""
    text = "" if value is None else str(value)
    kept = _UNSAFE.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text[:limit])
    missing = len(text) - limit
    return kept if missing <= 0 else f"{kept}... ({missing:,} more characters)"


def count(number: int, noun: str) -> str:
    """`1 row`, `1,204 rows`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}{'es' if noun.endswith('ch') else 's'}"


def percent(part: int, whole: int) -> str:
    """A share that never rounds to 0 % or 100 % unless it is."""
    share = 100 * part / whole if whole else 0.0
    if 0 < share < 0.1:
        return "<0.1%"
    return ">99.9%" if 99.9 < share < 100 else f"{share:.3g}%"


def listing(words: Iterable[str], limit: int = 3) -> str:
    """The first few of many words, cleaned."""
    named = [clean(word, 120) for word in words]
    return ", ".join(named[:limit]) + (f" and {len(named) - limit:,} more" if len(named) > limit else "")


def title(result: Result) -> str:
    """`flights 2013-01-05`."""
    return f"{clean(result.get('dataset') or 'unknown data set')} {clean(result.get('batch'))}".rstrip()


def outcome(result: Result) -> str:
    """Status and decision, and that nothing was done when so: `failed, published`."""
    decision = "nothing published" if result.get("decision") == "none" else clean(result.get("decision"))
    return f"{clean(result.get('status'))}, {decision}" + (", unchanged" if result.get("unchanged") else "")


def message_lines(result: Result, limit: int = 10) -> list[str]:
    """The reason of an error. It keeps its lines: a stack of causes is unreadable as one."""
    found = str(result.get("message") or "").splitlines()
    more = [f"... {count(len(found) - limit, 'more line')}"] if len(found) > limit else []
    return [clean(line) for line in found[:limit]] + more


def rows_of(result: Result) -> dict[str, int]:
    """The four row counts; one that is not known is 0."""
    rows = result.get("rows") or {}
    return {name: int(rows.get(name) or 0) for name in ("input", "passed", "quarantined", "flagged")}


def was_counted(result: Result) -> bool:
    """Whether the run came as far as counting rows (an empty batch did, a missing one did not)."""
    return bool(rows_of(result)["input"]) or result.get("decision") != "none"


def fates(result: Result) -> tuple[str, str]:
    """What became of the rows on the good and on the bad side."""
    return _FATES.get(str(result.get("decision")), _FATES["published"])


def unaccounted(result: Result) -> int:
    """Rows in minus rows out: anything but 0 is a loss (or a gain) that must be shown."""
    rows = rows_of(result)
    return rows["input"] - rows["passed"] - rows["quarantined"]


def rows_line(result: Result) -> str:
    """The conservation of rows in one line: `842 rows in = 804 passed + 38 quarantined (4.51%)`."""
    if not was_counted(result):
        return "no rows were counted"
    rows, (good, bad), lost = rows_of(result), fates(result), unaccounted(result)
    share = f" ({percent(rows['quarantined'], rows['input'])})" if rows["quarantined"] else ""
    sign = "!=" if lost else "="
    line = f"{count(rows['input'], 'row')} in {sign} {rows['passed']:,} {good} + {rows['quarantined']:,} {bad}{share}"
    if rows["flagged"]:
        line += f"; {rows['flagged']:,} of the passed flagged"
    return line + (f"; {lost:+,} unaccounted for" if lost else "")


def rules_of(result: Result) -> list[Rule]:
    """The rules, in file order."""
    return list(result.get("rules") or [])


def level(rule: Rule) -> str:
    """How loud a rule is: `error`, `warning`, `not_applicable` or `passed`; a failed one goes by its severity."""
    if rule.get("status") in ("failed", "error"):
        return "error" if rule.get("severity") == "error" else "warning"
    return "not_applicable" if rule.get("status") == "not_applicable" else "passed"


def problems(result: Result) -> list[Rule]:
    """Failed and errored rules, the grave ones first, otherwise in file order."""
    found = [rule for rule in rules_of(result) if rule.get("status") in ("failed", "error")]
    return sorted(found, key=lambda rule: {"warning": 1, "info": 2}.get(str(rule.get("severity")), 0))


def others(result: Result) -> list[Rule]:
    """Rules that neither failed nor ended in error."""
    return [rule for rule in rules_of(result) if rule.get("status") not in ("failed", "error")]


def tolerated(result: Result) -> list[Rule]:
    """Rules that passed although rows failed them."""
    return [rule for rule in rules_of(result) if rule.get("status") == "passed" and rule.get("failed_rows")]


def moves_rows(rule: Rule) -> bool:
    """Whether rows that fail the rule go to quarantine."""
    return rule.get("on_fail") != "keep"


def all_tolerated(result: Result) -> bool:
    """Whether every quarantined row is there within tolerance: no failed rule moved one."""
    moved = [rule for rule in problems(result) if moves_rows(rule) and rule.get("failed_rows")]
    return bool(rows_of(result)["quarantined"]) and not moved


def observed(rule: Rule) -> str:
    """The measured value as people write it; exact where rounding would make it look like another number."""
    metric = rule.get("metric") or {}
    value, text = metric.get("value"), clean(metric.get("value_text"), 80)
    if not isinstance(value, (int, float)):
        return text or ("no value" if metric else "")
    short = number_text(value)
    # 0.9999996 must not read as 1, nor 2^53 + 1 as 9.0072e+15
    misleading = abs(value) >= 1e15 or float(short.replace(",", "")).is_integer() != float(value).is_integer()
    return text or repr(value) if misleading else short


def failing(rule: Rule) -> str:
    """`38 of 842 rows in scope`; empty for a rule that judges no rows."""
    failed, scope = rule.get("failed_rows"), rule.get("rows_in_scope")
    if failed is None:
        return ""
    return count(failed, "row") if scope is None else f"{failed:,} of {count(scope, 'row')} in scope"


def numbers(rule: Rule) -> str:
    """What the verdict rests on: `Completeness 0.955, expected >= 0.98; 38 of 842 rows in scope failed`."""
    name = clean((rule.get("metric") or {}).get("name"), 80)
    measured = f"{name} {observed(rule)}".strip()
    expected = clean(rule.get("expected"), 200)
    wanted = expected if expected.startswith("must ") or not expected else f"expected {expected}"
    rows = f"{failing(rule)} failed" if failing(rule) else ""
    return "; ".join(filter(None, [", ".join(filter(None, [measured, wanted])), rows]))


_GROUP_NUMBERS = {"value": "value", "rows_in_scope": "rows", "failed_rows": "failing"}


def group_text(group: Mapping[str, Any]) -> str:
    """One group of a grouped rule: `origin=EWR, value=0.42`."""
    if "group" in group:
        # what is the same for all, or said by another number
        own = {n: v for n, v in group.items() if n == "group" or (n in _GROUP_NUMBERS and v is not None)}
        told = clean(group.get("message")) if group.get("status") == "error" else ""
        return _pairs(own) + (f": {told}" if told else "")
    return _pairs(group)


def more_groups(rule: Rule, shown: int) -> str:
    """How many failing groups of a rule there are beside those shown; empty when all are."""
    counts, groups = rule.get("group_counts") or {}, rule.get("groups") or []
    more = (counts.get("failed", 0) + counts.get("error", 0) or len(groups)) - min(len(groups), shown)
    return f"and {count(more, 'more group')}" if more > 0 else ""


def _pairs(group: Mapping[str, Any]) -> str:
    pairs: list[tuple[str, Any]] = []
    for name, value in group.items():
        pairs += value.items() if isinstance(value, Mapping) else [(_GROUP_NUMBERS.get(name, name), value)]
    return ", ".join(f"{clean(name, 60)}={'NULL' if value is None else figure(value)}" for name, value in pairs)


def about(rule: Rule) -> str:
    """What the rule file says about the rule to people: `why; owner: ann@example.com; tags: a, b`; empty without anything."""
    said: Mapping[str, Any] = rule.get("metadata") or {}
    labels = said.get("labels") or {}
    parts = [
        clean(said.get("description"), 300),
        *(f"{word}: {clean(said[word], 120)}" for word in ("owner", "dimension") if said.get(word)),
        f"tags: {listing([str(tag) for tag in said['tags']], 10)}" if said.get("tags") else "",
        ", ".join(f"{clean(name, 60)}: {clean(value, 120)}" for name, value in labels.items()),
    ]
    return "; ".join(filter(None, parts))


def slice_text(rule: Rule) -> str:
    """What most failing rows of a rule have in common; empty when that is not known."""
    return clean((rule.get("slice") or {}).get("message"))


def holds(rule: Rule) -> bool:
    """Whether the rule's end keeps the whole batch back."""
    ended_in_error = rule.get("status") == "error" and rule.get("severity") == "error"
    return ended_in_error or (rule.get("status") == "failed" and rule.get("on_fail") == "hold")


def held_by(result: Result) -> str:
    """Why a batch is held, in words; empty when it is not."""
    if result.get("decision") != "held":
        return ""
    holding = [str(rule.get("id")) for rule in problems(result) if holds(rule)]
    rows = rows_of(result)
    if holding:
        return "held by " + listing(holding, 5)
    if not rows["input"]:
        return "held because the batch has no rows"
    return f"held because {percent(rows['quarantined'], rows['input'])} of the rows are quarantined"


def anomaly_text(anomaly: Mapping[str, Any]) -> str:
    """`Mean(dep_delay) = 41.2, expected 3.1 to 22.8, since 2013-01-04`."""
    where = ", ".join(filter(None, [clean(anomaly.get("instance"), 120), _segment(anomaly.get("segment"))]))
    parts = [f"{clean(anomaly.get('metric'), 120)}({where}) = {figure(anomaly.get('value'))}"]
    if anomaly.get("expected_low") is not None or anomaly.get("expected_high") is not None:
        parts.append(f"expected {figure(anomaly.get('expected_low'))} to {figure(anomaly.get('expected_high'))}")
    if anomaly.get("since"):
        parts.append(f"since {clean(anomaly['since'], 60)}")
    return ", ".join(parts)


def figure(value: Any) -> str:
    """A number as people write it, anything else cleaned; `-` for None."""
    if value is None:
        return "-"
    return number_text(value) if isinstance(value, (int, float)) else clean(value, 120)


def _segment(segment: Any) -> str:
    return group_text(segment) if isinstance(segment, Mapping) else clean(segment, 120)
