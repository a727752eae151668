"""The canonical form of what a rule says: plain data, for fingerprints and for `quality lint --expand`."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from quality.model import Bounds, Tolerance, Word
from quality.rule_types.args import arguments, duration_text, is_required, yaml_name
from quality.rule_types.base import RuleType
from quality.rule_types.composition import Guarded
from quality.rule_types.distributions import Last


def plain(value: Any) -> Any:
    """A parsed value as plain data that tells any two apart that judge differently."""
    if isinstance(value, Bounds):
        recorded = {"record": True} if value.recorded else {}
        return {**dict(value.terms), **{word: str(asked) for word, asked in value.past}, **recorded}
    if isinstance(value, Tolerance):
        return {name: part for name, part in (("ratio", value.ratio), ("rows", value.rows)) if part}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    if isinstance(value, Guarded):
        guards = {"nulls": value.nulls, "where": value.where}
        return {**plain(value.part), **{word: text for word, text in guards.items() if text}}
    if isinstance(value, RuleType):
        return {value.type: _plain_arguments(value)}
    if isinstance(value, timedelta):
        return duration_text(value)
    return str(value) if isinstance(value, Word | Last) else value


def _plain_arguments(check: RuleType) -> dict[str, Any]:
    """The arguments of a rule that is part of another, as they would be written."""
    found: dict[str, Any] = {}
    for word, argument in ((yaml_name(a), a) for a in arguments(type(check)).values()):
        value = getattr(check, argument.name)
        if word == "bounds":
            found.update(plain(value))
        elif is_required(argument) or value != argument.default:
            found[word] = plain(value)
    return found
