"""Texts that hold something else: JSON, a value of another type, a date in a format of its own."""

from __future__ import annotations

import re
from dataclasses import dataclass

from quality.analyzers import TEXTUAL, base_type
from quality.casts import text_as
from quality.rule_types.args import COLUMN, TYPE, Kind, arg, choice, parse_text, shown
from quality.rule_types.base import Row, RowRule
from quality.rule_types.values import castable
from quality.sql import literal

_STRICT = "map('allowSingleQuotes', 'false', 'allowNonNumericNumbers', 'false')"


@dataclass(frozen=True)
class Json(RowRule):
    """Every value is JSON (RFC 8259), and nothing stands behind it: any value, or one that is an object or an array.
    Numbers that JSON does not know (NaN), single quotes and comments are refused, as is a nesting of more than 1,000."""

    column: str = arg(COLUMN, "the column, of type string")
    is_: str = arg(choice("any", "object", "array"), "what kind of JSON", "any")

    type = "json"
    example = "json: {column: payload, is: object}"

    def predicate(self, row: Row) -> str:
        """A text is JSON when it is the one entry of an array, and the one value of an object, put into their brackets:
        Spark's parser by itself does not look at what follows a value."""
        text = row.text(self.column)
        array = f"size(from_json(concat('[', {text}, ']'), 'array<string>', {_STRICT})) = 1"
        entry = literal('{"v":')
        value = f"from_json(concat({entry}, {text}, '}}'), 'map<string,string>', {_STRICT}) is not null"
        begins = {"any": "", "object": r"\A\s*\{", "array": r"\A\s*\["}[self.is_]
        return f"{array} and {value}" + (f" and {text} rlike {literal(begins)}" if begins else "")

    def requirement(self) -> str:
        """As the reasons say it."""
        return "must be JSON" if self.is_ == "any" else f"must be a JSON {self.is_}"


@dataclass(frozen=True)
class Castable(RowRule):
    """Every value can be cast to a type without losing anything. Unlike `type` it gives the column no type: for texts that
    stay texts."""

    column: str = arg(COLUMN, "the column")
    to: str = arg(TYPE, "the type: integer, long, double, decimal(p,s), boolean, date, timestamp, ...")

    type = "castable"
    main = "to"
    example = "castable: {column: reading, to: 'decimal(10,2)'}"

    def null_references(self, row: Row) -> list[str]:
        """A text that has no value in the column's own type is not NULL."""
        return [row.text(self.column)]

    def predicate(self, row: Row) -> str:
        """The text of a text format, else the value there and back."""
        column = row.find(self.column)
        if column.name in row.raw or base_type(column.type) in TEXTUAL:
            return f"{text_as(row.text(self.column), self.to, row.timezone)} is not null"
        return castable(row.ref(self.column), column.type, self.to)

    def nan_columns(self) -> tuple[str, ...]:
        """NaN is a double like any other."""
        return ()

    def requirement(self) -> str:
        """As the reasons say it."""
        return f"must be castable to {self.to}"


_PATTERN = re.compile(
    r"(?:y{4}|yy|M{1,4}|d{1,2}|H{1,2}|h{1,2}|m{1,2}|s{1,2}|S{1,9}|a|X{1,3}|'[^']*'|[^A-Za-z'\[\]{}#])+"
)


def _parse_pattern(value: object) -> str:
    text = parse_text(value)
    if not _PATTERN.fullmatch(text) or not re.search("[yMdHhmsS]", re.sub("'[^']*'", "", text)):
        raise ValueError(
            f"must be made of yyyy yy M MM MMM d dd H HH h hh m mm s ss S a X and 'text', got {shown(text)}"
        )
    return text


@dataclass(frozen=True)
class DateFormat(RowRule):
    """Every value is a date or time in a pattern of Spark's: yyyy year, MM month, dd day, HH hour (hh with a for AM and
    PM), mm minute, ss second, S fractions, X zone, text in quotes. The whole value must fit, and the day must exist."""

    column: str = arg(COLUMN, "the column")
    pattern: str = arg(Kind(_parse_pattern, {"type": "string"}), "the pattern")

    type = "date_format"
    main = "pattern"
    example = "date_format: {column: booked, pattern: dd.MM.yyyy}"

    def predicate(self, row: Row) -> str:
        """Spark's own parser."""
        return f"try_to_timestamp({row.text(self.column)}, {literal(self.pattern)}) is not null"

    def requirement(self) -> str:
        """As the reasons say it."""
        return f"must be a date written {self.pattern}"
