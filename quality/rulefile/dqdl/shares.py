"""Shares of rows that are held against those of earlier batches. A tolerance has no history, the metric of `compliance` has: it is
the share of rows of which the rule's condition is true."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from decimal import Decimal
from typing import Any

from quality import sql
from quality.casts import text_as
from quality.model import COMPARISONS
from quality.rulefile.dqdl.entries import Entry, Joined, Made
from quality.rulefile.dqdl.losses import Lost
from quality.rulefile.dqdl.past import DIFFERS
from quality.rulefile.dqdl.relations import bounded
from quality.rulefile.dqdl.tree import Condition
from quality.rulefile.dqdl.yaml_text import Template

_SAID = {"equals": "equal to"}


def of_share(made: Made, where: str, condition: Condition) -> list[Made]:
    """The demand that the share of rows in scope that comply with a rule about rows is within bounds of earlier batches. It is called
    after what it asks of a row: its history is that of its id, which another rule before it must not change. Raises Lost."""
    if isinstance(made, Joined):
        raise Lost("a threshold from earlier batches is about the rows of one rule")
    test = _test(made.type, made.body)
    if made.beside.get("nulls", "pass") != "fail":
        # of the rows of a share those count of which the condition is true
        whole = f"coalesce({test}, true)"
        test = Template(whole) if isinstance(test, Template) else whole
    id = f"compliance.{hashlib.sha256(repr((str(test), where)).encode()).hexdigest()[:8]}"
    beside = {"where": where} if where else {}

    def named(one: Made) -> Made:
        if isinstance(one, Entry):
            return replace(one, about=id, beside=beside, body=_possible(one.body))
        return replace(one, about=f"{id}.any", parts=tuple(map(named, one.parts)))

    return [named(one) for one in bounded("compliance", {"that": test}, condition, DIFFERS)]


def _possible(body: dict[str, Any]) -> dict[str, Any]:
    """The bounds less those that every share of rows is within. Raises Lost for one that none is within."""
    kept = dict(body)
    for word, value in body.items():
        if word in COMPARISONS and not isinstance(value, str) and not 0 <= value <= 1:
            least = word in ("at_least", "above") if value < 0 else word in ("at_most", "below")
            if not least and word != "not_equals":
                raise Lost(f"no share of rows is {_SAID.get(word, word.replace('_', ' '))} {value}: it can never hold")
            del kept[word]
    return kept


def _test(type: str, body: Any) -> str:
    """What is true for a row that complies, and NULL for a value that is."""
    if type in ("any", "all", "not"):
        parts = [f"({_test(*next(iter(part.items())))})" for part in body]
        return f"not ({' or '.join(parts)})" if type == "not" else {"any": " or ", "all": " and "}[type].join(parts)
    if type == "that":
        return body if isinstance(body, Template) else str(body)
    column = sql.quote(body["column"]) if isinstance(body, dict) and "column" in body else ""
    if type in ("values", "length"):
        left = column if type == "values" else f"char_length({column})"
        return " and ".join(f"{left} {COMPARISONS[w]} {_literal(v)}" for w, v in body.items() if w in COMPARISONS)
    if type in COMPARISONS:
        return f"{column} {COMPARISONS[type]} {_literal(body['value'])}"
    if type in ("in", "not_in"):
        return f"{column} {type.replace('_', ' ')} ({', '.join(map(_literal, body['values']))})"
    if type == "matches":
        pattern = rf"\A(?:{body['pattern']})\z"
        return f"{column} rlike {sql.literal(pattern)}"
    if type == "required":
        return f"{column} is not null"
    if type == "type":
        text = f"cast({column} as string)"
        known = text if body["is"] == "string" else text_as(text, body["is"])
        return f"if({column} is null, null, {known} is not null)"
    if type == "date_format":
        known = f"try_to_timestamp(cast({column} as string), {sql.literal(body['pattern'])})"
        return f"if({column} is null, null, {known} is not null)"
    raise Lost(
        "a threshold from earlier batches goes with rules that a row answers by itself, and not with rules about files"
    )


def _literal(value: Any) -> str:
    """A value as Spark SQL; beside a whole number Spark would cut the fraction of a text column."""
    if isinstance(value, str):
        return sql.literal(value)
    text = f"{value:f}" if isinstance(value, Decimal) else repr(value)
    return text if isinstance(value, float) or "." in text else f"{text}.0"
