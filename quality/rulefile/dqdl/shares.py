"""Shares of rows that are held against those of earlier batches. A tolerance has no history, the number of a query has: it is
the share of rows of which the rule's condition is true."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from quality import sql
from quality.casts import text_as
from quality.model import COMPARISONS
from quality.rulefile.dqdl.entries import Joined, Made
from quality.rulefile.dqdl.losses import Lost
from quality.rulefile.dqdl.yaml_text import Template


def share_query(made: Made, where: str) -> str:
    """The share of rows in scope that comply with a rule about rows, as a query for one number. Raises Lost."""
    if isinstance(made, Joined):
        raise Lost("a threshold from earlier batches is about the rows of one rule")
    null = "false" if made.beside.get("nulls", "pass") == "fail" else "true"
    return f"select avg(int(coalesce({_test(made.type, made.body)}, {null}))) from primary" + (
        f" where {where}" if where else ""
    )


def _test(type: str, body: Any) -> str:
    """What is true for a row that complies, and NULL for a value that is."""
    if type in ("any", "all", "not"):
        parts = [f"({_test(*next(iter(part.items())))})" for part in body]
        return f"not ({' or '.join(parts)})" if type == "not" else {"any": " or ", "all": " and "}[type].join(parts)
    if type == "that" and not isinstance(body, Template):
        return str(body)
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
    raise Lost("a threshold from earlier batches goes with conditions on values, lengths and types, without the clock")


def _literal(value: Any) -> str:
    """A value as Spark SQL; beside a whole number Spark would cut the fraction of a text column."""
    if isinstance(value, str):
        return sql.literal(value)
    text = f"{value:f}" if isinstance(value, Decimal) else repr(value)
    return text if isinstance(value, float) or "." in text else f"{text}.0"
