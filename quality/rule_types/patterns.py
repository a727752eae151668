"""Patterns: texts against lists of regular expressions, and against SQL's LIKE."""

from __future__ import annotations

from dataclasses import dataclass

from quality.rule_types.args import COLUMN, LIKE, REGEXES, arg
from quality.rule_types.base import Row, RowRule
from quality.sql import conjunction, disjunction, literal


def whole_match(text: str, pattern: str) -> str:
    r"""SQL: the whole text matches. \z and not $, which also matches before a final newline."""
    return f"{text} rlike {literal(chr(92) + 'A(?:' + pattern + ')' + chr(92) + 'z')}"


@dataclass(frozen=True)
class MatchesAny(RowRule):
    """The whole value matches at least one of several regular expressions (Java's dialect)."""

    column: str = arg(COLUMN, "the column")
    patterns_: tuple[str, ...] = arg(REGEXES, "the regular expressions")

    type = "matches_any"
    main = "patterns"
    example = "matches_any: {column: code, patterns: ['[A-Z]{3}', '[0-9]{6}']}"

    def predicate(self, row: Row) -> str:
        """One after the other."""
        return disjunction(whole_match(row.text(self.column), pattern) for pattern in self.patterns_)

    def requirement(self) -> str:
        """As the reasons say it."""
        return f"must match one of {', '.join(self.patterns_)}"


@dataclass(frozen=True)
class MatchesAll(RowRule):
    """The whole value matches each of several regular expressions (Java's dialect)."""

    column: str = arg(COLUMN, "the column")
    patterns_: tuple[str, ...] = arg(REGEXES, "the regular expressions")

    type = "matches_all"
    main = "patterns"
    example = "matches_all: {column: password_hash, patterns: ['[0-9a-f]*', '.{64}']}"

    def predicate(self, row: Row) -> str:
        """All of them."""
        return conjunction(whole_match(row.text(self.column), pattern) for pattern in self.patterns_)

    def requirement(self) -> str:
        """As the reasons say it."""
        return f"must match all of {', '.join(self.patterns_)}"


@dataclass(frozen=True)
class MatchesNone(RowRule):
    """The whole value matches none of several regular expressions (Java's dialect)."""

    column: str = arg(COLUMN, "the column")
    patterns_: tuple[str, ...] = arg(REGEXES, "the regular expressions")

    type = "matches_none"
    main = "patterns"
    example = "matches_none: {column: name, patterns: ['(?i)test.*', '[0-9]+']}"

    def predicate(self, row: Row) -> str:
        """None of them."""
        return conjunction(f"not {whole_match(row.text(self.column), pattern)}" for pattern in self.patterns_)

    def requirement(self) -> str:
        """As the reasons say it."""
        return f"must match none of {', '.join(self.patterns_)}"


@dataclass(frozen=True)
class Like(RowRule):
    r"""The whole value is like a pattern of SQL: `%` is any text, `_` one character, `\%` and `\_` are themselves."""

    column: str = arg(COLUMN, "the column")
    pattern: str = arg(LIKE, "the pattern")

    type = "like"
    main = "pattern"
    example = "like: {column: code, pattern: 'A-%'}"

    def predicate(self, row: Row) -> str:
        """Spark's LIKE."""
        return f"{row.text(self.column)} like {literal(self.pattern)}"

    def requirement(self) -> str:
        """As the reasons say it."""
        return f"must be like {self.pattern}"


@dataclass(frozen=True)
class NotLike(RowRule):
    r"""No value is like a pattern of SQL: `%` is any text, `_` one character, `\%` and `\_` are themselves."""

    column: str = arg(COLUMN, "the column")
    pattern: str = arg(LIKE, "the forbidden pattern")

    type = "not_like"
    main = "pattern"
    example = "not_like: {column: name, pattern: 'test%'}"

    def predicate(self, row: Row) -> str:
        """Spark's NOT LIKE."""
        return f"{row.text(self.column)} not like {literal(self.pattern)}"

    def requirement(self) -> str:
        """As the reasons say it."""
        return f"must not be like {self.pattern}"
