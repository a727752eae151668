"""What every rule type must find, said a second time: plain Python over lists of dicts, one row after the other.

Written from the documentation of the rule types and nothing else. No SQL, no Spark, no code of the engine: where the two
agree, two independent readings of the documentation agree. Expressions of Spark SQL (`where`, `that`) come with a Python
twin each.
"""

from __future__ import annotations

import json
import math
import operator
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation, localcontext
from itertools import pairwise
from typing import Any

from tests import formats

Row = Mapping[str, Any]
Twins = Mapping[str, Callable[[Row], "bool | None"]]
SIGNS: Mapping[str, Callable[[Any, Any], Any]] = {
    "at_least": operator.ge,
    "above": operator.gt,
    "at_most": operator.le,
    "below": operator.lt,
    "equals": operator.eq,
    "not_equals": operator.ne,
}
WORDS = (*SIGNS, "between")
MODIFIERS = ("name", "where", "nulls", "nan", "tolerance", "severity", "on_fail", "group_by")
#: A malformed line: a row that holds the line under this key and nothing else.
LINE = "\0line"
#: The texts of a text format before they became values, by column.
RAW = "\0raw"


@dataclass(frozen=True)
class Expected:
    """`value` is the metric: None when there is nothing to measure. `failing` are positions of rows, for row rules."""

    status: str
    scope: int | None
    failed: int | None
    value: Any
    failing: frozenset[int] = frozenset()


def rule_type(rule: Mapping[str, Any]) -> str:
    """The word of a rule, whose other keys are modifiers."""
    (word,) = [key for key in rule if key not in MODIFIERS]
    return word


def judge(rule: Mapping[str, Any], rows: Sequence[Row], twins: Twins) -> Expected:
    """The verdict on a rule, written as in a rule file in its long form."""
    if "group_by" in rule:
        return _in_groups(rule, rows, twins)
    word = rule_type(rule)
    arguments = rule[word] if isinstance(rule[word], dict) else {}
    well_formed = [index for index, row in enumerate(rows) if LINE not in row]
    inside = [i for i in well_formed if "where" not in rule or twins[rule["where"]](rows[i]) is True]
    if word == "malformed":
        return _rows(rule, range(len(rows)), {i for i in range(len(rows)) if LINE in rows[i]})
    if word in ("unique", "key"):
        return _rows(rule, inside, _duplicates(word, _names(arguments), rows, inside))
    if word == "that":
        results = {i: twins[rule["that"]](rows[i]) for i in inside}
        inside = [i for i in inside if results[i] is not None or rule.get("nulls") != "skip"]
        null_passes = rule.get("nulls", "pass") == "pass"
        return _rows(rule, inside, {i for i in inside if not (null_passes if results[i] is None else results[i])})
    if word in COMPOSITIONS and parts_of(arguments)[0][0] not in ROW_TYPES:
        return _batch_composition(rule, word, arguments, [rows[i] for i in inside], twins)
    if word == "no_outliers":
        values = [column_value(rows[i], arguments["column"]) for i in inside]
        arguments = {**arguments, "limits": _limits(arguments, [float(v) for v in values if v is not None])}
    if word == "ordered":
        arguments = {**arguments, "breaking": _breaking([rows[i] for i in inside], arguments)}
    if word in (*PREDICATES, *SEVERAL, *COMPOSITIONS):
        return _row_rule(rule, word, arguments, rows, inside, twins)
    if word == "compliance":
        said = twins[arguments["that"]]
        rows = [{"said": said(rows[i]) or None} for i in inside]
        return _metric_rule("completeness", {**arguments, "column": "said"}, "where" in rule, rows)
    return _metric_rule(word, arguments, "where" in rule, [rows[i] for i in inside])


def groups(rule: Mapping[str, Any], rows: Sequence[Row], twins: Twins) -> dict[tuple[Any, ...], Expected]:
    """The verdict on each group that has a row in scope."""
    alone = {word: value for word, value in rule.items() if word != "group_by"}
    found: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        if LINE not in row:
            found.setdefault(tuple(column_value(row, name) for name in rule["group_by"]), []).append(row)
    judged = {key: judge(alone, of, twins) for key, of in found.items()}
    return {key: expected for key, expected in judged.items() if expected.scope}


def _in_groups(rule: Mapping[str, Any], rows: Sequence[Row], twins: Twins) -> Expected:
    alone = {word: value for word, value in rule.items() if word != "group_by"}
    whole, found = judge(alone, rows, twins), [one.status for one in groups(rule, rows, twins).values()]
    status = next((word for word in ("failed", "error", "passed") if word in found), "not_applicable")
    if whole.failed is None:
        return Expected(status, whole.scope, None, None)
    return Expected(status, whole.scope, whole.failed, whole.value, whole.failing)


# rules about rows


def _row_rule(
    rule: Mapping[str, Any],
    word: str,
    arguments: Mapping[str, Any],
    rows: Sequence[Row],
    inside: list[int],
    twins: Twins,
) -> Expected:
    policy, is_free = rule.get("nulls", "pass"), _is_free(word, arguments)
    failing, scope = set(), []
    for index in inside:
        row = rows[index]
        result = verdict(word, arguments, row, twins)
        missing = (
            result is None if is_free else any(_is_missing(row, name, part) for part, name in named(word, arguments))
        )
        if missing:
            if policy == "skip":
                continue
            complies = policy == "pass"
        elif rule.get("nan") == "pass" and any(_is_nan(column_value(row, name)) for name in compared(word, arguments)):
            complies = True
        else:
            complies = result is True
        scope.append(index)
        failing |= set() if complies else {index}
    return _rows(rule, scope, failing)


def _is_missing(row: Row, name: str, word: str) -> bool:
    # a text that is not of the column's type is NULL for all rules but those about types
    return (text_of(row, name) if word in ("type", "castable") else column_value(row, name)) is None


def parts_of(arguments: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """The rules that a composition holds: word and arguments."""
    return [next(iter(part.items())) for part in arguments["parts"]]


def _is_free(word: str, arguments: Mapping[str, Any]) -> bool:
    return word == "that" or (word in COMPOSITIONS and all(_is_free(*part) for part in parts_of(arguments)))


def named(word: str, arguments: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The columns whose NULL the NULL policy is about, each with the word of the rule that names it."""
    if word in COMPOSITIONS:
        return [found for part in parts_of(arguments) for found in named(*part)]
    if word in ("that", "required", *FILLED):
        return []
    if word == "compare":
        return [(word, name) for name in arguments.values()]
    if word == "ordered":
        return [(word, name) for name in (arguments["column"], *_listed(arguments["order_by"]))]
    return [(word, name) for name in (*_names(arguments), *_listed(arguments.get("parts", ())))]


def compared(word: str, arguments: Mapping[str, Any]) -> list[str]:
    """The columns whose NaN `nan: pass` is about."""
    if word in COMPOSITIONS:
        return [name for part in parts_of(arguments) for name in compared(*part)]
    return [] if word in ("type", "castable") else [name for _, name in named(word, arguments)]


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def verdict(word: str, arguments: Any, row: Row, twins: Twins) -> bool | None:
    """What a rule says of a row in Kleene logic, NULL policy apart."""
    if word == "that":
        said: bool | None = twins[arguments if isinstance(arguments, str) else arguments["expression"]](row)
        return said
    if word in COMPOSITIONS:
        results = [verdict(*part, row, twins) for part in parts_of(arguments)]
        either = True if True in results else None if None in results else False
        if word == "all":
            return False if False in results else None if None in results else True
        return either if word == "any" or either is None else not either
    if word in SEVERAL:
        told: bool | None = SEVERAL[word](row, arguments)
        return told
    value = column_value(row, arguments["column"])
    if value is None and word not in ("required", "type", "castable"):
        return None
    if word in ("type", "castable") and text_of(row, arguments["column"]) is None:
        return True
    found: bool | None = PREDICATES[word](row, arguments["column"], value, arguments)
    return found


def _batch_composition(
    rule: Mapping[str, Any], word: str, arguments: Mapping[str, Any], rows: Sequence[Row], twins: Twins
) -> Expected:
    where = {"where": rule["where"]} if "where" in rule else {}
    parts = [judge({part: of, **where}, rows, twins).status for part, of in parts_of(arguments)]
    known = [{"passed": True, "failed": False, "error": None}[part] for part in parts if part != "not_applicable"]
    if not known:
        return Expected("not_applicable", len(rows), None, None)
    either = True if True in known else None if None in known else False
    if word == "all":
        either = False if False in known else None if None in known else True
    told = {True: "passed", False: "failed", None: "error"}
    return Expected(told[either if word != "not" or either is None else not either], len(rows), None, None)


def _rows(rule: Mapping[str, Any], scope: Iterable[int], failing: set[int]) -> Expected:
    count, failed = len(list(scope)), len(failing)
    if not count:
        return Expected("not_applicable", 0, 0, None)
    status = "passed" if failed <= allowance(rule.get("tolerance", 0), count) else "failed"
    return Expected(status, count, failed, (count - failed) / count, frozenset(failing))


def allowance(tolerance: Any, scope: int) -> Decimal:
    """The rows that may fail: the larger of a share of the scope and a number of rows."""
    if isinstance(tolerance, dict):
        return max(allowance(tolerance.get("ratio", 0), scope), Decimal(tolerance.get("rows", 0)))
    text = str(tolerance)
    if text.endswith("rows"):
        return Decimal(text[:-4].strip())
    return (Decimal(text[:-1]) / 100 if text.endswith("%") else Decimal(text)) * scope


def _duplicates(word: str, names: list[str], rows: Sequence[Row], inside: list[int]) -> set[int]:
    keys = {index: _key(rows[index], names) for index in inside}
    counts = Counter(key for key in keys.values() if None not in key)
    incomplete = {i for i, key in keys.items() if None in key} if word == "key" else set()
    return incomplete | {i for i, key in keys.items() if counts[key] > 1}


def _key(row: Row, names: list[str]) -> tuple[Any, ...]:
    return tuple(_key_part(column_value(row, name)) for name in names)


def _key_part(value: Any) -> Any:
    if isinstance(value, dict):
        return tuple(_key_part(part) for part in value.values())
    # as keys, NaN equals NaN
    return "NaN" if _is_nan(value) else value


def column_value(row: Row, name: str) -> Any:
    """The value of a column; names compare without case, `s.f` reaches into a struct."""
    if name in row:
        return row[name]
    fields = {key.lower(): value for key, value in row.items()}
    if name.lower() in fields:
        return fields[name.lower()]
    head, _, rest = name.lower().partition(".")
    return None if fields[head] is None else column_value(fields[head], rest)


def text_of(row: Row, name: str) -> Any:
    """The value as text: as it stood in a text format, else as Spark prints it."""
    if RAW in row:
        return row[RAW][name]
    value = column_value(row, name)
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}.get(str(value), repr(value))
    if isinstance(value, datetime):
        fraction = f"{value.microsecond:06d}".rstrip("0")
        return f"{value:%Y-%m-%d %H:%M:%S}".zfill(19) + (f".{fraction}" if fraction else "")
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _like(bound: Any, value: Any) -> Any:
    """The bound as something that compares with the value."""
    if isinstance(value, bool):
        return str(bound).lower() == "true"
    if isinstance(value, datetime):
        moment = datetime.fromisoformat(str(bound))
        return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
    if isinstance(value, date):
        return date.fromisoformat(str(bound))
    if isinstance(value, (Decimal, int)) and isinstance(bound, float):
        return Decimal(repr(bound)) if math.isfinite(bound) else bound
    return bound


def compares(value: Any, word: str, bound: Any) -> bool | None:
    """One comparison of a value that is not NULL; None when a text is no number beside a number."""
    if isinstance(value, str) and not isinstance(bound, (str, bool)):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, str) and isinstance(bound, bool):
        bound = str(bound).lower()
    if _is_nan(value):
        return False
    bound = _like(bound, value)
    return bool(SIGNS[word](value, bound))


def within(value: Any, arguments: Mapping[str, Any]) -> bool:
    """Whether a value satisfies all comparison words among the arguments."""
    terms = [(word, bound) for word, bound in arguments.items() if word in SIGNS]
    if "between" in arguments:
        low, high = arguments["between"]
        terms += [("at_least", low), ("at_most", high)]
    return all(compares(value, word, bound) is True for word, bound in terms)


def _member(value: Any, members: Iterable[Any]) -> bool:
    if isinstance(value, str):
        return value in [str(m).lower() if isinstance(m, bool) else str(m) for m in members]
    return any(compares(value, "equals", member) for member in members)


def _matches(find: Callable[..., Any]) -> Callable[[Row, str, Any, Mapping[str, Any]], bool]:
    # Java's \d is ASCII
    return lambda row, column, value, a: find(a["pattern"], str(text_of(row, column)), re.ASCII) is not None


def _found(row: Row, column: str, pattern: str) -> bool:
    return re.fullmatch(pattern, str(text_of(row, column)), re.ASCII) is not None


def _comparing(word: str) -> Callable[[Row, str, Any, Mapping[str, Any]], bool | None]:
    return lambda row, column, value, a: compares(value, word, a["value"])


# Unicode's White_Space, and four separators that Java takes for it
WHITE = set("\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000\x1c\x1d\x1e\x1f") | set(
    map(chr, range(0x2000, 0x200B))
)
PLACEHOLDERS = (
    "", "-", "--", "?", ".", "n/a", "#n/a", "na", "nan", "null", "none", "nil", "unknown", "undefined", "missing", "tbd",
    "todo", "xxx",
)  # fmt: skip


def _is_value(row: Row, column: str, value: Any, a: Mapping[str, Any]) -> bool:
    if isinstance(value, str):
        texts = [str(v).lower() if isinstance(v, bool) else str(v) for v in a.get("values", PLACEHOLDERS)]
        return value.strip("".join(WHITE)).lower() not in [text.strip().lower() for text in texts]
    return not _is_nan(value) and not _member(value, a["values"])


def is_like(text: str, pattern: str) -> bool:
    """SQL's LIKE, by hand."""
    if not pattern:
        return not text
    if pattern[0] == "%":
        return any(is_like(text[start:], pattern[1:]) for start in range(len(text) + 1))
    escaped = pattern[0] == "\\"
    sign, rest = (pattern[1], pattern[2:]) if escaped else (pattern[0], pattern[1:])
    return bool(text) and (text[0] == sign or (sign == "_" and not escaped)) and is_like(text[1:], rest)


def is_json(text: str, kind: str) -> bool:
    def refuse(word: str) -> Any:
        raise ValueError(word)

    try:
        value = json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError):
        return False
    return kind == "any" or isinstance(value, dict if kind == "object" else list)


EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def _moment(text: str, like: date) -> date:
    """A moment of the rule, in UTC; `end of` a day is the midnight after it."""
    end = text.startswith("end of ")
    moment = datetime.fromisoformat(text.removeprefix("end of ")) + timedelta(days=end)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
    return moment if isinstance(like, datetime) else moment.date()


def _lasting(text: str) -> timedelta:
    count, unit = text.split()
    return timedelta(**{unit.rstrip("s") + "s": float(count)})


def _no_later(value: date, a: Mapping[str, Any]) -> bool:
    now = datetime.fromisoformat(str(_moment(a["as_of"], EPOCH)))
    latest = now + _lasting(a.get("grace", "0 seconds"))
    return value <= (latest if isinstance(value, datetime) else latest.date())


def _recent(value: date, a: Mapping[str, Any]) -> bool:
    now = datetime.fromisoformat(str(_moment(a["as_of"], EPOCH)))
    first = now - _lasting(a["duration"])
    low, high = (first, now) if isinstance(value, datetime) else (first.date(), now.date())
    return low <= value <= high


#: Spark's patterns of dates that are tried, as a regular expression for their width and a pattern of strptime.
DATE_PATTERNS = {
    "dd.MM.yyyy": (r"\d\d\.\d\d\.\d{4}", "%d.%m.%Y"),
    "yyyy-MM-dd HH:mm": (r"\d{4}-\d\d-\d\d \d\d:\d\d", "%Y-%m-%d %H:%M"),
}


def _is_written(text: str, pattern: str) -> bool:
    width, form = DATE_PATTERNS[pattern]
    try:
        return re.fullmatch(width, text, re.ASCII) is not None and datetime.strptime(text, form).year > 0  # noqa: DTZ007
    except ValueError:
        return False


def _compares_columns(row: Row, a: Mapping[str, Any]) -> bool | None:
    left = column_value(row, a["column"])
    results = [_pair(left, word, column_value(row, name)) for word, name in a.items() if word != "column"]
    return False if False in results else None if None in results else True


def _pair(left: Any, word: str, right: Any) -> bool | None:
    if left is None or right is None:
        return None
    if _is_nan(left) or _is_nan(right):
        return False
    if (isinstance(left, Decimal) and isinstance(right, float)) or (
        isinstance(left, float) and isinstance(right, Decimal)
    ):
        left, right = float(left), float(right)
    return bool(SIGNS[word](left, right))


def _equal(row: Row, a: Mapping[str, Any]) -> bool | None:
    first, *others = (column_value(row, name) for name in a["columns"])
    results = [_pair(first, "equals", other) for other in others]
    return False if False in results else None if None in results else True


def _adds_up(row: Row, a: Mapping[str, Any]) -> bool | None:
    values = [column_value(row, name) for name in (a["column"], *_listed(a["parts"]))]
    if None in values:
        return None
    if any(isinstance(value, float) for value in values):
        total, *parts = map(float, values)
        return total == sum(parts) or abs(total - sum(parts)) <= a.get("within", 0)
    with localcontext(Context(prec=80)):
        return bool(abs(values[0] - sum(values[1:])) <= Decimal(repr(a.get("within", 0))))


def _filled(holds: Callable[[int, int], bool]) -> Callable[[Row, Mapping[str, Any]], bool]:
    return lambda row, a: holds(sum(column_value(row, n) is not None for n in a["columns"]), len(a["columns"]))


FILLED = ("exactly_one_of", "at_least_one_of", "all_or_none_of")
COMPOSITIONS = ("all", "any", "not")
SEVERAL: Mapping[str, Callable[[Row, Mapping[str, Any]], Any]] = {
    "compare": _compares_columns,
    "equal_columns": _equal,
    "sum_equals": _adds_up,
    "exactly_one_of": _filled(lambda count, _: count == 1),
    "at_least_one_of": _filled(lambda count, _: count > 0),
    "all_or_none_of": _filled(lambda count, columns: count in (0, columns)),
    "ordered": lambda row, a: (
        id(row) not in a["breaking"] and not any(_is_nan(column_value(row, n)) for n in compared("ordered", a))
    ),
}

PREDICATES: Mapping[str, Callable[[Row, str, Any, Mapping[str, Any]], Any]] = {
    "required": lambda row, column, value, a: value is not None,
    "values": lambda row, column, value, a: within(value, a),
    "between": lambda row, column, value, a: within(value, {"between": a["range"]}),
    **{word: _comparing(word) for word in SIGNS},
    "in": lambda row, column, value, a: _member(value, a["values"]),
    "not_in": lambda row, column, value, a: not _is_nan(value) and not _member(value, a["values"]),
    "matches": _matches(re.fullmatch),
    "contains_match": _matches(re.search),
    "not_empty": lambda row, column, value, a: (
        len(value if isinstance(value, (str, list)) else text_of(row, column)) > 0
    ),
    "not_blank": lambda row, column, value, a: not set(text_of(row, column)) <= WHITE,
    "no_placeholder": _is_value,
    "matches_any": lambda row, column, value, a: any(_found(row, column, p) for p in _listed(a["patterns"])),
    "matches_all": lambda row, column, value, a: all(_found(row, column, p) for p in _listed(a["patterns"])),
    "matches_none": lambda row, column, value, a: not any(_found(row, column, p) for p in _listed(a["patterns"])),
    "like": lambda row, column, value, a: is_like(text_of(row, column), a["pattern"]),
    "not_like": lambda row, column, value, a: not is_like(text_of(row, column), a["pattern"]),
    "format": lambda row, column, value, a: formats.has(text_of(row, column), a["is"]),
    "json": lambda row, column, value, a: is_json(text_of(row, column), a.get("is", "any")),
    "castable": lambda row, column, value, a: (
        parse(row[RAW][column], a["to"]) is not None if RAW in row else fits(value, a["to"])
    ),
    "date_format": lambda row, column, value, a: _is_written(text_of(row, column), a["pattern"]),
    "no_outliers": lambda row, column, value, a: a["limits"][0] <= float(value) <= a["limits"][1],
    "not_future": lambda row, column, value, a: _no_later(value, a),
    "within_last": lambda row, column, value, a: _recent(value, a),
    "length": lambda row, column, value, a: within(len(str(text_of(row, column))), a),
    "type": lambda row, column, value, a: (
        value is not None if RAW in row else fits(value, a["is"]) if value is not None else True
    ),
}


# types

_RANGES = {"tinyint": 7, "smallint": 15, "int": 31, "integer": 31, "bigint": 63, "long": 63}
_DECIMAL_TYPE = re.compile(r"decimal\((\d+),(\d+)\)")


def fits(value: Any, kind: str) -> bool:
    """Whether a value that is not NULL can be had in another type, and be had back from it unchanged."""
    if kind == "string":
        return True
    if isinstance(value, str):
        return parse(value, kind) is not None
    if kind in ("double", "float"):
        return _is_nan(value) or _exact_in(value, kind)
    if kind == "boolean":
        return value in (0, 1)
    if kind == "date":
        return not isinstance(value, datetime) or value == datetime.combine(value, datetime.min.time(), value.tzinfo)
    if kind == "timestamp":
        return isinstance(value, date)
    if isinstance(value, float) and not math.isfinite(value):
        return False
    decimal = _DECIMAL_TYPE.fullmatch(kind)
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(int(value) if value is True else value)
    if decimal:
        return _digits_fit(number, int(decimal[1]), int(decimal[2]))
    return number == number.to_integral_value() and -(2 ** _RANGES[kind]) <= number < 2 ** _RANGES[kind]


def _exact_in(value: Any, kind: str) -> bool:
    if isinstance(value, (datetime, date)):
        return False
    double = float(value)
    if kind == "float":
        import numpy as np

        with np.errstate(over="ignore"):
            single = float(np.float32(double))
        return single == double
    # a decimal comes back from its nearest double when the double's shortest text says it
    return Decimal(repr(double)) == value if isinstance(value, Decimal) else double == value


def _digits_fit(number: Decimal, precision: int, scale: int) -> bool:
    whole = number.quantize(Decimal(1).scaleb(-scale), ROUND_HALF_UP) if abs(number) < 10**20 else number
    return whole == number and abs(number) < 10 ** (precision - scale)


def parse(text: str, kind: str) -> Any:
    """A text as a value of a type, None when it is not one. Blanks around it do not matter."""
    stripped = text.strip()
    try:
        if kind in _RANGES:
            return _parse_whole(stripped, kind)
        if kind == "double":
            return float(stripped) if re.fullmatch(r"[+-]?(NaN|Infinity|[\d.]+([eE][+-]?\d+)?)", stripped) else None
        if kind == "boolean":
            return {"true": True, "false": False}.get(stripped.lower())
        if kind == "date":
            return date.fromisoformat(stripped)
        if kind == "timestamp":
            moment = datetime.fromisoformat(stripped)
            return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
        return _parse_decimal(stripped, kind) if kind != "string" else text
    except (ValueError, InvalidOperation):
        return None


def _parse_whole(text: str, kind: str) -> int | None:
    number = int(text) if re.fullmatch(r"[+-]?\d+", text, re.ASCII) else None
    return number if number is not None and -(2 ** _RANGES[kind]) <= number < 2 ** _RANGES[kind] else None


def _parse_decimal(text: str, kind: str) -> Decimal | None:
    size = _DECIMAL_TYPE.fullmatch(kind)
    assert size, kind
    number = Decimal(text) if re.fullmatch(r"[+-]?[\d.]+([eE][+-]?\d+)?", text) else None
    return number if number is not None and _digits_fit(number, int(size[1]), int(size[2])) else None


# outliers


def _limits(a: Mapping[str, Any], values: list[float]) -> tuple[float, float]:
    """The ends of what is no outlier, of the values that are finite; nothing lies between them without any."""
    values = [value for value in values if math.isfinite(value)]
    if not values:
        return math.inf, -math.inf
    method = a.get("method", "iqr")
    if method == "iqr":
        low, high = quantile(values, 0.25), quantile(values, 0.75)
        return low - a.get("factor", 1.5) * (high - low), high + a.get("factor", 1.5) * (high - low)
    if method == "zscore":
        centre, far = math.fsum(values) / len(values), a.get("factor", 3) * _deviation(values)
    else:
        centre = quantile(values, 0.5)
        far = a.get("factor", 3.5) * 1.4826 * quantile([abs(value - centre) for value in values], 0.5)
    return centre - far, centre + far


# rules about a metric


#: Judged by a list, not by bounds: the metric is 0 when it holds.
SETS = ("distinct_values", "most_common_value")
#: What is 0, and not unknown, of nothing.
COUNTS = ("row_count", "distinct_count", "duplicate_rows", "zeros_count")


def _metric_rule(word: str, arguments: Mapping[str, Any], filtered: bool, rows: Sequence[Row]) -> Expected:
    if not rows and (word != "row_count" or filtered):
        # a count of nothing is 0, anything else does not exist
        nothing = _set_difference([], arguments) if word == "distinct_values" else 0 if word in COUNTS else None
        return Expected("not_applicable", 0, None, nothing)
    value = metric(word, arguments, rows)
    if word == "freshness" and value is not None:
        now = datetime.fromisoformat(str(_moment(arguments["as_of"], EPOCH)))
        oldest = now - _lasting(arguments["at_most"])
        fresh = value >= (oldest if isinstance(value, datetime) else oldest.date())
        return Expected("passed" if fresh else "failed", len(rows), None, value)
    if value is None:
        return Expected("error", len(rows), None, None)
    if word in LIMITS:
        return Expected("passed" if value <= LIMITS[word](arguments) else "failed", len(rows), None, value)
    if word in SETS:
        return Expected("failed" if value else "passed", len(rows), None, value)
    return Expected("passed" if within(value, arguments) else "failed", len(rows), None, value)


def metric(word: str, arguments: Mapping[str, Any], rows: Sequence[Row]) -> Any:
    """The metric of a rule type over rows that are all in scope; None when there is nothing to measure."""
    if word == "row_count":
        return len(rows)
    names = _names(arguments)
    if word in ("uniqueness", "distinctness", "unique_value_ratio", "distinct_count"):
        return _key_metric(word, names, rows)
    if word == "duplicate_rows":
        return _doubled([_key(row, names or list(row)) for row in rows])
    if word == "ratio_of_sums":
        sums = [_column_sum(rows, arguments[side]) for side in ("numerator", "denominator")]
        return None if sums[0] is None or not sums[1] else float(sums[0]) / float(sums[1])
    if word == "correlation":
        return _correlation([(column_value(row, names[0]), column_value(row, names[1])) for row in rows])
    if word in ORDERS:
        return ORDERS[word](rows, arguments)
    column = [column_value(row, names[0]) for row in rows]
    values = [value for value in column if value is not None]
    if word == "completeness":
        return len(values) / len(rows)
    if not values and word != "distinct_values":
        return 0 if word in COUNTS else None
    if word in DISTRIBUTIONS:
        return DISTRIBUTIONS[word](values, arguments)
    if word == "median" or arguments.get("exact"):
        return between_ranks([float(value) for value in values], arguments.get("q", 0.5))
    if word == "iqr":
        numbers = [float(value) for value in values]
        return between_ranks(numbers, 0.75) - between_ranks(numbers, 0.25)
    if word == "quantile":
        return quantile([float(value) for value in values], arguments["q"])
    return STATISTICS[word](values)


def _entropy(values: list[Any], _: Mapping[str, Any]) -> float:
    counts, total = Counter(map(_key_part, values)), len(values)
    return -math.fsum(count / total * math.log(count / total) for count in counts.values()) + 0.0


def _information(rows: Sequence[Row], a: Mapping[str, Any]) -> float | None:
    whole = [key for key in (_key(row, a["columns"]) for row in rows) if None not in key]
    if not whole:
        return None
    joint, *sides = Counter(whole), *(Counter(key[place] for key in whole) for place in (0, 1))
    total = len(whole)
    return math.fsum(
        count / total * math.log(count * total / (sides[0][a] * sides[1][b])) for (a, b), count in joint.items()
    )


def _top_share(values: list[Any], _: Mapping[str, Any]) -> float:
    return max(Counter(map(_key_part, values)).values()) / len(values)


def _unlisted_mode(values: list[Any], arguments: Mapping[str, Any]) -> int:
    counts = Counter(map(_key_part, values))
    modes = [value for value, count in counts.items() if count == max(counts.values())]
    return int(not all(_member(value, arguments["in"]) for value in modes))


def _set_difference(values: list[Any], arguments: Mapping[str, Any]) -> int:
    """Listed values that do not occur, and rows that have others, as far as each is asked."""
    (word,) = set(arguments) & {"in", "contains", "equals"}
    listed = arguments[word]
    absent = sum(not any(_member(value, [one]) for value in values) for one in listed)
    others = sum(not _member(value, listed) for value in values)
    return (absent if word != "in" else 0) + (others if word != "contains" else 0)


def _neighbours(rows: Sequence[Row], a: Mapping[str, Any], order: Sequence[str]) -> list[tuple[Any, Any]] | None:
    """Each value and the one before it, group by group; None where there are no values."""
    groups: dict[tuple[Any, ...], list[tuple[Any, ...]]] = {}
    falls = a.get("direction") == "decreasing"
    for row in rows:
        places = [column_value(row, name) for name in (*order, a["column"])]
        if None not in places:
            *before, value = ((_is_nan(place), place) for place in places)
            groups.setdefault(_key(row, _listed(a.get("per", ()))), []).append((before, value))
    found: list[tuple[Any, Any]] = []
    for group in groups.values():
        # of one place in the order they come as is wished
        group.sort(key=lambda pair: pair[1], reverse=falls)
        group.sort(key=lambda pair: pair[0])
        values = [value for _, value in group]
        found += pairwise(values)
    return found if groups else None


def _longest(rows: Sequence[Row], a: Mapping[str, Any]) -> float | None:
    pairs = _neighbours(rows, a, [a["column"]])
    if pairs is None:
        return None
    return max([(after[1] - before[1]).total_seconds() for before, after in pairs], default=0.0)


def _violations(rows: Sequence[Row], a: Mapping[str, Any]) -> int | None:
    pairs = _neighbours(rows, a, _listed(a["order_by"]))
    signs = (operator.gt, operator.ge) if a.get("direction") != "decreasing" else (operator.lt, operator.le)
    holds = signs[0] if a.get("strict") else signs[1]
    return None if pairs is None else sum(not holds(after, before) for before, after in pairs)


def _breaking(rows: Sequence[Row], a: Mapping[str, Any]) -> set[int]:
    """The rows, by identity, that are not as wished beside the last of all that come before them in their group."""
    falls, strict = a.get("direction") == "decreasing", a.get("strict", False)
    groups: dict[tuple[Any, ...], list[tuple[list[Any], Any, int]]] = {}
    for row in rows:
        *place, value = (column_value(row, name) for name in (*_listed(a["order_by"]), a["column"]))
        if not any(part is None or _is_nan(part) for part in (*place, value)):
            groups.setdefault(_key(row, _listed(a.get("per", ()))), []).append((place, value, id(row)))
    found = set()
    for group in groups.values():
        for place, value, row_id in group:
            same = sum(other[:2] == (place, value) for other in group)
            last = max((other[0] for other in group if other[0] < place), default=None)
            here = [v for p, v, _ in group if p == place and (v > value if falls else v < value)]
            there = here or [v for p, v, _ in group if p == last]
            before = (min(there) if falls else max(there)) if there else None
            wrong = before is not None and (before < value if falls else before > value)
            if wrong or (strict and (same > 1 or before == value)):
                found.add(row_id)
    return found


SHORTEST = {
    "minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(days=7),
    "month": timedelta(days=28),
}  # fmt: skip


def _period_of(moment: date, every: str) -> Any:
    day = moment.date() if isinstance(moment, datetime) else moment
    if every in ("minute", "hour"):
        assert isinstance(moment, datetime)
        return moment.replace(minute=0 if every == "hour" else moment.minute, second=0, microsecond=0)
    return {"day": day, "week": day.isocalendar()[:2], "month": (day.year, day.month)}[every]


def _without_rows(rows: Sequence[Row], a: Mapping[str, Any]) -> int | None:
    """Every step of a walk from one end to the other, none longer than a period may be short: none is stepped over."""
    values = [value for row in rows if (value := column_value(row, a["column"])) is not None]
    ends = [_moment(a[word], EPOCH) if word in a else None for word in ("from", "to")]
    if not values and None in ends:
        return None
    first: Any = ends[0] or min(values)
    last: Any = ends[1] - timedelta(microseconds=1) if isinstance(ends[1], datetime) else max(values)
    step = SHORTEST[a["every"]]
    if step.days:
        first, last = (end.date() if isinstance(end, datetime) else end for end in (first, last))
    periods = {_period_of(last, a["every"])} if first <= last else set()
    while first < last:
        periods.add(_period_of(first, a["every"]))
        first += min(step, last - first)
    return len(periods - {_period_of(value, a["every"]) for value in values})


def _names(arguments: Mapping[str, Any]) -> list[str]:
    given = arguments.get("columns", arguments.get("column"))
    return [given] if isinstance(given, str) else list(given or ())


def _key_metric(word: str, names: list[str], rows: Sequence[Row]) -> Any:
    keys = [key for key in (_key(row, names) for row in rows) if any(part is not None for part in key)]
    counts = Counter(keys)
    once = sum(count == 1 for count in counts.values())
    if word == "distinct_count":
        return len(counts)
    whole = len(counts) if word == "unique_value_ratio" else len(keys)
    part = len(counts) if word == "distinctness" else once
    return part / whole if whole else None


def _doubled(keys: list[tuple[Any, ...]]) -> int:
    counts = Counter(key for key in keys if any(part is not None for part in key))
    return sum(count for count in counts.values() if count > 1)


def _column_sum(rows: Sequence[Row], name: str) -> Any:
    values = [float(column_value(row, name)) for row in rows if column_value(row, name) is not None]
    return _total(values) if values else None


def _moment_of(values: list[Any], power: int) -> float:
    """Central moment."""
    mean = math.fsum(values) / len(values)
    return math.fsum((value - mean) ** power for value in values) / len(values)


def _shape(power: int, less: float) -> Callable[[list[Any]], float]:
    """Skewness and kurtosis; 0 of what does not vary."""

    def shape(values: list[Any]) -> float:
        numbers = [float(value) for value in values]
        if not all(map(math.isfinite, numbers)):
            return math.nan
        spread = _moment_of(numbers, 2)
        return _moment_of(numbers, power) / spread ** (power / 2) - less if spread else 0.0

    return shape


def between_ranks(values: list[float], q: float) -> float:
    """The quantile between two values in proportion."""
    ordered = sorted(values, key=lambda value: (_is_nan(value), value))
    place = (len(ordered) - 1) * q
    low, high = ordered[math.floor(place)], ordered[math.ceil(place)]
    return low if low == high else (math.ceil(place) - place) * low + (place - math.floor(place)) * high


def _total(values: list[Any]) -> Any:
    """Exact, but for doubles; opposite infinities give NaN."""
    if not isinstance(values[0], float):
        # Python keeps 28 digits unless told otherwise
        with localcontext(Context(prec=80)):
            return sum(values)
    finite = all(math.isfinite(value) for value in values)
    return math.fsum(values) if finite else sum(values)


def _deviation(values: list[Any]) -> float:
    numbers = [float(value) for value in values]
    if not all(map(math.isfinite, numbers)):
        return math.nan
    mean = math.fsum(numbers) / len(numbers)
    return math.sqrt(math.fsum((number - mean) ** 2 for number in numbers) / len(numbers))


def _largest_is_nan(values: list[Any]) -> tuple[list[Any], bool]:
    numbers = [value for value in values if not _is_nan(value)]
    return numbers, len(numbers) < len(values)


def _smallest(values: list[Any]) -> Any:
    numbers, _ = _largest_is_nan(values)
    return min(numbers) if numbers else math.nan


def _largest(values: list[Any]) -> Any:
    numbers, has_nan = _largest_is_nan(values)
    return math.nan if has_nan else max(numbers)


def quantile(values: list[float], q: float) -> float:
    """The smallest value whose cumulative share is at least q; NaN is larger than any number."""
    ordered = sorted(values, key=lambda value: (_is_nan(value), value))
    return ordered[max(math.ceil(Decimal(repr(q)) * len(ordered)), 1) - 1]


def _correlation(pairs: list[tuple[Any, Any]]) -> float | None:
    whole = [(float(x), float(y)) for x, y in pairs if x is not None and y is not None]
    if not whole:
        return None
    if not all(math.isfinite(number) for pair in whole for number in pair):
        return math.nan
    mean_x, mean_y = (math.fsum(side) / len(whole) for side in zip(*whole, strict=True))
    xy = math.fsum((x - mean_x) * (y - mean_y) for x, y in whole)
    xx, yy = math.fsum((x - mean_x) ** 2 for x, _ in whole), math.fsum((y - mean_y) ** 2 for _, y in whole)
    # of points in a line rounding alone would lead beyond 1
    return max(-1.0, min(1.0, xy / math.sqrt(xx * yy))) if xx and yy else math.nan


ORDERS: Mapping[str, Callable[[Sequence[Row], Mapping[str, Any]], Any]] = {
    "gaps": _longest,
    "coverage": _without_rows,
    "monotonic": _violations,
    "mutual_information": _information,
}
#: What the metric may be at most.
LIMITS: Mapping[str, Callable[[Mapping[str, Any]], float]] = {
    "gaps": lambda a: _lasting(a["at_most"]).total_seconds(),
    "coverage": lambda a: float(a.get("missing", 0)),
    "monotonic": lambda a: float(a.get("violations", 0)),
}
DISTRIBUTIONS: Mapping[str, Callable[[list[Any], Mapping[str, Any]], Any]] = {
    "entropy": _entropy,
    "top_value_ratio": _top_share,
    "most_common_value": _unlisted_mode,
    "distinct_values": _set_difference,
}
STATISTICS: Mapping[str, Callable[[list[Any]], Any]] = {
    "mean": lambda values: float(_total(values) / len(values)),
    "sum": _total,
    "stddev": _deviation,
    "variance": lambda values: _deviation(values) ** 2,
    "skewness": _shape(3, 0),
    "kurtosis": _shape(4, 3),
    "value_range": lambda values: float(_largest(values)) - float(_smallest(values)),
    "zeros_count": lambda values: sum(value == 0 for value in values),
    "freshness": max,
    "min": _smallest,
    "max": _largest,
    "min_length": lambda values: min(map(len, values)),
    "max_length": lambda values: max(map(len, values)),
}

#: Those about rows.
ROW_TYPES = frozenset({"unique", "key", "that", *PREDICATES, *SEVERAL, *COMPOSITIONS})
#: Those that hold rows against other data sets: told by plain sets in test_references.py.
ASKING_REFERENCES = frozenset({"exists_in", "row_count_match", "aggregate_match", "schema_match", "dataset_match"})
#: test_queries.py has those that ask the batch a query.
QUERIES = frozenset({"sql", "sql_rows"})
#: Every rule type that has an oracle here; `schema` is about columns and tested by hand.
TYPES = frozenset(
    {"malformed", *ROW_TYPES, *STATISTICS, "row_count", "completeness", "compliance", "quantile"}
    | {*DISTRIBUTIONS, *ORDERS}
    | {"median", "iqr", "ratio_of_sums", "duplicate_rows"}
    | {"correlation", "uniqueness", "distinctness", "unique_value_ratio", "distinct_count"}
)
