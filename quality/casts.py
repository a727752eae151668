"""Texts as values of a type: SQL that is NULL when the text is none, or when a part of it would be lost.

Spark's own casts drop what follows a date, digits that a decimal has no room for, nanoseconds and a zone that a
`timestamp_ntz` cannot keep; they read `1e400` as Infinity and `1d` as 1, and give a bare time of day the date of the run.
"""

from __future__ import annotations

import re

from quality.sql import literal

#: A date, with a time of day that is midnight or is not there.
_DATE = r"\A\s*[+-]?[0-9]{4,7}(-[0-9]{1,2}(-[0-9]{1,2}([T ]0{1,2}:00(:00(\.0+)?)?)?)?)?\s*\z"
#: Begins with a year, and what follows six decimals is zeros.
_TIMESTAMP = r"\A\s*[+-]?[0-9]{4,7}\s*(-[^.]*+(\.[0-9]{0,6}0*+([^0-9].*)?)?)?\z"
#: A zone after the time: 05:00:00Z, 05:00:00.5+02:00, 05:00:00 Europe/Berlin.
_ZONED = r"-[0-9]{1,2}[T ][0-9:.\s]*[A-Za-z+-]"


def text_as(text: str, kind: str, zone: str = "UTC") -> str:
    """SQL of the text as the type; a timestamp without a zone is one of `zone`."""
    cast = f"try_cast({text} as {kind})"
    if kind.startswith("decimal"):
        return _decimal(text, kind, cast)
    if kind in ("double", "float"):
        # Java's own parser, behind the cast, takes 1d and 1f; a text that is too large is no Infinity
        suffix = " or ".join(f"endswith(rtrim({text}), '{letter}')" for letter in "dDfF")
        infinite = f"abs({cast}) = double('Infinity')"
        return f"if(if({infinite}, {text} rlike '[0-9]', {suffix}), null, {cast})"
    if kind == "date":
        return f"if({text} rlike {literal(_DATE)}, {cast}, null)"
    if kind == "timestamp":
        return _timestamp(text, zone)
    if kind == "timestamp_ntz":
        return f"if({text} rlike {literal(_ZONED)}, null, cast({_timestamp(text, 'UTC')} as timestamp_ntz))"
    return cast


def _decimal(text: str, kind: str, cast: str) -> str:
    precision, scale = (int(part) for part in kind[8:-1].split(","))
    plain = rf"\A\s*[+-]?[0-9]*+(\.[0-9]{{0,{scale}}}0*+)?\s*\z"
    # with an exponent: compared with the same number that has room for more decimals
    exact = f"try_cast({text} as decimal(38,{38 - (precision - scale)}))"
    return f"if({text} rlike {literal(plain)} or ({text} rlike '[eE]' and {exact} = {cast}), {cast}, null)"


def _timestamp(text: str, zone: str) -> str:
    cast = f"try_cast({text} as timestamp)"
    if zone != "UTC":
        cast = f"if({text} rlike {literal(_ZONED)}, {cast}, to_utc_timestamp({cast}, {literal(zone)}))"
    return f"if({text} rlike {literal(_TIMESTAMP)}, {cast}, null)"


def fits(value: object, kind: str) -> bool:
    """Whether a value as it stands in YAML is one of a column's type, near enough to find slips: texts that are numbers
    fit numbers, and how many digits there is room for is not asked."""
    text = str(value).strip()
    if kind == "boolean":
        return text.lower() in ("true", "false")
    if kind in ("tinyint", "smallint", "int", "bigint"):
        bits = {"tinyint": 7, "smallint": 15, "int": 31, "bigint": 63}[kind]
        whole = re.fullmatch(r"[+-]?[0-9]{1,19}", text) is not None and not isinstance(value, bool)
        return whole and -(2**bits) <= int(text) < 2**bits
    if kind in ("double", "float") or kind.startswith("decimal"):
        special = "" if kind.startswith("decimal") else r"|[+-]?inf(inity)?|nan"
        pattern = rf"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?{special}"
        return re.fullmatch(pattern, text, re.IGNORECASE) is not None
    if kind in ("date", "timestamp", "timestamp_ntz"):
        return re.match(r"[+-]?[0-9]{4,7}(-[0-9]{1,2}){0,2}", text) is not None
    return True
