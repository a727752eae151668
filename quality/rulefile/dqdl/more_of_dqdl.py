"""From rules of a rule file to rules of DQDL that look beyond the columns of a batch: at references, at files, by a query, at
several metrics together. One function for each rule type, found in MORE."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, Union

from quality import sql
from quality.model import COMPARISONS, Bounds, Nulls, Scalar
from quality.query_text import renamed
from quality.rule_types import (
    composition,
    custom,
    distributions,
    files,
    names,
    order,
    patterns,
    relations,
    several,
    uniqueness,
    values,
)
from quality.rule_types.base import RuleType
from quality.rule_types.rules import Rule as OurRule
from quality.rulefile.dqdl.losses import Lost
from quality.rulefile.dqdl.tree import (
    Between,
    Call,
    Comparison,
    Composite,
    Condition,
    Expression,
    Membership,
    Number,
    Operation,
    Parameter,
    Quantity,
    Rule,
    Tag,
    Text,
)

Theirs = Union[Rule, Composite]
Conditions = Callable[[Bounds], "list[Condition]"]
_MOVED = re.compile(r"now(?:\s*([+-])\s*([0-9.]+)\s*(minute|hour|day)s?)?")


def _ratio(rule: OurRule) -> Condition:
    """The share of rows that must comply. Raises Lost."""
    if rule.tolerance.rows:
        raise Lost("a tolerance in rows has no threshold")
    if not rule.tolerance:
        return Comparison("=", Number("1"))
    return Comparison(">=", Number(f"{1 - Decimal(repr(rule.tolerance.ratio)):f}"))


def _whole(rule: OurRule) -> None:
    if rule.where:
        raise Lost("a rule of DQDL that compares with a reference has no filter")


def _exists_in(rule: OurRule, check: relations.ExistsIn, _held: Conditions) -> list[Theirs]:
    _whole(rule)
    if rule.nulls != Nulls.FAIL:
        raise Lost("NULL is in no reference for DQDL, and its rule has no filter that leaves it out")
    theirs = check.reference_columns or check.columns_
    other = f"{check.reference}.{theirs[0]}" if len(theirs) == 1 else f"{check.reference}.{{{','.join(theirs)}}}"
    return [Rule("ReferentialIntegrity", (Parameter(",".join(check.columns_)), Parameter(other)), _ratio(rule))]


def _of_reference(type: str) -> Callable[[OurRule, Any, Conditions], list[Theirs]]:
    def made(rule: OurRule, check: Any, held: Conditions) -> list[Theirs]:
        _whole(rule)
        if getattr(check, "types", "fail") != "fail":
            raise Lost("columns of two types are not the same for DQDL")
        return [Rule(type, (Parameter(check.reference),), one) for one in held(check.bounds)]

    return made


def _aggregate_match(rule: OurRule, check: relations.AggregateMatch, held: Conditions) -> list[Theirs]:
    _whole(rule)
    function = {"sum": "sum", "mean": "avg"}.get(check.function)
    if function is None:
        raise Lost(f"DQDL compares sums and averages with a reference, not '{check.function}'")
    other = f"{function}({check.reference}.{check.reference_column or check.column})"
    pair = Parameter(f"{function}({check.column})"), Parameter(other)
    return [Rule("AggregateMatch", pair, one) for one in held(check.bounds)]


def _dataset_match(rule: OurRule, check: relations.DatasetMatch, held: Conditions) -> list[Theirs]:
    _whole(rule)
    if check.of != "batch" or check.near:
        raise Lost("DQDL takes the share of the batch's rows ('of: batch'), and values that are the same, not near")
    sides = [
        ",".join(ours if ours == theirs else f"{ours}->{theirs}" for ours, theirs in pairs)
        for pairs in (check.key, check.columns_)
    ]
    given = tuple(Parameter(text) for text in (check.reference, *sides) if text)
    return [Rule("DatasetMatch", given, one) for one in held(check.bounds)]


def _sql(_rule: OurRule, check: custom.CustomSql, held: Conditions) -> list[Theirs]:
    if any(isinstance(value, str) for _, value in check.bounds.terms):
        raise Lost("a query is compared with a number")
    return [Rule("CustomSql", (Parameter(as_primary(check.query)),), one) for one in held(check.bounds)]


def _compliance(rule: OurRule, check: custom.ComplianceBounds, held: Conditions) -> list[Theirs]:
    where = f" where {rule.where}" if rule.where else ""
    query = f"select avg(int(coalesce(({check.that}), false))) from primary{where}"
    return [_query(query, one) for one in held(check.bounds)]


def as_primary(query: str) -> str:
    """A query as DQDL calls the batch; references have their own names."""
    return renamed(query, lambda name: "primary" if name.lower() in sql.RELATIONS else name)


# files


def _file(rule: OurRule, check: files.FileRule, type: str, found: list[Condition | None], *paths: str) -> list[Theirs]:
    tags = [Tag("threshold", _ratio(rule))] if rule.tolerance else []
    tags += [Tag("uriRegex", Comparison("=", Text(check.matching)))] if check.matching else []
    tags += [Tag("recentFiles", Comparison("=", Number(str(check.newest))))] if check.newest else []
    if check.newest_first:
        tags.append(Tag("filterOrder", Membership((Text("recentFiles"), Text("uriRegex")))))
    algorithm, by_name = getattr(check, "algorithm", "SHA-256"), getattr(check, "names", False)
    tags += [Tag("hashAlgorithm", Comparison("=", Text(algorithm)))] if algorithm != "SHA-256" else []
    tags += [Tag("matchFileName", Comparison("=", Text("true")))] if by_name else []
    zone = getattr(check, "timezone", "")
    tags += [Tag("timeZone", Comparison("=", Text(zone)))] if zone else []
    if rule.tolerance and len(found) > 1:
        raise Lost("its tolerance is about several conditions together")
    given = tuple(Parameter(path) for path in (check.path, *paths) if path)
    return [Rule(type, given, one, tags=tuple(tags)) for one in found]


def _each_file(type: str, read: Callable[[Any], Expression]) -> Callable[[OurRule, Any, Conditions], list[Theirs]]:
    def made(rule: OurRule, check: Any, _held: Conditions) -> list[Theirs]:
        return _file(rule, check, type, [*_of_value(check, read)])

    return made


def _of_value(check: Any, read: Callable[[Any], Expression]) -> Iterator[Condition]:
    terms = dict(check.bounds.terms)
    if {"above", "below"} <= terms.keys():
        yield Between(read(terms.pop("above")), read(terms.pop("below")))
    yield from (Comparison(COMPARISONS[word], read(value)) for word, value in terms.items())
    if check.outside:
        low, high = map(read, check.outside)
        yield Between(low, high, negated=True)
    for members, negated in ((check.one_of, False), (check.none_of, True)):
        if members:
            yield Membership(tuple(map(read, members)), negated)


def _size(value: Any) -> Expression:
    return Quantity(str(value), "B")


def _moment(value: Any) -> Expression:
    found = _MOVED.fullmatch(str(value).strip())
    if not found:
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{1,2}:[0-9]{2}", str(value)):
            return Text(str(value))
        raise Lost(f"DQDL has dates and times of day, not '{value}'")
    now = Call("now", ())
    return Operation(found[1], now, Quantity(found[2], f"{found[3]}s")) if found[1] else now


def _file_freshness(rule: OurRule, check: files.FileFreshness, held: Conditions) -> list[Theirs]:
    return _each_file("FileFreshness", _moment)(rule, check, held)


def _file_match(rule: OurRule, check: files.FileMatch, _held: Conditions) -> list[Theirs]:
    hashes = Membership(tuple(map(Text, check.hashes))) if check.hashes else None
    return _file(rule, check, "FileMatch", [hashes], check.with_)


def _file_uniqueness(rule: OurRule, check: files.FileUniqueness, held: Conditions) -> list[Theirs]:
    return _file(rule, check, "FileUniqueness", [*held(check.bounds)])


# queries


def _query(query: str, condition: Condition) -> Rule:
    return Rule("CustomSql", (Parameter(query),), condition)


def _zero(query: str) -> list[Theirs]:
    return [_query(query, Comparison("=", Number("0")))]


def _rows(rule: OurRule, *tests: str) -> str:
    return f"from primary where {sql.conjunction([rule.where, *tests])}"


def _texts(values: tuple[Scalar, ...]) -> str:
    return ", ".join(sql.literal(value) for value in values)


def _top_value_ratio(rule: OurRule, check: distributions.TopValueRatioBounds, held: Conditions) -> list[Theirs]:
    column = sql.quote(check.column)
    counts = f"select count(*) as n {_rows(rule, f'{column} is not null')} group by {column}"
    return [_query(f"select max(n) / sum(n) from ({counts})", one) for one in held(check.bounds)]


def _most_common_value(rule: OurRule, check: distributions.MostCommonValue, _held: Conditions) -> list[Theirs]:
    column = sql.quote(check.column)
    ranked = f"select {column} as v, rank() over (order by count(*) desc) as place {_rows(rule, f'{column} is not null')} group by {column}"
    return _zero(f"select count(*) from ({ranked}) where place = 1 and v not in ({_texts(check.in_)})")


def _distinct_values(rule: OurRule, check: distributions.DistinctValues, _held: Conditions) -> list[Theirs]:
    column, made = sql.quote(check.column), list[Theirs]()
    allowed, wanted = check.in_ or check.equals, check.contains or check.equals
    if allowed:
        made += _zero(f"select count(*) {_rows(rule, f'{column} not in ({_texts(allowed)})')}")
    if wanted:
        query = f"select count(distinct {column}) {_rows(rule, f'{column} in ({_texts(wanted)})')}"
        made.append(_query(query, Comparison("=", Number(str(len(wanted))))))
    return made


def _distinctness(rule: OurRule, check: uniqueness.DistinctnessBounds, held: Conditions) -> list[Theirs]:
    if len(check.columns()) > 1:
        raise Lost("DQDL counts distinct keys of one column")
    if check.approximate:
        raise Lost("DQDL counts distinct values exactly")
    column = sql.quote(check.columns()[0])
    where = f" where {rule.where}" if rule.where else ""
    return [
        _query(f"select count(distinct {column}) / count({column}) from primary{where}", one)
        for one in held(check.bounds)
    ]


def _monotonic(rule: OurRule, check: order.Monotonic, _held: Conditions) -> list[Theirs]:
    value, down = sql.quote(check.column), check.direction == "decreasing"
    places = [sql.quote(name) for name in check.order_by]
    by = f"partition by {', '.join(map(sql.quote, check.per))} " if check.per else ""
    window = f"({by}order by {', '.join(places)}, {value}{' desc' if down else ''})"
    there = [f"{name} is not null" for name in dict.fromkeys([value, *places])]
    rows = f"select {value} as v, lag({value}) over {window} as p {_rows(rule, *there)}"
    sign = (">" if down else "<") + ("=" if check.strict else "")
    return [_query(f"select count(*) from ({rows}) where v {sign} p", Comparison("<=", Number(str(check.violations))))]


def _columns_absent(_rule: OurRule, check: names.ColumnsAbsent, _held: Conditions) -> list[Theirs]:
    listed = "|".join(map(re.escape, check.columns_))
    return [Rule("ColumnNamesMatchPattern", (Parameter(f"(?i)(?!(?:{listed})$).*"),))]


MORE: Mapping[type[RuleType], Callable[[OurRule, Any, Conditions], list[Theirs]]] = {
    relations.ExistsIn: _exists_in,
    relations.RowCountMatch: _of_reference("RowCountMatch"),
    relations.SchemaMatch: _of_reference("SchemaMatch"),
    relations.AggregateMatch: _aggregate_match,
    relations.DatasetMatch: _dataset_match,
    custom.CustomSql: _sql,
    custom.ComplianceBounds: _compliance,
    files.FileFreshness: _file_freshness,
    files.FileSize: _each_file("FileSize", _size),
    files.FileMatch: _file_match,
    files.FileUniqueness: _file_uniqueness,
    distributions.TopValueRatioBounds: _top_value_ratio,
    distributions.MostCommonValue: _most_common_value,
    distributions.DistinctValues: _distinct_values,
    uniqueness.DistinctnessBounds: _distinctness,
    order.Monotonic: _monotonic,
    names.ColumnsAbsent: _columns_absent,
}
#: Why a rule type has no form in DQDL.
WHY_NOT: Mapping[type[RuleType], str] = {
    composition.NoneOfBatch: "a composite of DQDL denies nothing",
    files.FileCount: "DQDL does not count files",
    order.Coverage: "DQDL has no periods that must have rows",
    order.Gaps: "DQDL has no distance between values that follow each other",
    distributions.MutualInformationBounds: "DQDL has no mutual information",
    distributions.DriftBounds: "DQDL compares metrics with earlier batches, not distributions",
}


_NUMBERS = {several.ExactlyOneOf: "= 1", several.AtLeastOneOf: ">= 1", several.AllOrNoneOf: "in (0, {0})"}


def plainer(check: RuleType) -> RuleType | None:
    """A rule that demands the same, of a type that DQDL has something like; None where there is none."""
    if isinstance(check, patterns.MatchesAny):
        return values.Matches(check.column, "|".join(f"(?:{pattern})" for pattern in check.patterns_))
    if isinstance(check, (patterns.Like, patterns.NotLike)):
        negated = "not " if isinstance(check, patterns.NotLike) else ""
        return custom.That(f"{sql.quote(check.column)} {negated}like {sql.literal(check.pattern)}")
    number = next((number for kind, number in _NUMBERS.items() if isinstance(check, kind)), "")
    if not number:
        return None
    filled = " + ".join(f"int({sql.quote(name)} is not null)" for name in check.columns())
    return custom.That(f"{filled} {number.format(len(check.columns()))}")


def of_composition(
    rule: OurRule, check: composition.BatchComposition, export: Callable[[OurRule], list[Theirs]]
) -> Theirs:
    """A composition of metrics as a composite; `export` makes the rules of a part. Raises Lost."""
    if isinstance(check, composition.NoneOfBatch):
        raise Lost(WHY_NOT[composition.NoneOfBatch])
    parts: list[Theirs] = []
    for part in check.parts:
        one = replace(rule, check=part)
        made = [of_composition(one, part, export)] if isinstance(part, composition.BatchComposition) else export(one)
        parts.append(made[0] if len(made) == 1 else Composite("and", tuple(made)))
    return (
        Composite("and" if isinstance(check, composition.AllOfBatch) else "or", tuple(parts))
        if len(parts) > 1
        else parts[0]
    )
