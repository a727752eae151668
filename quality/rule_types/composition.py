"""Composition of row rules, row by row: Kleene logic inside, NULL and NaN once, outermost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from quality.errors import did_you_mean
from quality.rule_types.args import BOUND_WORDS, Kind, arg, arguments, is_required, parse_sql, shown, yaml_name
from quality.rule_types.base import REGISTRY, Row, RowRule, RuleType
from quality.rule_types.questions import Question
from quality.sql import conjunction, disjunction

#: How deep compositions may stand in each other.
_DEEPEST = 10


def parse_part(value: Any, depth: int = 0) -> RowRule:
    """A row rule as it stands in a list of rules, with its own filter and NULL policy at most. Raises ValueError with what is wrong with it."""
    guards = {w: value[w] for w in ("where", "nulls") if w in value} if isinstance(value, dict) else {}
    if not isinstance(value, dict) or len(value) != 1 + len(guards):
        raise ValueError(
            f"takes rules such as {{that: amount > 0}}, one type each, beside it 'where' and 'nulls' only, got {_given(value)}"
        )
    ((word, body),) = ((key, entry) for key, entry in value.items() if key not in guards)
    kind = REGISTRY.get(word)
    if kind is None:
        raise ValueError(f"names '{word}', which is not a rule type; {did_you_mean(word, _parts())}")
    if not issubclass(kind, RowRule) or not kind.by_row or not kind.well_formed_only:
        raise ValueError(f"cannot hold '{word}': its verdict is not about one row by itself")
    if depth > _DEEPEST:
        raise ValueError(f"is more than {_DEEPEST} rules deep")
    values = _arguments(kind, body if isinstance(body, dict) else _bare(kind, body), depth)
    part = kind(**values)
    if part.problem():
        raise ValueError(f"holds '{word}': {part.problem()}")
    return _guarded(part, guards) if guards else part


def _guarded(part: RowRule, guards: dict[str, Any]) -> Guarded:
    nulls = guards.get("nulls", "")
    if nulls not in ("", "pass", "fail"):
        raise ValueError(f"holds '{part.type}', whose 'nulls' must be pass or fail, got {shown(nulls)}")
    if nulls and not part.nulls_apply:
        raise ValueError(f"holds '{part.type}', which says itself what NULL means: 'nulls' does not go with it")
    try:
        return Guarded(part, nulls, parse_sql(guards["where"]) if "where" in guards else "")
    except ValueError as error:
        raise ValueError(f"holds '{part.type}': 'where' {error}") from None


def _given(value: Any) -> str:
    return " and ".join(f"'{key}'" for key in value) if isinstance(value, dict) and value else shown(value)


def _parts() -> list[str]:
    return sorted(word for word, kind in REGISTRY.items() if issubclass(kind, RowRule) and kind.by_row)


def _bare(kind: type[RuleType], body: Any) -> dict[str, Any]:
    needed = [yaml_name(a) for a in arguments(kind).values() if is_required(a)]
    if len(needed) != 1:
        raise ValueError(f"holds '{kind.type}' without its arguments; example: {kind.example}")
    return {needed[0]: body}


def _arguments(kind: type[RuleType], given: dict[str, Any], depth: int) -> dict[str, Any]:
    named = {yaml_name(a): a for a in arguments(kind).values()}
    if "columns" in named and "column" in given:
        given = {"columns" if word == "column" else word: entry for word, entry in given.items()}
    allowed = [w for name in named for w in (BOUND_WORDS if name == "bounds" else (name,))]
    for word in given:
        if word not in allowed:
            raise ValueError(f"holds '{kind.type}', which has no '{word}'; {did_you_mean(word, allowed)}")
    values = {}
    for word, argument in named.items():
        bounds = {w: entry for w, entry in given.items() if w in BOUND_WORDS}
        if word != "bounds" and word not in given:
            if is_required(argument):
                raise ValueError(f"holds '{kind.type}', which needs '{word}': {argument.metadata['doc']}")
            continue
        parse = argument.metadata["kind"].parse
        try:
            if argument.metadata["kind"].role == "rules":
                values[argument.name] = parse_parts(given[word], depth + 1)
            else:
                values[argument.name] = parse(bounds if word == "bounds" else given[word])
        except ValueError as error:
            label = "" if word == "bounds" else f"'{word}' "
            raise ValueError(f"holds '{kind.type}': {label}{error}") from None
    return values


def parse_parts(value: Any, depth: int = 0) -> tuple[RowRule, ...]:
    """A list of row rules, or one."""
    entries = [value] if isinstance(value, dict) else value
    if not isinstance(entries, list) or not entries:
        raise ValueError(f"must be a list of rules, got {shown(value) if value != [] else 'an empty list'}")
    return tuple(parse_part(entry, depth) for entry in entries)


RULES = Kind(
    parse_parts,
    {"type": ["array", "object"], "items": {"type": "object", "minProperties": 1, "maxProperties": 3}},
    role="rules",
)


@dataclass(frozen=True)
class Guarded(RowRule):
    """A part with a NULL policy or a filter of its own. With `nulls` its verdict is sure, and the policy of the whole does
    not look at its columns; a row that its filter leaves out complies."""

    part: RowRule
    nulls: str = ""
    where: str = ""

    def at(self, run_time: str) -> RuleType:
        """The part at the time of the run."""
        return replace(self, part=self.part.at(run_time))  # type: ignore[arg-type]

    def columns(self) -> tuple[str, ...]:
        """Those of the part."""
        return self.part.columns()

    def questions(self, where: str = "") -> tuple[Question, ...]:
        """Those of the part."""
        return self.part.questions(where)

    def expressions(self) -> tuple[str, ...]:
        """Those of the part, and its filter."""
        return (*self.part.expressions(), *([self.where] if self.where else []))

    def patterns(self) -> tuple[str, ...]:
        """Those of the part."""
        return self.part.patterns()

    def nan_columns(self) -> tuple[str, ...]:
        """Those of the part."""
        return self.part.nan_columns()

    def null_references(self, row: Row) -> list[str]:
        """None that its own policy looks at."""
        return [] if self.nulls else self.part.null_references(row)

    def predicate(self, row: Row) -> str:
        """The part's, sure where it has a policy."""
        test = self.part.predicate(row)
        if self.nulls:
            missing = " or ".join(f"{ref} is null" for ref in self.part.null_references(row))
            if self.part.is_free:
                test = f"coalesce(({test}), {'true' if self.nulls == 'pass' else 'false'})"
            elif missing:
                sure = f"coalesce(({test}), false)"
                test = f"({missing}) or {sure}" if self.nulls == "pass" else f"not ({missing}) and {sure}"
        return f"not coalesce(({self.where}), false) or ({test})" if self.where else test

    def requirement(self) -> str:
        """As the reasons say it."""
        return self.part.requirement() + (f" where {self.where}" if self.where else "")


class _Composition(RowRule):
    parts: tuple[RowRule, ...]
    main = "parts"
    word: ClassVar[str] = ""

    @property
    def is_free(self) -> bool:  # type: ignore[override]
        """Parts that name no column leave nothing else for the NULL policy to look at."""
        return all(part.is_free for part in self.parts)

    def at(self, run_time: str) -> RuleType:
        """The parts, each at the time of the run."""
        return replace(self, parts=tuple(part.at(run_time) for part in self.parts))  # type: ignore[type-var]

    def _each(self, texts: Iterable[Iterable[str]]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(text for found in texts for text in found))

    def columns(self) -> tuple[str, ...]:
        """Those of the parts."""
        return self._each(part.columns() for part in self.parts)

    def expressions(self) -> tuple[str, ...]:
        """Those of the parts."""
        return self._each(part.expressions() for part in self.parts)

    def patterns(self) -> tuple[str, ...]:
        """Those of the parts."""
        return self._each(part.patterns() for part in self.parts)

    def questions(self, where: str = "") -> tuple[Question, ...]:
        """Those of the parts."""
        return tuple(dict.fromkeys(question for part in self.parts for question in part.questions(where)))

    def nan_columns(self) -> tuple[str, ...]:
        """Those of the parts."""
        return self._each(part.nan_columns() for part in self.parts)

    def null_references(self, row: Row) -> list[str]:
        """Those of the parts."""
        return list(self._each(part.null_references(row) for part in self.parts))

    def requirement(self) -> str:
        """As the reasons say it."""
        return f"{self.word}: " + "; ".join(part.requirement() for part in self.parts)


@dataclass(frozen=True)
class AllOf(_Composition):
    """Every row complies with all of several row rules. The rules are parts of one verdict in Kleene logic; NULL in a
    column that a part names means what `nulls` says, once for the whole."""

    parts: tuple[RowRule, ...] = arg(
        RULES, "the rules; beside each at most `where` and `nulls: pass` or `fail`, which are then its own"
    )
    type = "all"
    word = "must satisfy all of"
    example = "all: [{above: {column: amount, value: 0}}, {in: {column: currency, values: [EUR, SEK]}}]"

    def predicate(self, row: Row) -> str:
        """AND."""
        return conjunction(part.predicate(row) for part in self.parts)


@dataclass(frozen=True)
class AnyOf(_Composition):
    """Every row complies with at least one of several row rules. The rules are parts of one verdict in Kleene logic; NULL
    in a column that a part names means what `nulls` says, once for the whole."""

    parts: tuple[RowRule, ...] = arg(
        RULES, "the rules; beside each at most `where` and `nulls: pass` or `fail`, which are then its own"
    )
    type = "any"
    word = "must satisfy one of"
    example = "any: [{that: origin <> 'JFK'}, {at_most: {column: distance, value: 2600}}]"

    def predicate(self, row: Row) -> str:
        """OR."""
        return disjunction(part.predicate(row) for part in self.parts)


@dataclass(frozen=True)
class NoneOf(_Composition):
    """No row complies with a row rule; of several, with none. The rules are parts of one verdict in Kleene logic; NULL in a
    column that a part names means what `nulls` says, once for the whole."""

    parts: tuple[RowRule, ...] = arg(
        RULES, "the rule, or the rules; beside each at most `where` and `nulls: pass` or `fail`, which are then its own"
    )
    type = "not"
    word = "must satisfy none of"
    example = "not: [{in: {column: name, values: [test, dummy]}}]"

    def predicate(self, row: Row) -> str:
        """NOT of each; for several the OR of them is denied."""
        return f"not ({disjunction(part.predicate(row) for part in self.parts)})"
