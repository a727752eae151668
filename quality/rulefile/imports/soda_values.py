"""What SodaCL counts as a missing and as a valid value, as row rules and as SQL.

Every value is missing, invalid or valid: NULL is missing, and so is what `missing values` and `missing regex` say; of the
others those are valid that all keys allow. A regular expression is searched for, as Spark's rlike does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from quality import sql
from quality.rulefile.dqdl.losses import Lost

MISSING_KEYS = ("missing values", "missing regex", "missing format")
VALID_KEYS = (
    "valid values", "valid regex", "valid format", "valid length", "valid min length", "valid max length", "valid min",
    "valid max", "invalid values", "invalid regex", "invalid format",
)  # fmt: skip
KEYS = (*MISSING_KEYS, *VALID_KEYS)


@dataclass(frozen=True)
class Part:
    """A row rule without modifiers, the same as SQL ('' where there is none), and how it is not quite what Soda has."""

    rule: dict[str, Any]
    test: str
    differs: str = ""


@dataclass(frozen=True)
class Column:
    """A column with the keys that are said about it."""

    name: str
    keys: Mapping[str, Any] = field(default_factory=dict)

    @property
    def missing(self) -> list[Part]:
        """What is missing besides NULL."""
        return [_part(self.name, key, value) for key, value in self.keys.items() if key in MISSING_KEYS]

    @property
    def demands(self) -> list[Part]:
        """What a valid value complies with. Raises Lost when nothing says it."""
        found = [_part(self.name, key, value) for key, value in self.keys.items() if key in VALID_KEYS]
        if not found:
            raise Lost("nothing says what a valid value is")
        return found

    def is_missing(self) -> str:
        """As SQL."""
        return " or ".join([f"{sql.quote(self.name)} is null", *(_test(part) for part in self.missing)])

    def is_valid(self) -> str:
        """As SQL."""
        return " and ".join([*self._there(), *(_wrapped(_test(part)) for part in self.demands)])

    def is_invalid(self) -> str:
        """As SQL."""
        demands = " and ".join(_wrapped(_test(part)) for part in self.demands)
        return " and ".join([*self._there(), f"not ({demands})"])

    def is_counted(self) -> str:
        """As SQL: what an average or a sum looks at; '' when it is every value."""
        valid = any(key in VALID_KEYS for key in self.keys)
        return self.is_valid() if valid else f"not ({self.is_missing()})" if self.missing else ""

    def _there(self) -> list[str]:
        column = sql.quote(self.name)
        return [f"{column} is not null", *(f"not ({_test(part)})" for part in self.missing)]


def _test(part: Part) -> str:
    if not part.test:
        raise Lost("a named format cannot be counted by a condition here")
    return part.test


def _wrapped(test: str) -> str:
    return f"({test})" if " or " in test else test


def _part(name: str, key: str, value: Any) -> Part:
    outcome, _, word = key.partition(" ")
    return KINDS[word](name, value, outcome == "invalid")


def _values(name: str, value: Any, negated: bool) -> Part:
    members = value if isinstance(value, list) else [value]
    if not members or any(isinstance(one, (list, dict)) or one is None for one in members):
        raise Lost("a list of values is one of texts and numbers")
    word, sign = ("not_in", "not in") if negated else ("in", "in")
    listed = ", ".join(sql.literal(one) for one in members)
    return Part({word: {"column": name, "values": members}}, f"{sql.quote(name)} {sign} ({listed})")


def _regex(name: str, value: Any, negated: bool) -> Part:
    found = {"contains_match": {"column": name, "pattern": str(value)}}
    test = f"{sql.quote(name)} rlike {sql.literal(str(value))}"
    return Part({"not": [found]}, f"not {test}") if negated else Part(found, test)


def _bound(type: str, word: str, measured: str) -> Callable[[str, Any, bool], Part]:
    def part(name: str, value: Any, _negated: bool) -> Part:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise Lost(f"a bound of it is no number: '{value}'")
        sign = {"at_least": ">=", "at_most": "<=", "equals": "="}[word]
        return Part(
            {type: {"column": name, word: value}}, f"{measured.format(sql.quote(name))} {sign} {sql.literal(value)}"
        )

    return part


def _format(name: str, value: Any, negated: bool) -> Part:
    known = str(value).lower()
    if known in _PATTERNS:
        return _regex(name, rf"\A *{_PATTERNS[known]} *\z", negated)
    if known not in _OURS:
        raise Lost(f"the format '{value}' has no form yet")
    found = {"format": {"column": name, "is": _OURS[known]}}
    differs = "" if known == "uuid" else f"what has the format '{known}' is said by the rule type 'format' here"
    return Part({"not": [found]} if negated else found, "", differs)


KINDS: dict[str, Callable[[str, Any, bool], Part]] = {
    "values": _values, "regex": _regex, "format": _format,
    "length": _bound("length", "equals", "char_length({})"),
    "min length": _bound("length", "at_least", "char_length({})"),
    "max length": _bound("length", "at_most", "char_length({})"),
    "min": _bound("values", "at_least", "{}"), "max": _bound("values", "at_most", "{}"),
}  # fmt: skip

#: Formats that are a definition of our own here.
_OURS = {
    "email": "email", "phone number": "phone", "credit card number": "card_number", "uuid": "uuid", "ip address": "ipv4",
    "ipv4 address": "ipv4", "ipv6 address": "ipv6", "date us": "date_us", "date eu": "date_eu", "time 24h": "time",
}  # fmt: skip


def _number_patterns() -> dict[str, str]:
    """The formats of numbers: a sign, digits with one mark or the other, and what stands behind them."""
    found = {}
    marks = {"": "[.,]", " point": r"\.", " comma": ","}
    for kind, end, cases in (("integer", "", [""]), ("decimal", "", marks), ("percentage", " *%", marks)):
        for mark in cases:
            number = "[0-9]+" if kind == "integer" else f"(?:[0-9]+(?:{marks[mark]}[0-9]+)?|{marks[mark]}[0-9]+)"
            zero = number.replace("0-9", "0")
            found[f"{kind}{mark}"] = f"[-+]? *{number}{end}"
            found[f"positive {kind}{mark}"] = rf"\+? *{number}{end}"
            found[f"negative {kind}{mark}"] = f"(?:- *{number}|{zero}){end}"
    return found


_PATTERNS = _number_patterns()
