"""The forms a rule can be written in, and the modifiers it can carry."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import Field
from typing import Any

from quality.errors import Problem, did_you_mean
from quality.model import Location, Nulls, OnFail, Severity, Tolerance, Word
from quality.rule_types import REGISTRY
from quality.rule_types.args import (
    BOUND_WORDS,
    arguments,
    is_required,
    parse_columns,
    parse_ratio,
    parse_sql,
    parse_text,
    shown,
    yaml_name,
)
from quality.rule_types.base import KeyRule, RowRule, RuleType
from quality.rule_types.custom import That
from quality.rule_types.files import FileRule
from quality.rule_types.rules import EXPECTED, Rule, default_id, default_on_fail
from quality.rulefile.bounding import MIN_HISTORY_SCHEMA, misfitting_bound, parse_min_history, unfit, with_min_history
from quality.rulefile.canonical import plain
from quality.rulefile.choosing import Choice, choices, over, renamed, takes_many
from quality.rulefile.examples import read_examples
from quality.rulefile.nodes import Node
from quality.rulefile.synonyms import SYNONYMS

JUDGING = ("where", "group_by", "tolerance", "severity", "on_fail", "nulls", "nan", "min_history")
METADATA = ("description", "owner", "tags", "dimension", "labels")
MODIFIERS = ("name", "id", *JUDGING, *METADATA, "examples")
DEFAULTS = ("severity", "tolerance", "nulls", "nan", "min_history")
_ROWS = re.compile(r"\s*([0-9][0-9_,]*)\s*rows?\s*")


def meant(word: str, names: Iterable[str]) -> str:
    """The name a word was probably meant for, empty when none is near."""
    return next(iter(difflib.get_close_matches(word.lower(), list(names), n=1, cutoff=0.6)), "")


def no_type(word: str, allowed: Iterable[str]) -> str:
    """Help for a word that is no rule type."""
    names = list(allowed)
    if (ours := SYNONYMS.get(word.lower())) in names:
        return f"here it is '{ours}'"
    return did_you_mean(word, names)


class Problems:
    """Collects mistakes, and reads simple values so that a wrong one is only noted."""

    def __init__(self) -> None:
        self.found: list[Problem] = []

    def add(self, node: Node, message: str) -> None:
        """Note a mistake at a node's place."""
        self.found.append(Problem(node.file, node.line, message))

    def unknown_keys(self, node: Node, allowed: Iterable[str], noun: str) -> None:
        """Note keys that are not allowed."""
        names = list(allowed)
        for key, value in node.mapping.items():
            if key not in names:
                line = Node(None, value.file, node.key_lines.get(key, value.line))
                article = "an" if noun[0] in "aeiou" else "a"
                self.add(line, f"'{key}' is not {article} {noun}; {did_you_mean(key, names)}")

    def parsed(self, node: Node | None, name: str, parse: Callable[[Any], Any], default: Any) -> Any:
        """The parsed value of a node; the default when there is none or it is wrong (which is noted)."""
        if node is None:
            return default
        try:
            return parse(node.plain())
        except ValueError as error:
            # a value that waits for the batch cannot be judged without one
            if not any(isinstance(n.value, str) and n.source is not None and "{{" in n.value for n in node.walk()):
                self.add(node, f"{name} {error}")
            return default

    def text(self, node: Node, key: str) -> str:
        """The text at a key, empty when there is none."""
        return str(self.parsed(node.mapping.get(key), f"'{key}'", parse_text, ""))


def parse_tolerance(value: Any) -> Tolerance:
    """`1%`, `0.01`, `10 rows`, or `{ratio: 1%, rows: 10}`."""
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        raise ValueError(f"must say of what: '{value} rows', '{value}%', or a ratio from 0 to 1, got {value}")
    if isinstance(value, dict):
        unknown = sorted(set(value) - {"ratio", "rows"})
        if unknown or not value:
            raise ValueError(f"takes 'ratio' and 'rows', got {shown(unknown[0]) if unknown else 'nothing'}")
        if value.get("ratio") == 1 and not isinstance(value["ratio"], float):
            raise ValueError("with 'ratio: 1' never fails; write 1% or 100%")
        return Tolerance(parse_ratio(value.get("ratio", 0)), _parse_rows(value.get("rows", 0)))
    rows = _ROWS.fullmatch(value) if isinstance(value, str) else None
    return (
        Tolerance(rows=_parse_rows(rows[1].replace(",", "").replace("_", "")))
        if rows
        else Tolerance(parse_ratio(value))
    )


def _parse_rows(value: Any) -> int:
    if isinstance(value, bool) or not (str(value).isascii() and str(value).isdigit()):
        raise ValueError(f"'rows' must be a whole number, got {shown(value)}")
    return int(value)


def _word(kind: type[Any]) -> Callable[[Any], Any]:
    def parse(value: Any) -> Any:
        allowed = [str(member) for member in kind]
        if value not in allowed:
            raise ValueError(f"must be one of {', '.join(allowed)}, got {shown(value)}")
        return kind(value)

    return parse


def _nan(value: Any) -> bool:
    if value not in ("pass", "fail"):
        raise ValueError(f"must be pass or fail, got {shown(value)}")
    return bool(value == "pass")


def _tags(value: Any) -> list[str]:
    if isinstance(value, dict) or value is None:
        raise ValueError(f"must be a text or a list of texts, got {shown(value)}")
    return [parse_text(entry) for entry in (value if isinstance(value, list) else [value])]


def _labels(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise ValueError(f"must be a mapping, got {shown(value)}")
    return {key: str(entry) for key, entry in value.items()}


PARSERS: Mapping[str, Callable[[Any], Any]] = {
    "name": parse_text,
    "id": parse_text,
    "where": parse_sql,
    "group_by": parse_columns,
    "tolerance": parse_tolerance,
    "severity": _word(Severity),
    "on_fail": _word(OnFail),
    "nulls": _word(Nulls),
    "nan": _nan,
    "min_history": parse_min_history,
    "description": parse_text,
    "owner": parse_text,
    "tags": _tags,
    "dimension": parse_text,
    "labels": _labels,
}


def slug(name: str) -> str:
    """A name as an id: lower case, anything but letters and digits becomes '-'."""
    return re.sub(r"[\W_]+", "-", name.lower()).strip("-")


class RuleReader:
    """Turns nodes into rules; what is wrong goes to `problems`."""

    def __init__(self, problems: Problems, defaults: Node | None) -> None:
        self.problems = problems
        self.refused: list[Rule] = []  # with a mistake that is told, for who looks for more
        self.defaults: dict[str, Any] = {}
        if defaults is not None and defaults.value is not None:
            self._read_defaults(defaults)

    def _read_defaults(self, section: Node) -> None:
        if not isinstance(section.value, dict):
            self.problems.add(
                section, f"'defaults' must be a mapping such as {{severity: warning}}, got {shown(section.plain())}"
            )
        for word, node in section.mapping.items():
            if word in MODIFIERS and word not in DEFAULTS:
                line = Node(None, node.file, section.key_lines.get(word, node.line))
                self.problems.add(line, f"'{word}' cannot be a default; allowed: {', '.join(DEFAULTS)}")
            elif word in DEFAULTS:
                before = len(self.problems.found)
                value = self.problems.parsed(node, f"'{word}' of 'defaults'", PARSERS[word], None)
                if len(self.problems.found) == before:
                    self.defaults.update(_modifier(word, node, value))
        unknown = {word: node for word, node in section.mapping.items() if word not in MODIFIERS}
        self.problems.unknown_keys(Node(unknown, section.file, section.line, section.key_lines), DEFAULTS, "default")

    @staticmethod
    def column_types() -> list[str]:
        """Rule types that can stand under a column."""
        roles = {word: {a.metadata["kind"].role for a in arguments(kind).values()} for word, kind in REGISTRY.items()}
        return sorted(
            word for word, found in roles.items() if found & {"column", "columns"} and not REGISTRY[word].about_several
        )

    def read_entry(self, node: Node) -> list[Rule]:
        """An entry of `rules:`: one key that is a rule type, modifiers beside it."""
        if not isinstance(node.value, dict):
            self.problems.add(
                node, f"a rule names what it demands, such as '- that: amount > 0', got {shown(node.plain())}"
            )
            return []
        words = [word for word in node.mapping if word not in MODIFIERS]
        known = [word for word in words if word in REGISTRY]
        for word in words:
            if word not in REGISTRY:
                line = Node(None, node.file, node.key_lines[word])
                self.problems.add(
                    line,
                    f"'{word}' is neither a rule type nor a modifier; {no_type(word, [*REGISTRY, *MODIFIERS])}",
                )
        if len(known) > 1:
            found = " and ".join(f"'{word}'" for word in known)
            self.problems.add(node, f"a rule has one rule type, found {found}; begin each with '- '")
        elif not words:
            self.problems.add(
                node, "a rule needs a rule type, such as 'that' or 'row_count'; 'quality rules' lists them"
            )
        if len(known) != 1:
            return []
        kind, body = REGISTRY[known[0]], node.mapping[known[0]]
        modifiers = {word: value for word, value in node.mapping.items() if word in MODIFIERS}
        line = Node(None, node.file, node.key_lines[known[0]])
        given = self._entry_arguments(kind, body, line)
        return [] if given is None else self.read(kind, given, modifiers, line)

    def _entry_arguments(self, kind: type[RuleType], body: Node, line: Node) -> dict[str, Node] | None:
        if isinstance(body.value, dict):
            if kind.main and arguments(kind).keys() == {"parts"} and "parts" not in body.mapping:
                return {"parts": body}
            for word in body.mapping:
                if word in MODIFIERS and word not in map(yaml_name, arguments(kind).values()):
                    self.problems.add(
                        Node(None, body.file, body.key_lines[word]),
                        f"'{word}' stands beside '{kind.type}', not inside it",
                    )
            return {word: value for word, value in body.mapping.items() if word not in MODIFIERS}
        named = [yaml_name(a) for a in arguments(kind).values() if is_required(a)]
        if body.value is None or body.value is True:
            return {}
        if named == ["bounds"]:
            hint = f"'{kind.type}' needs a comparison word, such as {{at_least: {body.plain()}}}"
            self.problems.add(
                body, hint if not isinstance(body.value, list) else f"{hint[: hint.index(',')]}: {kind.example}"
            )
            return None
        return {kind.main if kind.main in named and len(named) == 1 else named[0] if named else "": body}

    def read_short(self, kind: type[RuleType], column: str, value: Node, line: Node) -> list[Rule]:
        """What stands under a column: a bare value, or a mapping of arguments and modifiers together."""
        own = Node(column, value.file, value.line)
        named = [yaml_name(a) for a in arguments(kind).values()]
        target = "columns" if "columns" in named else "column"
        if isinstance(value.value, dict):
            modifiers = {k: n for k, n in value.mapping.items() if k in MODIFIERS}
            given = {kind.short_names.get(k, k): n for k, n in value.mapping.items() if k not in MODIFIERS}
            return self.read(kind, {target: own, **given}, modifiers, line)
        if kind.main:
            return self.read(kind, {target: own, kind.main: value}, {}, line)
        if not isinstance(value.value, bool):
            self.problems.add(
                value,
                f"'{kind.type}' of column '{column}' must be true, false or a mapping, got {shown(value.plain())}",
            )
            return []
        return self.read(kind, {target: own}, {}, line) if value.value else []

    def read(self, kind: type[RuleType], given: dict[str, Node], modifiers: dict[str, Node], at: Node) -> list[Rule]:
        """The rule, or one for each of the columns it names; nothing when it is wrong."""
        if takes_many(kind) and "columns" in given and "column" not in given:
            rest = {word: node for word, node in given.items() if word != "columns"}
            chosen = choices(kind, given["columns"], self.problems)
            return [
                rule for choice in chosen for rule in self._read_chosen(kind, rest, modifiers, at, choice, len(chosen))
            ]
        before = len(self.problems.found)
        check, canonical = self._check(kind, given, at)
        values = self._modifiers(type(check) if check else kind, modifiers)
        if check is None or len(self.problems.found) > before:
            self.refused += [] if check is None else [self._rule(check, values, canonical, at)]
            return []
        values, wrong = with_min_history(check, values, given=modifiers)
        if wrong:
            self.problems.add(modifiers["min_history"], f"'min_history' of '{kind.type}': {wrong}")
            return []
        for word, why in unfit(check, {word: values[word] for word in modifiers if word in values}):
            self.problems.add(modifiers[word], f"'{word}' of '{kind.type}': {why}")
            return []
        return [self._rule(check, values, canonical, at)]

    def _read_chosen(
        self,
        kind: type[RuleType],
        given: dict[str, Node],
        modifiers: dict[str, Node],
        at: Node,
        choice: Choice,
        count: int,
    ) -> list[Rule]:
        found = self.read(kind, {**given, "column": choice.node}, modifiers, at)
        if choice.selector:
            found = [over(rule, choice.selector, choice.said) for rule in found]
        elif count > 1 and modifiers.keys() & {"id", "name"}:  # several rules of one name
            found = [renamed(rule, f"{rule.id}.{rule.check.columns()[0]}") for rule in found]
        return found

    def _check(self, kind: type[RuleType], given: dict[str, Node], at: Node) -> tuple[RuleType | None, dict[str, Any]]:
        named = {yaml_name(a): a for a in arguments(kind).values()}
        if "columns" in named and "column" in given and "columns" not in given:
            given = {"columns" if key == "column" else key: node for key, node in given.items()}
        values: dict[str, Any] = {}
        canonical: dict[str, Any] = {"type": kind.type}
        for word, argument in named.items():
            node = self._bounds_node(given, at) if word == "bounds" else given.get(word)
            names = BOUND_WORDS if word == "bounds" else (word,)
            if node is None or (node.value == {} and _misspelt(given, named, names)):
                if not _misspelt(given, named, names):
                    self._note_missing(kind, word, argument, at)
                continue
            # beside SQL that is wrong something else may be wrong as well, and is told with it
            unread = str(node.plain()) if argument.metadata["kind"].role in ("sql", "query") else None
            value = self.problems.parsed(node, _label(kind, word), argument.metadata["kind"].parse, unread)
            values[argument.name] = value
            if is_required(argument) or node.waits or value != argument.default:
                canonical[word] = node.plain(canonical=True) if node.waits else plain(value)
        self._note_unknown(kind, given, named, at)
        if any(is_required(a) and values.get(a.name) is None for a in named.values()) or None in values.values():
            return None, canonical
        check = kind.made(**values)
        wrong = check.problem() or misfitting_bound(check)
        if wrong:
            self.problems.add(at, f"'{kind.type}': {wrong}")
        return check, canonical

    def _bounds_node(self, given: dict[str, Node], at: Node) -> Node:
        words = {word: node for word, node in given.items() if word in BOUND_WORDS}
        return Node(dict(words), at.file, min((node.line for node in words.values()), default=at.line))

    def _note_missing(self, kind: type[RuleType], word: str, argument: Field[Any], at: Node) -> None:
        if is_required(argument):
            self.problems.add(at, f"'{kind.type}' needs '{word}': {argument.metadata['doc']}; example: {kind.example}")

    def _note_unknown(self, kind: type[RuleType], given: dict[str, Node], named: Mapping[str, Any], at: Node) -> None:
        allowed = _words(named)
        for word, node in given.items():
            if word not in allowed:
                place = Node(None, node.file, node.line)
                what = f"'{word}' is not an argument of '{kind.type}'" if word else f"'{kind.type}' takes no bare value"
                if word == "reference":
                    self.problems.add(place, f"{what}; values of another data set are those of 'exists_in'")
                    continue
                self.problems.add(
                    place, f"{what}; {did_you_mean(word, [*allowed, *MODIFIERS] if at is node else allowed)}"
                )

    def _modifiers(self, kind: type[RuleType], given: dict[str, Node]) -> dict[str, Any]:
        row_rule = issubclass(kind, RowRule)
        barred = set()
        if not row_rule or not kind.keeps_tolerance:
            barred.add("tolerance")
        if not _takes_nulls(kind):
            barred |= {"nulls", "nan"}
        # a default's canonical form stays behind where the rule says something else
        values = {key: value for key, value in self.defaults.items() if key.partition(":")[0] not in {*barred, *given}}
        for word, node in given.items():
            if word == "examples":
                values[word] = read_examples(kind, node, self.problems)
                continue
            value = self.problems.parsed(node, f"'{word}' of '{kind.type}'", PARSERS[word], None)
            reason = "" if value is None else misfit(kind, word, value)
            if reason:
                self.problems.add(node, f"'{word}' of '{kind.type}': {reason}")
            values.update(_modifier(word, node, value))
        return values

    def _rule(self, check: RuleType, values: dict[str, Any], canonical: dict[str, Any], at: Node) -> Rule:
        severity = values.get("severity", Severity.ERROR)
        name = str(values.get("name", ""))
        rule_id = str(values.get("id") or slug(name) or default_id(check))
        on_fail = values.get("on_fail", default_on_fail(check, severity))
        return Rule(
            id=rule_id,
            check=check,
            location=Location(at.file, at.line),
            name=name,
            where=values.get("where", ""),
            tolerance=values.get("tolerance", Tolerance()),
            severity=severity,
            on_fail=on_fail,
            nulls=values.get("nulls", Nulls.PASS),
            nan_passes=values.get("nan", False),
            min_history=values.get("min_history"),
            metadata={word: values[word] for word in METADATA if word in values},
            examples=values.get("examples", ()),
            group_by=values.get("group_by", ()),
            canonical={"id": rule_id, **canonical, **_judging(values, severity, on_fail)},
        )


def _modifier(word: str, node: Node, value: Any) -> dict[str, Any]:
    found = {} if value is None else {word: value}
    return {**found, f"{word}:canonical": node.plain(canonical=True)} if node.waits else found


#: What a modifier is when it is not written: then it is not in the canonical form either.
_UNSAID = {"where": "", "group_by": (), "tolerance": Tolerance(), "nulls": Nulls.PASS, "nan": False, "min_history": None}  # fmt: skip


def _judging(values: Mapping[str, Any], severity: Severity, on_fail: OnFail) -> dict[str, Any]:
    """The canonical form of the modifiers that decide a verdict."""
    found: dict[str, Any] = {}
    for word, unsaid in _UNSAID.items():
        waiting = values.get(f"{word}:canonical")
        if waiting is not None:
            found[word] = waiting
        elif values.get(word, unsaid) != unsaid:
            found[word] = "pass" if word == "nan" else plain(values[word])
    return {**found, "severity": str(severity), "on_fail": str(on_fail)}


def _words(named: Iterable[str]) -> list[str]:
    """The words of a rule type's arguments as they stand in the file."""
    return [word for name in named for word in (BOUND_WORDS if name == "bounds" else (name,))]


def _misspelt(given: Iterable[str], named: Iterable[str], names: Iterable[str]) -> bool:
    """Whether a word that is no argument was meant for one of these: then it is told once."""
    allowed = _words(named)
    return any(word not in allowed and meant(word, allowed) in names for word in given)


def _label(kind: type[RuleType], word: str) -> str:
    return f"'{kind.type}'" if word in ("bounds", kind.main) else f"'{word}' of '{kind.type}'"


def _takes_nulls(kind: type[RuleType]) -> bool:
    return issubclass(kind, RowRule) and kind.nulls_apply


def misfit(kind: type[RuleType], word: str, value: Any) -> str:
    """Why a modifier does not go with a rule type, empty when it does."""
    if word == "where" and kind.unfiltered:
        return kind.unfiltered
    if issubclass(kind, FileRule) and kind.each and word == "tolerance":
        return ""
    if word == "group_by":
        return f"does not go with it: {kind.ungrouped}" if kind.ungrouped else ""
    if not issubclass(kind, RowRule):
        if word in ("tolerance", "nulls", "nan"):
            return "goes with rules about rows; this one is about the batch: widen its bounds instead"
        if word == "on_fail" and value == OnFail.QUARANTINE:
            return "a rule about the batch has no rows to quarantine; allowed: hold, keep"
        return ""
    if word == "on_fail" and value == OnFail.KEEP and kind.always_quarantines:
        return "such rows cannot be kept; allowed: quarantine, hold"
    if word == "nulls" and not kind.nulls_apply:
        who = (
            "'key' refuses NULL, 'unique' lets it pass"
            if issubclass(kind, KeyRule)
            else "it says itself what NULL means"
        )
        return f"does not go with it: {who}"
    if word == "nan" and (not kind.nulls_apply or issubclass(kind, That)):
        return "goes with comparisons"
    return ""


def modifiers_schema() -> dict[str, Any]:
    """JSON Schema of the modifiers."""
    ratio = {"type": ["number", "string"]}
    words: dict[str, type[Word]] = {"severity": Severity, "on_fail": OnFail, "nulls": Nulls}
    text = {"type": "string"}
    return {
        **{word: {"enum": [str(member) for member in kind]} for word, kind in words.items()},
        **dict.fromkeys(("name", "id", "where", "description", "owner", "dimension"), text),
        "nan": {"enum": ["pass", "fail"]},
        "group_by": {"type": ["string", "array"], "items": text, "minItems": 1},
        "min_history": MIN_HISTORY_SCHEMA,
        "tags": {"type": ["array", "string"], "items": text},
        "labels": {"type": "object"},
        "examples": {"type": "object", "properties": {word: {"type": "array", "minItems": 1} for word in EXPECTED}},
        "tolerance": {
            "anyOf": [
                ratio,
                {
                    "type": "object",
                    "properties": {"ratio": ratio, "rows": {"type": "integer"}},
                    "additionalProperties": False,
                },
            ]
        },
    }
