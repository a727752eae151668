"""From rules of DQDL to entries of a rule file: one function for each rule type, found in CONVERTERS.

The semantics are those that AWS documents: `between` leaves its ends out, `not between` takes them in; NULL fails
ColumnValues but for `!=` and `not in`, and is a text of length 0 for ColumnLength.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from quality import query_text, sql
from quality.model import Bounds
from quality.rule_types import REGISTRY
from quality.rule_types.base import MetricRule
from quality.rulefile.dqdl.constants import (
    NOW,
    Value,
    bounds,
    comparison,
    interval,
    literal,
    looks_back,
    number,
    operands,
    scalar,
    tolerance,
    uses_now,
    whole_literal,
)
from quality.rulefile.dqdl.entries import Converter, Entry, Joined, Made, condition_of, default_id, names_of
from quality.rulefile.dqdl.files import clock, file_freshness, file_match, file_size, file_uniqueness
from quality.rulefile.dqdl.kinds import is_time, kind
from quality.rulefile.dqdl.losses import Lost
from quality.rulefile.dqdl.past import DIFFERS
from quality.rulefile.dqdl.relations import (
    aggregate_match,
    bounded,
    dataset_match,
    of_query,
    of_reference,
    referential_integrity,
    share,
)
from quality.rulefile.dqdl.shares import of_share
from quality.rulefile.dqdl.tree import (
    Between,
    Comparison,
    Condition,
    Constant,
    Expression,
    Matches,
    Membership,
    Quantity,
    Rule,
    Tag,
    Text,
)
from quality.rulefile.dqdl.yaml_text import Template, untemplated

__all__ = ["CONVERTERS", "DATA_TYPES", "MISSING", "Entry", "convert", "slug"]

#: The whole of a value that is white space; NULL for NULL.
_WHITE = r"{} rlike '\\A\\s+\\z'"
#: What stands for the data types of DQDL; DECIMAL(p,s) is written as it is here too.
DATA_TYPES = {
    "boolean": "boolean", "date": "date", "timestamp": "timestamp", "integer": "integer", "double": "double",
    "float": "float", "long": "long", "string": "string",
}  # fmt: skip


def convert(rule: Rule) -> list[Made]:
    """The entries that demand together what the rule does. Raises Lost."""
    if rule.type not in CONVERTERS:
        raise Lost(MISSING.get(rule.type, "it has no form yet"))
    threshold = next((tag for tag in rule.tags if tag.name == "threshold"), None)
    plain = replace(rule, tags=tuple(tag for tag in rule.tags if tag is not threshold))
    if threshold is not None and looks_back(threshold.condition):
        where = str(_beside(plain).get("where", ""))
        return [one for made in CONVERTERS[rule.type](plain) for one in of_share(made, where, threshold.condition)]
    if threshold is not None and not _is_least(threshold.condition):
        return [_of_share(made, threshold.condition) for made in convert(plain)]
    beside = _beside(rule)
    return [_with(made, beside) for made in CONVERTERS[rule.type](rule)]


def _is_least(condition: Condition) -> bool:
    """Whether a threshold says how many rows must comply at least, which is a tolerance."""
    if isinstance(condition, Comparison):
        return condition.sign in (">", ">=") or (condition.sign == "=" and number(condition.operand) == 1)
    return isinstance(condition, Between) and not condition.negated and number(condition.high) > 1


def _of_share(made: Made, condition: Condition) -> Made:
    """The demand that the share of rows that comply is within other bounds: a verdict on what it is at least. Raises Lost."""
    if isinstance(made, Joined):
        raise Lost("a threshold is about the rows of one rule")

    def at_least(least: Condition) -> Entry:
        allowed = tolerance(Tag("threshold", least))
        return replace(made, beside={**made.beside, **({"tolerance": allowed} if allowed else {})})

    return share(at_least, condition, made.about or default_id(made))


def _with(made: Made, beside: Mapping[str, Any]) -> Made:
    if isinstance(made, Joined):
        return replace(made, parts=tuple(_with(part, beside) for part in made.parts))
    return replace(made, beside={**made.beside, **beside})


def _beside(rule: Rule) -> dict[str, Any]:
    """Filter and threshold, which are alike for all rule types."""
    found: dict[str, Any] = {}
    if isinstance(rule.where, Text):
        wrong = sql.problems(rule.where.value)
        if wrong:
            raise Lost(f"its filter cannot be used: {'; '.join(wrong)}")
        found["where"] = rule.where.value
    for tag in rule.tags:
        if tag.name == "threshold":
            found["tolerance"] = tolerance(tag)
        elif tag.name not in ("ignoreCase", "format") and not rule.type.startswith("File"):
            raise Lost(f"the tag '{tag.name}' has no form yet")
    return {word: value for word, value in found.items() if value != ""}


def _metric(type: str, target: str) -> Converter:
    """A rule about a number; `target` is the argument for what is measured: none, column or columns."""

    def convert(rule: Rule) -> list[Made]:
        names = names_of(rule)
        if type == "correlation" and len(names) < 2:
            raise Lost("it names one column twice")
        about = {"column": names[0] if names else "", "columns": names}.get(target)
        named = {} if about is None else {target: about}
        past = looks_back(condition_of(rule))
        if past and not (issubclass(REGISTRY[type], MetricRule) or type == "column_count"):
            raise Lost("only bounds of a metric can come from earlier batches")
        return bounded(type, named, condition_of(rule), DIFFERS if past else "")

    return convert


def _is_complete(rule: Rule) -> list[Made]:
    return [Entry("required", {"column": names_of(rule)[0]})]


def _is_unique(rule: Rule) -> list[Made]:
    names = names_of(rule)
    differs = "a key with a NULL part is no duplicate here; DQDL takes NULL for a value there" if len(names) > 1 else ""
    return [Entry("unique", {"columns": names}, differs=differs)]


def _is_primary_key(rule: Rule) -> list[Made]:
    return [Entry("key", {"columns": names_of(rule)})]


def _custom_sql(rule: Rule) -> list[Made]:
    query = rule.parameters[0].value
    if rule.condition is None:
        return [_rows_of_query(query)]
    return of_query(query, rule.condition)


def _rows_of_query(query: str) -> Entry:
    """Rows that a query returns pass: those of which its condition is true, else those that have what it selects."""
    test = query_text.condition(query)
    if test is not None:
        return _that(test, "", {"nulls": "fail"})
    key = query_text.selected(query)
    differs = "rows that share what is selected share a verdict, where AWS refuses them" if key else ""
    return Entry(
        "sql_rows",
        {"query": query, **({"key": list(key)} if key else {}), "returns": "passing"},
        differs=differs,
    )


def _column_exists(rule: Rule) -> list[Made]:
    return [Entry("columns_exist", {"columns": names_of(rule)}, about=f"{names_of(rule)[0]}.exists")]


def _column_names(rule: Rule) -> list[Made]:
    return [Entry("column_names", {"pattern": names_of(rule)[0]})]


def _duplicate_row_count(rule: Rule) -> list[Made]:
    named = {"columns": names_of(rule)} if names_of(rule) else {}
    condition = condition_of(rule)
    return bounded("duplicate_rows", named, condition, DIFFERS if looks_back(condition) else "")


def _column_data_type(rule: Rule) -> list[Made]:
    condition = condition_of(rule)
    (name,) = names_of(rule)
    values = [value.value.lower() for value in operands(condition) if isinstance(value, Text)]
    if not values or len(values) < len(operands(condition)):
        raise Lost("it names no type")
    pattern = next((_text(tag.condition) for tag in rule.tags if tag.name == "format"), "")
    parts = [_of_type(name, word, pattern) for word in values]
    negated = getattr(condition, "negated", False) or getattr(condition, "sign", "=") == "!="
    if negated:
        return [Entry("not", [{part.type: part.body} for part in parts], about=f"{name}.not_type")]
    if len(parts) > 1:
        return [Entry("any", [{part.type: part.body} for part in parts], {"nulls": "fail"}, f"{name}.types")]
    return parts  # type: ignore[return-value]


def _of_type(name: str, word: str, pattern: str) -> Entry:
    """A value that can be taken for one of a type; dates in a pattern where one is given."""
    if not pattern:
        return Entry("type", {"column": name, "is": DATA_TYPES.get(word, word)}, {"nulls": "fail"})
    if word not in ("date", "timestamp"):
        raise Lost("a format goes with dates and timestamps")
    return Entry("date_format", {"column": name, "pattern": pattern}, {"nulls": "fail"})


def _text(condition: Condition) -> str:
    value = condition.operand if isinstance(condition, Comparison) else None
    return value.value if isinstance(value, Text) else ""


def _column_length(rule: Rule) -> list[Made]:
    condition = condition_of(rule)
    (name,) = names_of(rule)
    simple = isinstance(condition, Comparison) or (isinstance(condition, Between) and not condition.negated)
    if simple:
        (words,) = bounds(condition)
        if all(isinstance(value, int) for value in words.values()):
            zero = Bounds(tuple(words.items())).accepts(0)
            return [Entry("length", {"column": name, **words}, {} if zero else {"nulls": "fail"})]
    length = f"char_length(coalesce({sql.quote(name)}, ''))"
    return [_that(comparison(length, condition, whole_literal), f"{name}.length")]


def _data_freshness(rule: Rule) -> list[Made]:
    """The age of a value, against the time of the run: the value against a moment, the other way round."""
    condition = condition_of(rule)
    column = untemplated(sql.quote(names_of(rule)[0]))
    since = [f"{NOW} - {interval(value)}" for value in operands(condition) if isinstance(value, Quantity)]
    if isinstance(condition, Comparison):
        turned = {">": "<", ">=": "<=", "<": ">", "<=": ">=", "=": "=", "!=": "<>"}
        test = f"{column} {turned[condition.sign]} {since[0]}"
    elif isinstance(condition, Between) and condition.negated:
        test = f"{column} >= {since[0]} or {column} <= {since[1]}"
    elif isinstance(condition, Between):
        test = f"{column} < {since[0]} and {column} > {since[1]}"
    else:
        negated = "not " if isinstance(condition, Membership) and condition.negated else ""
        test = f"{column} {negated}in ({', '.join(since)})"
    return [_that(Template(test), f"{names_of(rule)[0]}.freshness", {"nulls": "fail"})]


def _that(test: str, about: str, beside: Mapping[str, Any] | None = None) -> Entry:
    return Entry("that", test, beside or {}, about)


def _column_values(rule: Rule) -> list[Made]:
    condition = condition_of(rule)
    (name,) = names_of(rule)
    folded = any(tag.name == "ignoreCase" and _is_true(tag.condition) for tag in rule.tags)
    if isinstance(condition, Matches):
        return [_pattern(name, condition, folded)]
    if not isinstance(condition, Membership) and any(kind(value) == "time" for value in operands(condition)):
        return [_by_the_clock(name, condition)]
    if uses_now(condition):
        test = comparison(untemplated(sql.quote(name)), condition)
        negated = getattr(condition, "sign", "") == "!=" or (isinstance(condition, Membership) and condition.negated)
        return [_that(Template(test), f"{name}.values", {} if negated else {"nulls": "fail"})]
    if isinstance(condition, Between):
        return [_range(name, condition)]
    if isinstance(condition, Comparison) and condition.sign not in ("=", "!="):
        value = scalar(condition.operand)
        return [Entry(WORDS_OF_ROWS[condition.sign], {"column": name, "value": value}, {"nulls": "fail"})]
    return [_set(name, condition, folded)]


def _by_the_clock(name: str, condition: Condition) -> Entry:
    """The time of day of a moment, as text: digits compare as the time does. Raises Lost."""

    def literal_of(value: Expression) -> str:
        if not isinstance(value, Text) or not is_time(value.value):
            raise Lost("a time of day is compared with times of day only")
        return sql.literal(f"{clock(value.value)}:00.000")

    moment = f"date_format(try_cast({sql.quote(name)} as timestamp), 'HH:mm:ss.SSS')"
    entry = _that(comparison(moment, condition, literal_of), f"{name}.values", {"nulls": "fail"})
    return replace(entry, differs="times of day are those in UTC")


WORDS_OF_ROWS = {">": "above", ">=": "at_least", "<": "below", "<=": "at_most"}


def _is_true(condition: Condition) -> bool:
    value = condition.operand if isinstance(condition, Comparison) else None
    return getattr(value, "value", getattr(value, "text", "")) == "true"


def _pattern(name: str, condition: Matches, folded: bool) -> Entry:
    if not isinstance(condition.pattern, Text):
        raise Lost("its variable has no value")
    pattern = ("(?i)" if folded else "") + condition.pattern.value
    if not condition.negated:
        return Entry("matches", {"column": name, "pattern": pattern}, {"nulls": "fail"})
    whole = sql.literal(f"\\A(?:{pattern})\\z")
    return _that(f"not {sql.quote(name)} rlike {whole}", f"{name}.values", {"nulls": "fail"})


def _range(name: str, condition: Between) -> Entry:
    low, high = scalar(condition.low), scalar(condition.high)
    if condition.negated:
        return _that(comparison(sql.quote(name), condition), f"{name}.values", {"nulls": "fail"})
    if isinstance(low, str) == isinstance(high, str) and low >= high:  # type: ignore[operator]
        raise Lost(f"no value lies between {low} and {high}: it can never hold")
    return Entry("values", {"column": name, "above": low, "below": high}, {"nulls": "fail"})


def _set(name: str, condition: Comparison | Membership, folded: bool) -> Entry:
    """`=` and `in`, and their opposites. NULL passes the opposites unless it is in the list."""
    negated = condition.negated if isinstance(condition, Membership) else condition.sign == "!="
    values = list(dict.fromkeys(operands(condition)))
    constants = {value.name for value in values if isinstance(value, Constant)}
    nulls = {"nulls": "fail"} if negated == ("NULL" in constants) else {}
    members = [value for value in values if not (isinstance(value, Constant) and value.name != "EMPTY")]
    if not members and "WHITESPACES_ONLY" not in constants:
        return Entry("required", {"column": name}) if negated else _that(f"{sql.quote(name)} is null", f"{name}.values")
    has_texts = any(isinstance(value, Text) for value in members)
    if "WHITESPACES_ONLY" in constants or (folded and has_texts):
        return _that(_set_sql(name, members, "WHITESPACES_ONLY" in constants, folded, negated), f"{name}.values", nulls)
    plain: list[Value] = [scalar(value) for value in members]
    if isinstance(condition, Comparison) or len(plain) == 1:
        return Entry("not_equals" if negated else "equals", {"column": name, "value": plain[0]}, nulls)
    return Entry("not_in" if negated else "in", {"column": name, "values": plain}, nulls)


def _set_sql(name: str, members: list[Any], white: bool, folded: bool, negated: bool) -> str:
    column = sql.quote(name)
    left, literals = column, [literal(value) for value in members]
    if folded:
        left, literals = f"lower({column})", [f"lower({value})" for value in literals]
    parts = [f"{left} in ({', '.join(literals)})"] if literals else []
    parts += [_WHITE.format(column)] if white else []
    test = " or ".join(parts)
    return f"not ({test})" if negated else test


CONVERTERS: dict[str, Converter] = {
    "ColumnCorrelation": _metric("correlation", "columns"),
    "ColumnCount": _metric("column_count", ""),
    "ColumnDataType": _column_data_type,
    "ColumnExists": _column_exists,
    "ColumnNamesMatchPattern": _column_names,
    "ColumnLength": _column_length,
    "ColumnValues": _column_values,
    "Completeness": _metric("completeness", "column"),
    "CustomSql": _custom_sql,
    "DataFreshness": _data_freshness,
    "DistinctValuesCount": _metric("distinct_count", "columns"),
    "DuplicateRowCount": _duplicate_row_count,
    "FileFreshness": file_freshness,
    "FileMatch": file_match,
    "FileSize": file_size,
    "FileUniqueness": file_uniqueness,
    "InterquartileRange": _metric("iqr", "column"),
    "IsComplete": _is_complete,
    "IsPrimaryKey": _is_primary_key,
    "IsUnique": _is_unique,
    "Kurtosis": _metric("kurtosis", "column"),
    "Mean": _metric("mean", "column"),
    "Range": _metric("value_range", "column"),
    "AggregateMatch": aggregate_match,
    "DatasetMatch": dataset_match,
    "ReferentialIntegrity": referential_integrity,
    "RowCountMatch": of_reference("row_count_match"),
    "SchemaMatch": of_reference("schema_match"),
    "RowCount": _metric("row_count", ""),
    "Skewness": _metric("skewness", "column"),
    "StandardDeviation": _metric("stddev", "column"),
    "Entropy": _metric("entropy", "column"),
    "Sum": _metric("sum", "column"),
    "Uniqueness": _metric("uniqueness", "columns"),
    "UniqueValueRatio": _metric("unique_value_ratio", "columns"),
    "Variance": _metric("variance", "column"),
    "ZerosCount": _metric("zeros_count", "column"),
}

#: Why a rule type has no converter.
MISSING: dict[str, str] = {
    "DetectAnomalies": "anomalies are looked for by the section 'anomalies:', in no string and in no composite by row",
}  # fmt: skip


def slug(text: str) -> str:
    """A text as the id of a data set."""
    return re.sub(r"[^a-z0-9_.-]+", "-", text.lower()).strip("-.") or "data"
