"""From rules of a rule file to rules of DQDL: one function for each rule type, found in EXPORTERS.

NULL decides the form: it passes our rules unless they say otherwise and fails most of DQDL's, so that a filter, or NULL
in a list, keeps it out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, Union

from quality import sql
from quality.model import COMPARISONS, Bounds, Nulls, Scalar
from quality.rule_types import (
    completeness,
    composition,
    custom,
    dates,
    distributions,
    evolution,
    names,
    paths,
    schema,
    statistics,
    texts,
    uniqueness,
    values,
)
from quality.rule_types.base import MetricRule, RowRule, RuleType
from quality.rule_types.rules import Rule as OurRule
from quality.rule_types.rules import RuleSet
from quality.rulefile.dqdl import past
from quality.rulefile.dqdl.kinds import is_date
from quality.rulefile.dqdl.losses import Lost
from quality.rulefile.dqdl.more_of_dqdl import MORE, WHY_NOT, as_primary, of_composition, plainer
from quality.rulefile.dqdl.predicates import test_of
from quality.rulefile.dqdl.tree import (
    Between,
    Comparison,
    Composite,
    Condition,
    Constant,
    Expression,
    Matches,
    Membership,
    Number,
    Parameter,
    Rule,
    Tag,
    Text,
)

Theirs = Union[Rule, Composite]
NULL = Constant("NULL")

#: Our types, as Spark writes them, with what ColumnDataType calls them.
_DATA_TYPES = {
    "int": "Integer", "bigint": "Long", "double": "Double", "float": "Float", "boolean": "Boolean", "date": "Date",
    "timestamp": "Timestamp", "string": "String",
}  # fmt: skip
_METRICS: dict[type[MetricRule], str] = {
    completeness.CompletenessBounds: "Completeness",
    distributions.EntropyBounds: "Entropy",
    statistics.Correlation: "ColumnCorrelation",
    statistics.Mean: "Mean",
    statistics.RowCount: "RowCount",
    statistics.StandardDeviation: "StandardDeviation",
    statistics.Sum: "Sum",
    statistics.InterquartileRange: "InterquartileRange",
    statistics.Kurtosis: "Kurtosis",
    statistics.Skewness: "Skewness",
    statistics.ValueRange: "Range",
    statistics.Variance: "Variance",
    statistics.ZerosCount: "ZerosCount",
    uniqueness.DuplicateRows: "DuplicateRowCount",
    uniqueness.UniquenessBounds: "Uniqueness",
}
#: Of several columns DQDL counts only by Uniqueness.
_METRICS_OF_ONE: dict[type[MetricRule], str] = {
    uniqueness.DistinctCount: "DistinctValuesCount",
    uniqueness.UniqueValueRatioBounds: "UniqueValueRatio",
}


def export(rule: OurRule, rules: RuleSet) -> list[Theirs]:
    """The rules of DQDL that demand together what ours, one of `rules`, does. Raises Lost."""
    _refuse_unknown(rule)
    templates = list(templates_of(rule.canonical))
    if any("run_time" in template for template in templates):
        raise Lost("it depends on the time of the run")
    if templates and any("{{" in text for text in _texts(rule)):
        raise Lost(f"it depends on the batch, and DQDL has no templates: {templates[0]}")
    if isinstance(rule.check, schema.Schema):
        return _schema(rule, rule.check, rules)
    if isinstance(rule.check, composition.BatchComposition):
        return [of_composition(rule, rule.check, lambda part: export(part, rules))]
    if types := _types(rule.check):
        return _of_types(rule, *types)
    plain = plainer(rule.check)
    if plain is not None:
        return export(replace(rule, check=plain), rules)
    for kind, more in MORE.items():
        if isinstance(rule.check, kind):
            return more(rule, rule.check, conditions)
    why = next((why for kind, why in WHY_NOT.items() if isinstance(rule.check, kind)), "")
    if why:
        raise Lost(why)
    for kind, exporter in EXPORTERS.items():
        if isinstance(rule.check, kind):
            return exporter(rule, rule.check)
    if isinstance(rule.check, RowRule):
        return _of_predicate(rule, rules)
    raise Lost(f"DQDL has nothing like '{rule.check.type}'")


def _of_predicate(rule: OurRule, rules: RuleSet) -> list[Theirs]:
    """A rule about rows as a query for those that comply; their share is that of all rows, so that a filter leaves rows in."""
    if rule.tolerance and (rule.where or rule.nulls == Nulls.SKIP):
        raise Lost("the rows in its scope are not all rows, of which DQDL takes the share")
    return _rows(rule, test_of(rule, rules))


def _refuse_unknown(rule: OurRule) -> None:
    if rule.over:
        raise Lost("it is over columns that the batch tells, and DQDL names them")
    if rule.group_by:
        raise Lost(f"it is judged in each group of {', '.join(rule.group_by)}, and DQDL has no groups")
    for name in rule.check.columns():
        if {*paths.split(name)} & {*paths.ELEMENTS}:
            raise Lost(f"'{name}' is about the elements of a column, and DQDL has rules about whole columns")


def templates_of(canonical: Any) -> Iterator[str]:
    """The templates in a rule whose values differ between runs."""
    if isinstance(canonical, Mapping):
        if canonical.keys() == {"template", "renders"}:
            yield str(canonical["template"])
        else:
            yield from (found for value in canonical.values() for found in templates_of(value))
    elif isinstance(canonical, (list, tuple)):
        yield from (found for value in canonical for found in templates_of(value))


def _texts(rule: OurRule) -> list[str]:
    found: list[str] = [rule.where]
    waiting: list[Any] = [rule.check]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            found.append(value)
        elif isinstance(value, (list, tuple)):
            waiting += value
        elif isinstance(value, (RuleType, Bounds)):
            waiting += vars(value).values()
    return found


def _made(
    rule: OurRule,
    type: str,
    names: tuple[str, ...] = (),
    condition: Condition | None = None,
    *,
    without_null: bool = False,
) -> Rule:
    """A rule about columns, with the filter of ours; `without_null` leaves out rows in which a column is NULL."""
    filters = [rule.where] if rule.where else []
    filters += [f"{sql.quote(name)} is not null" for name in names] if without_null else []
    where = Text(filters[0] if len(filters) == 1 else sql.conjunction(filters)) if filters else None
    return Rule(type, tuple(Parameter(name) for name in names), condition, where)


def _operand(value: Scalar) -> Expression:
    """A value as DQDL writes it. Raises Lost."""
    if isinstance(value, bool):
        return Text("true" if value else "false")
    if isinstance(value, str):
        return Text(value) if value else Constant("EMPTY")
    exact = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if not exact.is_finite():
        raise Lost(f"DQDL has no number {value}")
    return Number(f"{exact:f}")


def _ordered(value: Scalar) -> Expression:
    """A value that stands behind `<` or `>`. Raises Lost."""
    operand = _operand(value)
    if isinstance(operand, Number) or (isinstance(operand, Text) and is_date(operand.value)):
        return operand
    raise Lost(f"DQDL compares numbers and dates (yyyy-MM-dd), not '{value}'")


def conditions(bounds: Bounds) -> list[Condition]:
    """Bounds as conditions that must all hold. Both ends of DQDL's `between` are left out. Raises Lost."""
    terms = dict(bounds.terms)
    found: list[Condition] = []
    if {"above", "below"} <= terms.keys():
        found.append(Between(_ordered(terms.pop("above")), _ordered(terms.pop("below"))))
    for word, value in terms.items():
        is_order = word not in ("equals", "not_equals")
        found.append(Comparison(COMPARISONS[word], _ordered(value) if is_order else _operand(value)))
    return [*found, *past.conditions(bounds)]


def _metric(rule: OurRule, check: MetricRule) -> list[Theirs]:
    names = check.columns()
    type = _METRICS.get(check.__class__) or (_METRICS_OF_ONE.get(check.__class__) if len(names) == 1 else "")
    if getattr(check, "approximate", False):
        raise Lost("DQDL counts distinct values exactly")
    if type:
        return [_made(rule, type, names, condition) for condition in conditions(check.bounds)]
    return [_query(rule, check, condition) for condition in conditions(check.bounds)]


def _query(rule: OurRule, check: MetricRule, condition: Condition) -> Rule:
    """A metric that DQDL has no rule type for, as a query for one number. Raises Lost."""
    analyzer = check.analyzer("")
    if analyzer.source != "scan" or check.questions():
        raise Lost(f"DQDL has nothing like '{check.type}'")
    if any(isinstance(value, str) for _, value in check.bounds.terms):
        raise Lost("a query is compared with a number, not with a date")
    measure = analyzer.sql(*(sql.quote(name) for name in analyzer.columns))
    where = f" where {rule.where}" if rule.where else ""
    return Rule("CustomSql", (Parameter(f"select {measure} from primary{where}"),), condition)


def _required(rule: OurRule, check: completeness.Required) -> list[Theirs]:
    if not rule.tolerance:
        return [_made(rule, "IsComplete", (check.column,))]
    return [_made(rule, "Completeness", (check.column,), Comparison(">=", _share(rule)))]


def _share(rule: OurRule) -> Number:
    """The share of rows that must comply. Raises Lost."""
    if rule.tolerance.rows:
        raise Lost("a tolerance in rows has no threshold")
    return Number(f"{1 - Decimal(repr(rule.tolerance.ratio)):f}")


def _unique(rule: OurRule, check: uniqueness.Unique) -> list[Theirs]:
    _refuse_tolerance(rule)
    # DQDL takes a NULL part for a value: rows that have one are left out
    return [_made(rule, "IsUnique", check.columns_, without_null=len(check.columns_) > 1)]


def _key(rule: OurRule, check: uniqueness.Key) -> list[Theirs]:
    _refuse_tolerance(rule)
    return [_made(rule, "IsPrimaryKey", check.columns_)]


def _refuse_tolerance(rule: OurRule) -> None:
    if rule.tolerance:
        raise Lost("its rule type has no threshold in DQDL, and ours has a tolerance")


def _compared(rule: OurRule, name: str, found: list[Condition], type: str = "ColumnValues") -> list[Theirs]:
    """Conditions on the values of a column, which fail on NULL in DQDL. Raises Lost."""
    if rule.nulls == Nulls.PASS and rule.tolerance:
        raise Lost("its tolerance counts rows with NULL, which a filter has to leave out in DQDL")
    made = [_made(rule, type, (name,), condition, without_null=rule.nulls != Nulls.FAIL) for condition in found]
    return _with_threshold(rule, made)


def _with_threshold(rule: OurRule, made: list[Rule]) -> list[Theirs]:
    if not rule.tolerance:
        return [*made]
    if len(made) > 1:
        raise Lost("its tolerance is about several conditions together")
    tag = Tag("threshold", Comparison(">=", _share(rule)))
    return [Rule(r.type, r.parameters, r.condition, r.where, tags=(tag,)) for r in made]


def _listed(rule: OurRule, name: str, entries: tuple[Scalar, ...], *, negated: bool) -> list[Theirs]:
    """A set; NULL is put into it where it passes a set, or fails its opposite."""
    texts = any(isinstance(value, str) for value in entries)
    members = [_operand(str(value) if texts and not isinstance(value, bool) else value) for value in entries]
    if (rule.nulls == Nulls.FAIL) == negated and rule.nulls != Nulls.SKIP:
        members.append(NULL)
    condition: Condition = Membership(tuple(members), negated)
    if len(members) == 1:
        condition = Comparison("!=" if negated else "=", members[0])
    return _with_threshold(
        rule, [_made(rule, "ColumnValues", (name,), condition, without_null=rule.nulls == Nulls.SKIP)]
    )


def _bounded(rule: OurRule, check: values.Values) -> list[Theirs]:
    terms = dict(check.bounds.terms)
    if terms.keys() <= {"equals", "not_equals"} and len(terms) == 1:
        ((word, value),) = terms.items()
        return _listed(rule, check.column, (value,), negated=word == "not_equals")
    if "not_equals" in terms and rule.nulls == Nulls.FAIL:
        raise Lost("NULL passes '!=' in DQDL")
    return _compared(rule, check.column, conditions(check.bounds))


def _between(rule: OurRule, check: values.Between) -> list[Theirs]:
    low, high = check.range
    return _compared(rule, check.column, conditions(Bounds((("at_least", low), ("at_most", high)))))


def _one_value(rule: OurRule, check: Any) -> list[Theirs]:
    if check.type in ("equals", "not_equals"):
        return _listed(rule, check.column, (check.value,), negated=check.type == "not_equals")
    return _compared(rule, check.column, conditions(Bounds(((check.type, check.value),))))


def _matches(rule: OurRule, check: values.Matches | values.ContainsMatch) -> list[Theirs]:
    # DQDL matches the whole value
    part = isinstance(check, values.ContainsMatch)
    pattern = f"(?s:.*)(?:{check.pattern})(?s:.*)" if part else check.pattern
    return _compared(rule, check.column, [Matches(Text(pattern))])


def _length(rule: OurRule, check: values.Length) -> list[Theirs]:
    _refuse_tolerance(rule)
    if rule.nulls == Nulls.FAIL and check.bounds.accepts(0):
        raise Lost("NULL has the length 0 in DQDL, which the bounds allow")
    without = rule.nulls == Nulls.SKIP or (rule.nulls == Nulls.PASS and not check.bounds.accepts(0))
    found = conditions(check.bounds)
    return [_made(rule, "ColumnLength", (check.column,), condition, without_null=without) for condition in found]


def _type(rule: OurRule, check: values.Type) -> list[Theirs]:
    return _compared(rule, check.column, [Comparison("=", _type_name(check))], "ColumnDataType")


def _type_name(check: values.Type) -> Text:
    name = check.is_.upper() if check.is_.startswith("decimal") else _DATA_TYPES.get(check.is_)
    if name is None:
        raise Lost(f"DQDL has no type '{check.is_}'")
    return Text(name)


def _types(check: RuleType) -> tuple[list[values.Type], bool] | None:
    """The types of one column of which a value must have one, or with True none; None for another rule."""
    if not isinstance(check, (composition.AnyOf, composition.NoneOf)):
        return None
    parts = [part for part in check.parts if isinstance(part, values.Type)]
    alike = len(parts) == len(check.parts) and len({part.column for part in parts}) == 1
    return (parts, isinstance(check, composition.NoneOf)) if alike else None


def _of_types(rule: OurRule, parts: list[values.Type], negated: bool) -> list[Theirs]:
    names, column = tuple(map(_type_name, parts)), parts[0].column
    condition = Comparison("!=" if negated else "=", names[0]) if len(names) == 1 else Membership(names, negated)
    if negated and rule.nulls == Nulls.PASS:
        return _with_threshold(rule, [_made(rule, "ColumnDataType", (column,), condition)])
    if negated and rule.nulls == Nulls.FAIL:
        raise Lost("NULL passes '!=' in DQDL")
    return _compared(rule, column, [condition], "ColumnDataType")


def _date_format(rule: OurRule, check: texts.DateFormat) -> list[Theirs]:
    format = Tag("format", Comparison("=", Text(check.pattern)))
    made = _compared(rule, check.column, [Comparison("=", Text("Date"))], "ColumnDataType")
    return [replace(one, tags=(format, *one.tags)) for one in made if isinstance(one, Rule)]


def _that(rule: OurRule, check: custom.That) -> list[Theirs]:
    """The rows that comply, as a query; their share is that of all rows, so that a filter leaves rows in."""
    if rule.nulls == Nulls.SKIP or (rule.where and rule.tolerance):
        raise Lost("the rows in its scope are not all rows, of which DQDL takes the share")
    return _rows(rule, f"coalesce(({check.expression}), {'true' if rule.nulls == Nulls.PASS else 'false'})")


def _rows(rule: OurRule, test: str) -> list[Theirs]:
    test = f"not coalesce(({rule.where}), false) or {test}" if rule.where else test
    return _with_threshold(rule, [Rule("CustomSql", (Parameter(f"select * from primary where {test}"),))])


def _query_of_rows(rule: OurRule, check: custom.SqlRows) -> list[Theirs]:
    """Rows that are returned pass in DQDL."""
    passing = check.returns == "passing"
    if rule.where and rule.tolerance:
        raise Lost("the rows in its scope are not all rows, of which DQDL takes the share")
    if check.condition is not None:
        return _rows(rule, f"{'' if passing else 'not '}coalesce(({check.condition}), false)")
    if rule.where or not check.key:
        raise Lost(
            "DQDL has no filter beside a query" if rule.where else "rows are told by a key in DQDL, and it has none"
        )
    query = as_primary(check.query)
    if not passing:
        alike = sql.conjunction(f"p.{sql.quote(name)} <=> q.{sql.quote(name)}" for name in check.key)
        query = f"select p.* from primary p left anti join ({query}) q on {alike}"
    return _with_threshold(rule, [Rule("CustomSql", (Parameter(query),))])


def _schema(rule: OurRule, check: schema.Schema, rules: RuleSet) -> list[Theirs]:
    declared = check.declared or rules.columns
    # in text formats values have types, not columns
    typed = check.types == "fail" and not rules.input.is_text and any(kind for _, kind in declared)
    if rule.where:
        raise Lost("columns have no filter in DQDL")
    if check.missing != "fail" or check.order == "fail" or typed or not declared:
        raise Lost("DQDL asks which columns there are and how many, not for their order or their types")
    count: list[Theirs] = [Rule("ColumnCount", (), Comparison("=", Number(str(len(declared)))))]
    there: list[Theirs] = [Rule("ColumnExists", (Parameter(name),)) for name, _ in declared]
    return there + (count if check.extra == "fail" else [])


def _freshness(_rule: OurRule, _check: dates.Freshness) -> list[Theirs]:
    raise Lost("DQDL asks each value for its age, not the newest")


def _schema_change(_rule: OurRule, _check: evolution.SchemaChange) -> list[Theirs]:
    raise Lost("DQDL does not compare with the batch before")


EXPORTERS: dict[type[RuleType], Callable[[OurRule, Any], list[Theirs]]] = {
    completeness.Required: _required,
    custom.That: _that,
    custom.SqlRows: _query_of_rows,
    uniqueness.Unique: _unique,
    uniqueness.Key: _key,
    values.Values: _bounded,
    values.Between: _between,
    values._Comparison: _one_value,
    values.In: lambda rule, check: _listed(rule, check.column, check.values, negated=False),
    values.NotIn: lambda rule, check: _listed(rule, check.column, check.values, negated=True),
    values.Matches: _matches,
    values.ContainsMatch: _matches,
    values.Length: _length,
    values.Type: _type,
    texts.DateFormat: _date_format,
    names.ColumnsExist: lambda _, check: [Rule("ColumnExists", (Parameter(name),)) for name in check.columns_],
    names.ColumnCount: lambda rule, check: [_made(rule, "ColumnCount", (), c) for c in conditions(check.bounds)],
    names.ColumnNames: lambda _, check: [Rule("ColumnNamesMatchPattern", (Parameter(check.pattern),))],
    dates.Freshness: _freshness,
    evolution.SchemaChange: _schema_change,
    MetricRule: _metric,
}
