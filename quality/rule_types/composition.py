"""Composition, in Kleene logic: of rules about rows row by row, with NULL and NaN once, outermost; of rules about the batch once.

A part about the batch that could not be told is unknown; one that does not apply is left out.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, ClassVar

from quality.errors import did_you_mean
from quality.rule_types.args import BOUND_WORDS, Kind, arg, arguments, is_required, parse_sql, shown, yaml_name
from quality.rule_types.base import REGISTRY, BatchRule, KeyRule, MetricRule, Row, RowRule, RuleType
from quality.rule_types.questions import Question, Repeated
from quality.sql import conjunction, disjunction

#: How deep compositions may stand in each other.
_DEEPEST = 10


def parse_part(value: Any, depth: int = 0) -> RuleType:
    """A rule as it stands in a list of rules; one about rows may have a filter and a NULL policy of its own. Raises ValueError with
    what is wrong with it."""
    guards = {w: value[w] for w in ("where", "nulls") if w in value} if isinstance(value, dict) else {}
    if not isinstance(value, dict) or len(value) != 1 + len(guards):
        raise ValueError(
            f"takes rules such as {{that: amount > 0}}, one type each, beside it 'where' and 'nulls' only, got {_given(value)}"
        )
    ((word, body),) = ((key, entry) for key, entry in value.items() if key not in guards)
    kind = REGISTRY.get(word)
    if kind is None:
        # several mistakes stand in one message: each without the list of what else there is
        near = difflib.get_close_matches(str(word).lower(), _parts(), n=1)
        hint = f"did you mean '{near[0]}'?" if near else "'quality rules' lists them"
        raise ValueError(f"names '{word}', which is not a rule type; {hint}")
    if not _can_be_part(kind):
        raise ValueError(
            f"cannot hold '{word}': its verdict is neither about one row by itself nor about a metric; 'verdict' joins any rules, by their ids"
        )
    if depth > _DEEPEST:
        raise ValueError(f"is more than {_DEEPEST} rules deep")
    values = _arguments(kind, body if isinstance(body, dict) else _bare(kind, body), depth)
    part = kind.made(**values)
    if part.problem():
        raise ValueError(f"holds '{word}': {part.problem()}")
    return _guarded(part, guards) if guards or isinstance(part, KeyRule) else part


def _guarded(part: RuleType, guards: dict[str, Any]) -> Guarded:
    if not isinstance(part, RowRule):
        raise ValueError(
            f"holds '{part.type}', which is about the batch: '{min(guards)}' beside it goes with rules about rows"
        )
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
    return sorted(word for word, kind in REGISTRY.items() if _can_be_part(kind))


def _can_be_part(kind: type[RuleType]) -> bool:
    about_rows = issubclass(kind, RowRule) and (kind.by_row or issubclass(kind, KeyRule)) and kind.well_formed_only
    return about_rows or issubclass(kind, MetricRule)


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


def parse_parts(value: Any, depth: int = 0) -> tuple[RuleType, ...]:
    """A list of rules, or one: all about rows, or all about the batch."""
    entries = [value] if isinstance(value, dict) else value
    if not isinstance(entries, list) or not entries:
        raise ValueError(f"must be a list of rules, got {shown(value) if value != [] else 'an empty list'}")
    parts, wrong = list[RuleType](), list[str]()
    for entry in entries:
        try:
            parts.append(parse_part(entry, depth))
        except ValueError as error:
            wrong.append(str(error))
    if wrong:
        raise ValueError("; ".join(dict.fromkeys(wrong)))
    by_row = {isinstance(part, RowRule): (part.part if isinstance(part, Guarded) else part).type for part in parts}
    if len(by_row) > 1:
        raise ValueError(
            f"holds '{by_row[True]}', which is about each row, and '{by_row[False]}', which is about the batch: there is no one "
            f"verdict on both; write two rules"
        )
    return tuple(parts)


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
        """Those of the part, about the rows of its filter; of a key, which ones are doubled."""
        among = _both(where, self.where)
        if isinstance(self.part, KeyRule):
            return (Repeated(self.part.columns(), among),)
        return self.part.questions(among)

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
        row = replace(row, scope=_both(row.scope, self.where))
        test = self._of_key(self.part, row) if isinstance(self.part, KeyRule) else self.part.predicate(row)
        if self.nulls:
            missing = " or ".join(f"{ref} is null" for ref in self.part.null_references(row))
            if self.part.is_free:
                test = f"coalesce(({test}), {'true' if self.nulls == 'pass' else 'false'})"
            elif missing:
                sure = f"coalesce(({test}), false)"
                test = f"({missing}) or {sure}" if self.nulls == "pass" else f"not ({missing}) and {sure}"
        return f"not coalesce(({self.where}), false) or ({test})" if self.where else test

    def _of_key(self, part: KeyRule, row: Row) -> str:
        once = f"not {row.repeated(part.columns())}"
        return conjunction([*(f"{row.ref(name)} is not null" for name in part.columns() if part.complete), once])

    def requirement(self) -> str:
        """As the reasons say it."""
        return self.part.requirement() + (f" where {self.where}" if self.where else "")


def _both(outer: str, inner: str) -> str:
    return conjunction([outer, inner]) if outer or inner else ""


class _Parts(RuleType):
    """What compositions of rows and of the batch have in common."""

    parts: tuple[Any, ...]
    main = "parts"
    word: ClassVar[str] = ""

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

    def queries(self) -> tuple[str, ...]:
        """Those of the parts."""
        return self._each(part.queries() for part in self.parts)

    def patterns(self) -> tuple[str, ...]:
        """Those of the parts."""
        return self._each(part.patterns() for part in self.parts)

    def questions(self, where: str = "") -> tuple[Question, ...]:
        """Those of the parts."""
        return tuple(dict.fromkeys(question for part in self.parts for question in part.questions(where)))

    def requirement(self) -> str:
        """As the reasons say it."""
        return f"{self.word}: " + "; ".join(_required(part) for part in self.parts)


def _required(part: RuleType) -> str:
    named = f"{part.type} of {', '.join(part.columns())}" if part.columns() else part.type
    return f"{named} {part.requirement()}" if isinstance(part, MetricRule) else part.requirement()


class BatchComposition(_Parts, BatchRule):
    """A composition of rules about the batch."""

    ungrouped = ""

    def metrics(self) -> tuple[MetricRule, ...]:
        """Those of the parts, in order."""
        return tuple(metric for part in self.parts for metric in part.metrics())

    def verdict(self, known: Iterator[bool | Absent | None]) -> bool | Absent | None:
        """The verdict by those on `metrics`, in their order: None where it cannot be told, ABSENT where no part applies."""
        found = [part.verdict(known) if isinstance(part, BatchComposition) else next(known) for part in self.parts]
        applying = [one for one in found if not isinstance(one, Absent)]
        return self._of(applying) if applying else ABSENT

    def _of(self, found: list[bool | None]) -> bool | None:
        raise NotImplementedError


class Absent(Enum):
    """A part that does not apply."""

    ABSENT = "absent"


ABSENT = Absent.ABSENT


def _some(found: list[bool | None]) -> bool | None:
    return True if True in found else None if None in found else False


@dataclass(frozen=True)
class AllOfBatch(BatchComposition):
    """The batch complies with all of several rules."""

    parts: tuple[RuleType, ...] = arg(RULES, "the rules, without modifiers")
    type = "all"
    word = "must satisfy all of"

    def _of(self, found: list[bool | None]) -> bool | None:
        return False if False in found else None if None in found else True


@dataclass(frozen=True)
class AnyOfBatch(BatchComposition):
    """The batch complies with at least one of several rules."""

    parts: tuple[RuleType, ...] = arg(RULES, "the rules, without modifiers")
    type = "any"
    word = "must satisfy one of"

    def _of(self, found: list[bool | None]) -> bool | None:
        return _some(found)


@dataclass(frozen=True)
class NoneOfBatch(BatchComposition):
    """The batch complies with none of several rules."""

    parts: tuple[RuleType, ...] = arg(RULES, "the rule, or the rules, without modifiers")
    type = "not"
    word = "must satisfy none of"

    def _of(self, found: list[bool | None]) -> bool | None:
        some = _some(found)
        return None if some is None else not some


class _Composition(_Parts, RowRule):
    parts: tuple[RowRule, ...]

    @property
    def of_keys(self) -> bool:
        """Whether a key is among its parts, so that rows are judged by the others."""
        return any(isinstance(question, Repeated) for question in self.questions())

    about = "rows, or the batch where its rules are"
    of_batch: ClassVar[type[BatchComposition]]

    @classmethod
    def made(cls, **values: Any) -> RuleType:
        """About rows, or about the batch where the parts are."""
        by_row = all(isinstance(part, RowRule) for part in values["parts"])
        return cls(**values) if by_row else cls.of_batch(**values)

    @property
    def is_free(self) -> bool:  # type: ignore[override]
        """Parts that name no column leave nothing else for the NULL policy to look at."""
        return all(part.is_free for part in self.parts)

    def nan_columns(self) -> tuple[str, ...]:
        """Those of the parts."""
        return self._each(part.nan_columns() for part in self.parts)

    def null_references(self, row: Row) -> list[str]:
        """Those of the parts."""
        return list(self._each(part.null_references(row) for part in self.parts))


@dataclass(frozen=True)
class AllOf(_Composition):
    """Every row complies with all of several rules about rows, or the batch with all of several rules about it. The rules
    are parts of one verdict in Kleene logic; NULL in a column that a part names means what `nulls` says, once for the whole."""

    parts: tuple[RowRule, ...] = arg(
        RULES, "the rules; beside each at most `where` and `nulls: pass` or `fail`, which are then its own"
    )
    type = "all"
    word = "must satisfy all of"
    of_batch = AllOfBatch
    example = "all: [{above: {column: amount, value: 0}}, {in: {column: currency, values: [EUR, SEK]}}]"

    def predicate(self, row: Row) -> str:
        """AND."""
        return conjunction(part.predicate(row) for part in self.parts)


@dataclass(frozen=True)
class AnyOf(_Composition):
    """Every row complies with at least one of several rules about rows, or the batch with one of several about it. The rules
    are parts of one verdict in Kleene logic; NULL in a column that a part names means what `nulls` says, once for the whole."""

    parts: tuple[RowRule, ...] = arg(
        RULES, "the rules; beside each at most `where` and `nulls: pass` or `fail`, which are then its own"
    )
    type = "any"
    word = "must satisfy one of"
    of_batch = AnyOfBatch
    example = "any: [{that: origin <> 'JFK'}, {at_most: {column: distance, value: 2600}}]"

    def predicate(self, row: Row) -> str:
        """OR."""
        return disjunction(part.predicate(row) for part in self.parts)


@dataclass(frozen=True)
class NoneOf(_Composition):
    """No row complies with a rule about rows, or the batch with one about it; of several, with none of them. The rules
    are parts of one verdict in Kleene logic; NULL in a column that a part names means what `nulls` says, once for the whole."""

    parts: tuple[RowRule, ...] = arg(
        RULES, "the rule, or the rules; beside each at most `where` and `nulls: pass` or `fail`, which are then its own"
    )
    type = "not"
    word = "must satisfy none of"
    of_batch = NoneOfBatch
    example = "not: [{in: {column: name, values: [test, dummy]}}]"

    def predicate(self, row: Row) -> str:
        """NOT of each; for several the OR of them is denied."""
        return f"not ({disjunction(part.predicate(row) for part in self.parts)})"
