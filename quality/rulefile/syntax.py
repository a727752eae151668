"""Spark SQL in rule files, parsed without Spark: by sqlglot (extra `cli`) where it is there. What it takes may still be none of
Spark's; Spark's own parser has the last word, in `quality plan` and `quality run`."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from quality import sql
from quality.errors import Problem
from quality.rule_types.rules import Filter, Rule

#: Words of a query that are often misspelt.
_KEYWORDS = (
    "select",
    "from",
    "where",
    "group",
    "having",
    "order",
    "limit",
    "distinct",
    "between",
    "union",
    "join",
    "with",
)
#: What sqlglot calls expressions that give a number or a text.
_VALUES = ("literal", "add", "sub", "mul", "div", "mod", "neg", "dpipe")
_LAST_WORD = "only 'quality plan' and 'quality run' let Spark parse SQL"


def is_there() -> bool:
    """Whether SQL can be parsed here."""
    try:
        import sqlglot  # noqa: F401
    except ImportError:
        return False
    return True


def syntax_problems(rules: Iterable[Rule], filters: Iterable[Filter] = ()) -> list[Problem]:
    """Expressions that are no Spark SQL, and queries with a misspelt word; none where there is nothing to parse them. What is wrong
    before any parser sees it is told elsewhere."""
    found = [problem for problem, sure in _found(rules) if sure]
    for one in filters if is_there() else ():
        if not sql.problems(one.text) and (wrong := _problem(one.text)):
            found.append(Problem(one.location.file, one.location.line, f"{one.words}: {wrong}"))
    return found


def doubts(rules: Iterable[Rule]) -> list[Problem]:
    """Queries that could not be parsed here: Spark may know more of them."""
    return [problem for problem, sure in _found(rules) if not sure]


def _found(rules: Iterable[Rule]) -> Iterator[tuple[Problem, bool]]:
    for rule in rules if is_there() else ():
        queries = rule.check.queries()
        # the condition of a query is a part of it
        expressions = dict.fromkeys((rule.where, *(() if queries else rule.check.expressions())))
        place = (rule.location.file, rule.location.line)
        for text in expressions:
            if text and not sql.problems(text) and (wrong := _problem(text)):
                yield Problem(*place, f"rule '{rule.id}': {wrong}"), True
        for text in dict.fromkeys(queries):
            if not sql.query_problems(text) and (wrong := _problem(text)):
                meant = _meant(text)
                told = meant or "; 'quality plan' asks Spark"
                yield Problem(*place, f"rule '{rule.id}': the query {wrong}{told}"), bool(meant)


def _problem(text: str) -> str:
    import sqlglot

    # a template that waits for the batch may be anything
    if "{{" in text:
        return ""
    try:
        with _silent(logging.getLogger("sqlglot")):
            parsed = sqlglot.parse_one(text, read="spark")
    except RecursionError:
        return "the expression is nested too deep"
    except sqlglot.errors.SqlglotError as error:
        where: dict[str, Any] = next(iter(getattr(error, "errors", [])), {})
        what = str(where.get("description", "cannot be parsed")).rstrip(".")
        # its own classes mean nothing to a reader
        what = "something is missing" if "<class" in what else what
        near = f" near '{where['highlight']}'" if where.get("highlight") else ""
        return f"{_quoted(text)} is not Spark SQL: {what}{near}"
    if isinstance(parsed, sqlglot.exp.Command):
        return f"{_quoted(text)} is not Spark SQL"
    if parsed.unnest().key in _VALUES:
        return f"{_quoted(text)} is no condition: it gives a value that is neither true nor false"
    return ""


@contextmanager
def _silent(logger: logging.Logger) -> Iterator[None]:
    """Nothing is logged meanwhile: what cannot be parsed is told in a message."""
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


def _quoted(text: str) -> str:
    return f"'{' '.join(text.split())}'"


def _meant(text: str) -> str:
    """The first word that is nearly a keyword."""
    for token in sql.tokens(text):
        word = token.text.lower()
        near = difflib.get_close_matches(word, _KEYWORDS, n=1, cutoff=0.75) if token.kind == "word" else []
        if near and near != [word]:
            return f"; is '{token.text}' meant to be {near[0].upper()}?"
    return ""


def note(rules: Iterable[Rule]) -> str:
    """What lint cannot tell of the SQL of these rules; empty when there is none."""
    said = [(bool(rule.check.queries()), bool(rule.where or rule.check.expressions())) for rule in rules]
    if not is_there() and any(any(one) for one in said):
        return f"SQL was not parsed, as sqlglot is not installed (pip install 'quality-engine[cli]'); {_LAST_WORD}"
    return f"names and functions in queries were not looked up: {_LAST_WORD}" if any(one for one, _ in said) else ""
