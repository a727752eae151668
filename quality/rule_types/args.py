"""The arguments a rule type takes: each kind turns a plain YAML value into a typed one, says what is allowed when it
cannot, and knows its JSON Schema. Values arrive after templates are rendered, so a number may come as text."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from quality import formulas, sql
from quality.errors import did_you_mean
from quality.formulas import Formula, Within
from quality.model import COMPARISONS, Bounds, Scalar

JsonSchema = dict[str, Any]
SCALAR_SCHEMA: JsonSchema = {"type": ["string", "number", "boolean"]}


@dataclass(frozen=True)
class Kind:
    """A kind of argument. `parse` raises ValueError with what is wrong and what is allowed."""

    parse: Callable[[Any], Any]
    schema: JsonSchema
    role: str = ""


def arg(kind: Kind, doc: str, default: Any = MISSING) -> Any:
    """A dataclass field that is an argument of a rule type."""
    metadata = {"kind": kind, "doc": doc}
    if default is MISSING:
        return field(metadata=metadata)
    return field(default=default, metadata=metadata)


def arguments(cls: type) -> dict[str, Field[Any]]:
    """The argument fields of a rule type, by name, in order."""
    return {f.name: f for f in fields(cls) if "kind" in f.metadata}


def yaml_name(argument: Field[Any]) -> str:
    """The word in the rule file: a trailing underscore only keeps Python content."""
    return argument.name.rstrip("_")


def is_required(argument: Field[Any]) -> bool:
    """Whether the argument must be given."""
    return argument.default is MISSING


def shown(value: Any) -> str:
    """A value as a message quotes it."""
    if isinstance(value, str):
        return f"'{value}'" if len(value) <= 100 else f"'{value[:100]}...'"
    if isinstance(value, bool):
        return "true" if value else "false"
    return "nothing" if value is None else _group(value) if _is_group(value) else str(value)


def _is_group(value: Any) -> bool:
    return isinstance(value, (list, dict))


def _group(value: Any) -> str:
    return "a list" if isinstance(value, list) else "a mapping"


def parse_text(value: Any) -> str:
    """A non-empty text; numbers and booleans are taken as they are written."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None or _is_group(value) or not str(value):
        raise ValueError(f"must be a text, got {shown(value) if value != '' else 'an empty text'}")
    return str(value)


def parse_list(value: Any, item: Callable[[Any], Any], noun: str) -> tuple[Any, ...]:
    """A non-empty list, every item parsed."""
    if not isinstance(value, list) or not value:
        raise ValueError(f"must be a list of {noun}, got {shown(value) if value != [] else 'an empty list'}")
    return tuple(item(entry) for entry in value)


def parse_columns(value: Any) -> tuple[str, ...]:
    """A column name or a list of them, without repetition."""
    names = parse_list([value] if isinstance(value, str) else value, parse_text, "column names")
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(f"names column '{min(twice)}' twice")
    return names


def parse_scalar(value: Any) -> Scalar:
    """A text, number or boolean."""
    if value is None or _is_group(value):
        raise ValueError(f"must be a text, number or boolean, got {shown(value)}")
    return value  # type: ignore[no-any-return]


def parse_comparand(value: Any) -> Scalar:
    """What a value is compared with: not NaN, which no comparison satisfies."""
    scalar = parse_scalar(value)
    if scalar != scalar:
        raise ValueError("must not be NaN: no comparison with it holds")
    return scalar


def parse_values(value: Any) -> tuple[Scalar, ...]:
    """A list of values; NULL is not one, because `nulls:` says what NULL means."""

    def entry(item: Any) -> Scalar:
        if item is None:
            raise ValueError("must not hold null: 'nulls: pass | fail | skip' says what NULL means")
        return parse_scalar(item)

    # 1, 1.0 and true are equal in Python, and three values of a text column
    return tuple({(type(item), item): item for item in parse_list(value, entry, "values")}.values())


def parse_number(value: Any) -> int | float:
    """A number, also as text (templates give text)."""
    if isinstance(value, str):
        value = _number_from_text(value)
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        raise ValueError(f"must be a number, got {shown(value)}")
    return float(value) if isinstance(value, Decimal) else value


#: A number as it is written; `007` and `1_000` are texts.
_NUMBER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,99})(?:\.[0-9]{1,100})?(?:[eE][-+]?[0-9]{1,3})?")


def _number_from_text(text: str) -> Any:
    if not _NUMBER.fullmatch(text):
        return text
    if re.fullmatch(r"[-+]?[0-9]+", text):
        return int(text)
    exact, near = Decimal(text), float(text)
    return near if exact == Decimal(repr(near)) else exact


def parse_ratio(value: Any) -> float:
    """A number from 0 to 1, or a percentage as text."""
    text = str(value).strip()
    try:
        # 0.7 / 100 in doubles is less than 0.007: 7 rows of 1,000 would be too many
        number = float(Decimal(text[:-1]) / 100) if text.endswith("%") else float(text)
    except (ValueError, InvalidOperation):
        number = -1.0
    if isinstance(value, bool) or not 0 <= number <= 1:
        raise ValueError(
            f"must be between 0 and 1 or a percentage, got {value if isinstance(value, (int, float)) and not isinstance(value, bool) else shown(value)}"
        )
    return number


def parse_flag(value: Any) -> bool:
    """true or false, also as text."""
    if not isinstance(value, (str, bool)) or str(value).lower() not in ("true", "false"):
        raise ValueError(f"must be true or false, got {shown(value)}")
    return str(value).lower() == "true"


def choice(*allowed: str) -> Kind:
    """One of a few words."""

    def parse(value: Any) -> str:
        if value not in allowed:
            raise ValueError(f"must be one of {', '.join(allowed)}, got {shown(value)}")
        return str(value)

    return Kind(parse, {"enum": list(allowed)})


# Faults that are faults in Java's dialect too; what only Python refuses is left to Java at run time.
_COMMON_REGEX_FAULTS = (
    "unterminated character set",
    "missing ), unterminated",
    "unbalanced parenthesis",
    "nothing to repeat",
)


def parse_regex(value: Any) -> str:
    """A regular expression in Java's dialect."""
    text = parse_text(value)
    try:
        re.compile(text)
    except re.error as error:
        if error.msg.startswith(_COMMON_REGEX_FAULTS):
            raise ValueError(
                f"is not a regular expression: {error.msg} at character {(error.pos or 0) + 1} of '{text}'"
            ) from None
    return text


def parse_sql(value: Any) -> str:
    """A Spark SQL expression over one row."""
    text = parse_text(value).strip()
    wrong = sql.problems(text)
    if wrong:
        raise ValueError(f"cannot be used: {'; '.join(wrong)}")
    return text


def parse_query(value: Any) -> str:
    """A query of Spark SQL."""
    text = parse_text(value).strip()
    wrong = sql.query_problems(text)
    if wrong:
        raise ValueError(f"cannot be used: {'; '.join(wrong)}")
    return text


#: Names stewards use, and Spark's own.
TYPE_NAMES: Mapping[str, str] = {
    "string": "string",
    "text": "string",
    "integer": "int",
    "int": "int",
    "long": "bigint",
    "bigint": "bigint",
    "smallint": "smallint",
    "tinyint": "tinyint",
    "float": "float",
    "double": "double",
    "number": "double",
    "boolean": "boolean",
    "date": "date",
    "timestamp": "timestamp",
    "timestamp_ntz": "timestamp_ntz",
    "binary": "binary",
}
_DECIMAL = re.compile(r"decimal\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)")


def parse_type(value: Any) -> str:
    """A column type, as Spark writes it."""
    text = parse_text(value).strip().lower()
    decimal = _DECIMAL.fullmatch(text)
    if decimal:
        precision, scale = int(decimal[1]), int(decimal[2] or 0)
        if not 1 <= precision <= 38 or scale > precision:
            raise ValueError(f"must be decimal(p,s) with 1 <= p <= 38 and s <= p, got '{text}'")
        return f"decimal({precision},{scale})"
    if text not in TYPE_NAMES:
        raise ValueError(f"is not a type: '{text}'; {did_you_mean(text, [*TYPE_NAMES, 'decimal(p,s)'])}")
    return TYPE_NAMES[text]


def parse_types(value: Any) -> tuple[tuple[str, str], ...]:
    """A mapping of column names to types."""
    if not isinstance(value, dict) or not value:
        raise ValueError(f"must be a mapping of column names to types, got {shown(value)}")
    types = []
    for name, entry in value.items():
        try:
            types.append((str(name), parse_type(entry)))
        except ValueError as error:
            raise ValueError(f"of column '{name}' {error}") from None
    return tuple(types)


def parse_bounds(words: Mapping[str, Any], term: Callable[[Any], Scalar | Formula] | None = None) -> Bounds:
    """Comparison words with their values; at least one, none contradicting another. A text may be a formula of earlier
    batches, unless `term` reads it otherwise."""
    read = term or _term
    terms: dict[str, Scalar | Formula] = {}
    if "record" in words:
        if len(words) > 1 or term or not parse_flag(words["record"]):
            raise ValueError("'record: true' goes with a metric, and stands alone: what is recorded is not judged")
        return Bounds(recorded=True)
    if "within" in words:
        if len(words) > 1:
            raise ValueError("'within' says both ends: no other word stands beside it")
        return _within(words["within"])
    for word, value in words.items():
        if word == "between":
            if words.keys() & {"at_least", "at_most"}:
                raise ValueError("'between' is 'at_least' and 'at_most' together; write either")
            try:
                low, high = _ends(value, read)
            except ValueError as error:
                raise ValueError(f"'between' {error}") from None
            terms.update(at_least=low, at_most=high)
        else:
            terms[word] = _bound(word, value, read)
    if not terms:
        raise ValueError(f"needs a bound: at least one of {', '.join(BOUND_WORDS)}")
    past = tuple((w, entry) for w in COMPARISONS if isinstance(entry := terms.get(w), Formula))
    fixed: dict[str, Scalar] = {
        w: entry for w in COMPARISONS if w in terms and not isinstance(entry := terms[w], Formula)
    }
    if not past:
        _refuse_empty_range(fixed)
    if past and any(isinstance(entry, str) for entry in fixed.values()):
        raise ValueError("takes numbers beside a formula of earlier batches")
    return Bounds(tuple(fixed.items()), past)


def parse_share_bounds(words: Mapping[str, Any]) -> Bounds:
    """Bounds of a share, which may be percentages: from 0 to 1, as no share is anything else."""
    return parse_bounds({word: _share(word, value) for word, value in words.items()})


def _share(word: str, value: Any) -> Any:
    if word == "between" and isinstance(value, list):
        return [_one_share(word, end) for end in value]
    return value if word in ("between", "within", "record") else _one_share(word, value)


def _one_share(word: str, value: Any) -> Any:
    is_percentage = isinstance(value, str) and re.fullmatch(r"\s*[0-9]+(\.[0-9]+)?\s*%\s*", value)
    number = float(Decimal(value.strip()[:-1]) / 100) if is_percentage else value
    number = _number_from_text(number) if isinstance(number, str) else number
    if isinstance(number, (int, float, Decimal)) and not isinstance(number, bool) and not 0 <= number <= 1:
        raise ValueError(f"'{word}' must be between 0 and 1 or a percentage, as it bounds a share, got {value}")
    return number


def parse_value_bounds(words: Mapping[str, Any]) -> Bounds:
    """Bounds of values, which may be texts such as 'last call'."""
    return parse_bounds(words, _comparand)


def _pair(value: Any) -> tuple[Scalar, Scalar]:
    low, high = _ends(value, _comparand)
    return low, high


def _ends(value: Any, term: Callable[[Any], Any]) -> list[Any]:
    if not isinstance(value, list) or len(value) != 2:
        raise ValueError(f"must be a list of two values, [low, high], got {shown(value)}")
    return [term(entry) for entry in value]


def _bound(word: str, value: Any, term: Callable[[Any], Scalar | Formula]) -> Scalar | Formula:
    try:
        return term(value)
    except ValueError as error:
        raise ValueError(f"'{word}' {error}") from None


def _comparand(value: Any) -> Scalar:
    """A number, a date or another text."""
    return _number_from_text(value) if isinstance(value, str) else parse_comparand(value)


def _term(value: Any) -> Scalar | Formula:
    """A number, a date as text, or a formula; a template that waits for the batch stays as it is."""
    if isinstance(value, str) and "{{" not in value and formulas.looks_back(value):
        return formulas.parse(value)
    return _comparand(value)


_WITHIN = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(%?)\s+of\s+(\S.*)", re.DOTALL)
_WITHIN_FORMS = "such as '10% of median(last 7)', '20 of last', {ratio: 10%, of: last} or {by: 20, of: last}"


def _within(value: Any) -> Bounds:
    """So near to a number or a formula: by a share of its size, or by an amount."""
    found = _WITHIN.fullmatch(value) if isinstance(value, str) else None
    if found:
        amount, relative, of = Decimal(found[1]), bool(found[2]), found[3]
        amount = amount / 100 if relative else amount
    elif isinstance(value, dict) and value.keys() in ({"ratio", "of"}, {"by", "of"}):
        relative, of = "ratio" in value, value["of"]
        amount = Decimal(repr(parse_ratio(value["ratio"]))) if relative else Decimal(str(parse_number(value["by"])))
    else:
        if isinstance(value, str) and "{{" in value:
            return Bounds((("equals", value),))
        raise ValueError(f"'within' must be an amount of something, {_WITHIN_FORMS}, got {shown(value)}")
    if not amount.is_finite() or amount < 0:
        raise ValueError(f"'within' takes an amount of at least 0, got {amount}")
    try:
        centre = _term(of)
    except ValueError as error:
        raise ValueError(f"'within' {error}") from None
    if isinstance(centre, Formula):
        return Bounds(past=(("within", Within(centre, amount, relative)),))
    if isinstance(centre, (bool, str)) or not Decimal(str(centre)).is_finite():
        if isinstance(centre, str) and "{{" in centre:
            return Bounds((("equals", centre),))
        raise ValueError(
            f"'within' must be of a number or a formula of earlier batches, {_WITHIN_FORMS}, got {shown(of)}"
        )
    ends = formulas.around(Decimal(str(centre)), amount, relative=relative)
    return Bounds(tuple(zip(("at_least", "at_most"), ends, strict=True)))


def _refuse_empty_range(terms: Mapping[str, Scalar]) -> None:
    low, high = terms.get("at_least", terms.get("above")), terms.get("at_most", terms.get("below"))
    if low is None or high is None or isinstance(low, str) != isinstance(high, str):
        return
    if "{{" in f"{low}{high}":  # a template that waits for the batch
        return
    strict = low == high and ("above" in terms or "below" in terms)
    if low > high or strict:  # type: ignore[operator]
        words = " and ".join(f"{word} {value}" for word, value in terms.items() if value in (low, high))
        raise ValueError(f"cannot hold: no value satisfies both {words}")


BOUND_WORDS = (*COMPARISONS, "between", "within", "record")
BOUND_SCHEMAS: dict[str, JsonSchema] = {
    **dict.fromkeys(COMPARISONS, SCALAR_SCHEMA),
    "between": {"type": "array", "items": SCALAR_SCHEMA, "minItems": 2, "maxItems": 2},
    "record": {"const": True, "description": "measure the metric for the history, and judge nothing"},
    "within": {
        "anyOf": [
            {"type": "string"},
            {
                "type": "object",
                "properties": {"ratio": SCALAR_SCHEMA, "by": SCALAR_SCHEMA, "of": SCALAR_SCHEMA},
                "required": ["of"],
                "additionalProperties": False,
            },
        ]
    },
}


def parse_patterns(value: Any) -> tuple[str, ...]:
    """A regular expression or a list of them."""
    return parse_list([value] if isinstance(value, str) else value, parse_regex, "regular expressions")


def parse_like(value: Any) -> str:
    """A pattern of SQL's LIKE: `%` is any text, `_` one character, and a backslash takes its meaning from either."""
    text = parse_text(value)
    if re.search(r"\\(?![%_\\])", re.sub(r"\\\\", "", text)):
        raise ValueError(f"has a '\\' that stands before neither '%', '_' nor another '\\', got {shown(text)}")
    return text


_DURATION = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(second|minute|hour|day|week)s?\s*")
_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}


def parse_duration(value: Any) -> timedelta:
    """A length of time: `36 hours`, `3 days`, `90 minutes`."""
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"must be a length of time such as '36 hours' or '3 days', got {shown(value)}")
    try:
        return timedelta(seconds=float(match[1]) * _SECONDS[match[2]])
    except OverflowError:
        raise ValueError(f"is longer than time is counted here, got {shown(value)}") from None


def duration_text(duration: timedelta) -> str:
    """A length of time in the largest unit that divides it."""
    seconds = duration.total_seconds()
    unit = next((u for u in ("week", "day", "hour", "minute") if seconds and seconds % _SECONDS[u] == 0), "second")
    count = seconds / _SECONDS[unit]
    return f"{count:g} {unit}{'' if count == 1 else 's'}"


COLUMN = Kind(parse_text, {"type": "string"}, role="column")
COLUMNS = Kind(parse_columns, {"type": ["string", "array"], "items": {"type": "string"}}, role="columns")
TEXT = Kind(parse_text, {"type": "string"})
SCALAR = Kind(parse_comparand, SCALAR_SCHEMA)
VALUES = Kind(parse_values, {"type": "array", "items": SCALAR_SCHEMA, "minItems": 1})
RATIO = Kind(parse_ratio, {"type": ["number", "string"]})
FLAG = Kind(parse_flag, {"type": "boolean"})
REGEX = Kind(parse_regex, {"type": "string", "format": "regex"}, role="regex")
REGEXES = Kind(parse_patterns, {"type": ["string", "array"], "items": {"type": "string"}}, role="regexes")
LIKE = Kind(parse_like, {"type": "string"})
NUMBER = Kind(parse_number, {"type": "number"})
DURATION = Kind(parse_duration, {"type": "string"})
SQL = Kind(parse_sql, {"type": "string"}, role="sql")
QUERY = Kind(parse_query, {"type": "string"}, role="query")
TYPE = Kind(parse_type, {"type": "string"})
TYPES = Kind(parse_types, {"type": "object", "additionalProperties": {"type": "string"}}, role="types")
PAIR = Kind(_pair, BOUND_SCHEMAS["between"])
#: The comparison words stand beside the other arguments, so this kind is given all of them at once.
BOUNDS = Kind(parse_bounds, {}, role="bounds")
SHARE_BOUNDS = Kind(parse_share_bounds, {}, role="bounds")
VALUE_BOUNDS = Kind(parse_value_bounds, {}, role="bounds")
