"""Verdicts on other rules, joined: for rules about the batch of which one is enough."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Union

from quality.model import RuleStatus
from quality.rule_types.args import Kind, arg, shown
from quality.rule_types.base import BatchRule

#: How deep verdicts may stand in each other.
_DEEPEST = 10
#: An id, or a word of `_WORDS` with what it joins.
Term = Union[str, "tuple[str, tuple[Term, ...]]"]
_WORDS = ("all", "any", "not")


def parse_terms(value: Any, depth: int = 0) -> tuple[Term, ...]:
    """A list of ids, or of `{all: ...}`, `{any: ...}`, `{not: ...}`; or one. Raises ValueError."""
    entries = value if isinstance(value, list) else [value]
    if not entries or depth > _DEEPEST:
        raise ValueError("must name a rule" if not entries else f"is more than {_DEEPEST} verdicts deep")
    return tuple(_term(entry, depth) for entry in entries)


def _term(value: Any, depth: int) -> Term:
    if isinstance(value, dict) and len(value) == 1 and (word := next(iter(value))) in _WORDS:
        return (word, parse_terms(value[word], depth + 1))
    if not isinstance(value, str) or not value:
        raise ValueError(
            f"takes ids of rules, and {', '.join(f'{{{word}: [...]}}' for word in _WORDS)}, got {shown(value)}"
        )
    return value


TERMS = Kind(parse_terms, {"type": ["array", "string", "object"], "minItems": 1})


@dataclass(frozen=True)
class Verdict(BatchRule):
    """The verdicts on other rules, joined: all of them hold, any of them does, or none does. It names rules before it by
    their ids, of any type; those that shall decide nothing by themselves carry `severity: info`. What is judged is each rule's
    own verdict, its tolerance counted in. A rule that is not applicable is left out, and when all are, so is this one; one that
    could not be told leaves the whole untold, unless the others decide it."""

    all_: tuple[Term, ...] = arg(TERMS, "ids of rules that must all pass, or terms such as {any: [id, id]}", ())
    any_: tuple[Term, ...] = arg(TERMS, "ids of rules of which one must pass", ())
    not_: tuple[Term, ...] = arg(TERMS, "ids of rules of which none may pass", ())

    type = "verdict"
    unfiltered = "is about rows; this one is about rules, each with a filter of its own"
    example = "verdict: {any: [enough_rows, holiday]}"

    @property
    def term(self) -> Term:
        """What stands behind the word that is there."""
        return next((word, found) for word in _WORDS if (found := getattr(self, f"{word}_")))

    def named(self) -> tuple[str, ...]:
        """The ids, in order."""
        return tuple(dict.fromkeys(_ids(self.term)))

    def combined(self, verdicts: Mapping[str, RuleStatus]) -> RuleStatus:
        """The verdict, from those on the rules that are named."""
        held = _combined(self.term, verdicts)
        if held == "":
            return RuleStatus.NOT_APPLICABLE
        return RuleStatus.ERROR if held is None else RuleStatus.PASSED if held else RuleStatus.FAILED

    def requirement(self) -> str:
        """As the result says it."""
        return f"must hold: {_text(self.term)}"

    def problem(self) -> str:
        """One word, and rules behind it."""
        said = [word for word in _WORDS if getattr(self, f"{word}_")]
        return "" if len(said) == 1 else f"needs one of {', '.join(_WORDS)}, got {' and '.join(said) or 'none'}"


def _ids(term: Term) -> Iterator[str]:
    if isinstance(term, str):
        yield term
    else:
        yield from (name for part in term[1] for name in _ids(part))


def _combined(term: Term, verdicts: Mapping[str, RuleStatus]) -> Any:
    """True or False, None for what could not be told, '' for what is not applicable."""
    if isinstance(term, str):
        known = {RuleStatus.PASSED: True, RuleStatus.FAILED: False, RuleStatus.NOT_APPLICABLE: ""}
        return known.get(verdicts[term])
    word, parts = term
    found = [held for part in parts if (held := _combined(part, verdicts)) != ""]
    if not found:
        return ""
    if word == "all":
        return False if False in found else None if None in found else True
    held = True if True in found else None if None in found else False
    return held if word == "any" or held is None else not held


def _text(term: Term) -> str:
    if isinstance(term, str):
        return term
    word, parts = term
    texts = [_text(part) if isinstance(part, str) else f"({_text(part)})" for part in parts]
    if word == "not":
        return "not " + (texts[0] if len(texts) == 1 else f"({' or '.join(texts)})")
    return {"all": " and ", "any": " or "}[word].join(texts)
