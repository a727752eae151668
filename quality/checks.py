"""Rules as SQL: what each asks of a row, or measures, against the columns of a batch.

A row rule has a scope S (`where`, and not NULL when `nulls: skip`) and a predicate P. Composition inside P is Kleene; the NULL
policy is applied once, outermost. `complies` and `scope` are never NULL, so that a row lands on one side.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from quality.analyzers import FRACTIONAL, Analyzer, Completeness, Compliance, Query, base_type
from quality.distributions import Drift, OwnAnalyzer
from quality.elements import OverElements, in_place, over
from quality.errors import RuleDataError
from quality.grouping import Group
from quality.model import Nulls
from quality.passes import OwnPass, own_pass
from quality.query_text import read_by
from quality.rule_types.base import Elements, KeyRule, MetricRule, Row, RowRule, element
from quality.rule_types.completeness import Required
from quality.rule_types.custom import SqlRows
from quality.rule_types.outliers import NoOutliers
from quality.rule_types.questions import Told
from quality.rule_types.rules import Rule, default_on_fail
from quality.rule_types.schema import Malformed
from quality.sensitive import Hiding, Sensitive
from quality.sql import RELATIONS, conjunction

#: Rules of one mask word: a bit each in a bigint, sign bit left alone.
WORD_BITS = 62
#: Types of which 64 neighbours are counted at once.
WHOLE = ("tinyint", "smallint", "int", "bigint")
#: Sources of the metrics that are measured in groups.
_GROUPED = ("scan", "counts", "keys")


@dataclass(frozen=True)
class KeyPass:
    """A count of keys: one shuffle of the key columns of the rows in scope that have a key. `whole`: the key is one whole
    number, which is counted in two steps."""

    columns: tuple[str, ...]
    references: tuple[str, ...]
    scope: str
    whole: bool = False

    @property
    def any_part(self) -> str:
        """SQL: some part of the key is not NULL."""
        return " or ".join(f"{ref} is not null" for ref in self.references)

    @property
    def incomplete(self) -> str:
        """SQL: some part of the key is NULL."""
        return " or ".join(f"{ref} is null" for ref in self.references)


@dataclass(frozen=True)
class RowCheck:
    """A row rule as SQL. `scope` and `complies` are never NULL. For a key rule `complies` says only what the row tells
    by itself; `key` is the pass that finds its duplicates."""

    rule: Rule
    scope: str
    complies: str
    value: str
    analyzer: Analyzer
    key: KeyPass | None = None
    #: How the value is hidden in reasons.
    hiding: Hiding | None = None
    #: SQL: the line could be read; empty where there are no lines.
    well_formed: str = ""
    #: SQL of the columns whose values make the groups it is judged in.
    by: tuple[str, ...] = ()

    @property
    def fails(self) -> str:
        """SQL: the row is in scope and does not comply."""
        return f"({self.scope}) and not ({self.complies})" if self.scope != "true" else f"not ({self.complies})"


@dataclass(frozen=True)
class MetricCheck:
    """A rule that demands bounds of a metric, with the scope its rows are counted in."""

    rule: Rule
    analyzer: Analyzer
    scope: str
    references: tuple[str, ...]
    key: KeyPass | None = None
    own: OwnPass | None = None
    #: The part of a column's tally that is the metric.
    tallied: str = ""
    #: Where bounds that come from earlier batches come from; why they do not apply yet, or cannot be told.
    origin: str = ""
    waiting: str = ""
    unsure: str = ""
    #: What earlier batches held of the column, or a reference holds, where the metric is a distance from it.
    reference: Mapping[Hashable, float] | None = field(default=None, compare=False, repr=False)
    #: SQL of the columns whose values make the groups it is judged in.
    by: tuple[str, ...] = ()
    #: The check of each group that earlier batches had, where its bounds come from them.
    in_groups: Mapping[Group, MetricCheck] = field(default_factory=dict, compare=False, repr=False)
    #: The rule that it is a part of; empty when it is one.
    part_of: str = ""

    def of_group(self, group: Group) -> MetricCheck:
        """The check by which a group is judged: of one that is new, that of a group without a past."""
        return self.in_groups.get(group, self)


@dataclass(frozen=True)
class GroupPass:
    """What is measured in each group of some columns: one grouped aggregate for all rules that share them, and one count
    for each key."""

    columns: tuple[str, ...]
    by: tuple[str, ...]
    row_checks: tuple[RowCheck, ...] = ()
    metric_checks: tuple[MetricCheck, ...] = ()

    @property
    def rules(self) -> tuple[str, ...]:
        """The ids of its rules."""
        return (*ids_of(self.row_checks), *ids_of(self.metric_checks))

    @property
    def scopes(self) -> tuple[str, ...]:
        """The distinct scopes of its rules."""
        checks: tuple[RowCheck | MetricCheck, ...] = (*self.row_checks, *self.metric_checks)
        return tuple(dict.fromkeys(check.scope for check in checks))

    @property
    def key_passes(self) -> tuple[KeyPass, ...]:
        """The keys that are counted in each group."""
        return tuple(key for key in dict.fromkeys(check.key for check in self.metric_checks) if key)

    def only(self, wanted: Callable[[RowCheck | MetricCheck], bool]) -> GroupPass:
        """The pass for some of its rules."""
        return replace(
            self,
            row_checks=tuple(check for check in self.row_checks if wanted(check)),
            metric_checks=tuple(check for check in self.metric_checks if wanted(check)),
        )


def ids_of(checks: Iterable[RowCheck | MetricCheck]) -> tuple[str, ...]:
    """The ids of the rules of checks."""
    return tuple(check.rule.id for check in checks)


def refuse_hidden(check: MetricCheck, sensitive: Sensitive) -> None:
    """A sketch that is not kept cannot be compared."""
    how = sensitive.how(check.analyzer.columns[0]) if check.analyzer.source == "profile" else None
    if isinstance(check.analyzer, Drift) and how and (how == Hiding.MASK or check.analyzer.sketch != "Histogram"):
        raise RuleDataError(f"values of '{check.analyzer.columns[0]}' are sensitive: no sketch of them is kept")


def row_check(rule: Rule, check: RowRule, row: Row, well_formed: str = "") -> RowCheck:
    """The rule's scope and verdict as SQL. Raises RuleDataError when it does not fit the columns."""
    row = replace(row, scope=rule.where)
    inside = next((found for name in check.columns() if (found := row.elements(name))), None)
    if inside:
        return _element_check(rule, check, well_formed, inside)
    scope = [well_formed if check.well_formed_only else "", _where(rule)]
    key, skipped = None, list[str]()
    if isinstance(check, KeyRule):
        key = _key_pass(check.columns(), row, scope)
        complies = f"not ({key.incomplete})" if check.complete else "true"
    else:
        predicate = _with_nan(check.held(row, rule.where), rule, check, row)
        nulls = check.null_references(row)
        complies = _complies(predicate, nulls, rule, check)
        if rule.nulls == Nulls.SKIP:
            skipped = [f"{ref} is not null" for ref in nulls] or [f"({predicate}) is not null"]
    analyzer = _analyzer(rule, check, row, complies, skipped)
    value = check.shown_value(row)
    return RowCheck(rule, conjunction([*scope, *skipped]), complies, value, analyzer, key, well_formed=well_formed)


def about_batch(rule: Rule, row: Row) -> Rule:
    """A rule about the rows that a query returns, as one about how many there are where the query does not tell which; every other
    rule as it is. Raises RuleDataError when that would be another demand."""
    check = rule.check
    found = row.answers.get(check.returned) if isinstance(check, SqlRows) and check.returned else None
    if not isinstance(check, SqlRows) or not isinstance(found, Told) or found.columns:
        return rule
    beside = {
        "returns: passing": check.returns == "passing",
        "where": rule.where,
        "group_by": rule.group_by,
        "a tolerance of a share": rule.tolerance.ratio,
    }
    wrong = [word for word, given in beside.items() if given]
    if wrong:
        raise RuleDataError(f"{found.untold}, and without them {wrong[0]} says nothing")
    counted = check.about_batch(rule.tolerance.rows, found.untold)
    usual = rule.on_fail == default_on_fail(check, rule.severity)
    return replace(rule, check=counted, on_fail=default_on_fail(counted, rule.severity) if usual else rule.on_fail)


def _element_check(rule: Rule, check: RowRule, well_formed: str, inside: Elements) -> RowCheck:
    """A rule that every element of an array must keep. The NULL policy is applied to each element, and to an array that is NULL; an
    empty one has nothing to fail. `skip` leaves NULL elements aside, and rows whose array is NULL."""
    if len(check.columns()) > 1 or not check.by_row or check.questions():
        names = ", ".join(check.columns())
        raise RuleDataError(
            f"'{check.type}' of {names}: elements can be demanded of by a rule about one row and one column"
        )
    predicate = _with_nan(check.predicate(inside.row), rule, check, inside.row)
    lenient = replace(rule, nulls=Nulls.PASS) if rule.nulls == Nulls.SKIP else rule
    complies = holds = _complies(predicate, check.null_references(inside.row), lenient, check)
    without = "false" if check.nulls_apply and rule.nulls == Nulls.FAIL else "true"
    for level in range(len(inside.arrays) - 1, -1, -1):
        holds, complies = (
            complies,
            f"coalesce(forall({inside.arrays[level]}, {element(level)} -> {complies}), {without})",
        )
    first = f"filter({inside.arrays[0]}, {element(0)} -> not ({holds}))[0]"
    value = f"cast({first} as string)"
    if len(inside.arrays) == 1:
        value = f"transform(array({first}), {element(0)} -> {check.shown_value(inside.row)})[0]"
    skipped = [f"{inside.arrays[0]} is not null"] * (check.nulls_apply and rule.nulls == Nulls.SKIP)
    scope = [well_formed if check.well_formed_only else "", _where(rule), *skipped]
    analyzer = _compliance(rule, check, complies, skipped)
    return RowCheck(rule, conjunction(scope), complies, value, analyzer, well_formed=well_formed)


def settled(check: RowCheck, found: Sequence[float | None], row: Row) -> RowCheck:
    """The check with what was measured for its bounds."""
    assert isinstance(check.rule.check, NoOutliers)
    measured = check.rule.check.measured(found, told=check.hiding is None)
    rule = replace(check.rule, check=measured)
    return replace(row_check(rule, measured, row, check.well_formed), hiding=check.hiding)


def hiding_of(check: RowRule, sensitive: Sensitive) -> Hiding | None:
    """How the value in the reasons is hidden: it is that of the first column, of a malformed line the whole line."""
    if isinstance(check, Malformed):
        return sensitive.any_how()
    return sensitive.how(check.columns()[0]) if check.columns() else None


def _key_pass(columns: tuple[str, ...], row: Row, scope: list[str]) -> KeyPass:
    for name in columns:
        if "map<" in row.type(name):
            raise RuleDataError(f"column '{name}' is {row.type(name)}: maps cannot be compared, so they are no key")
    whole = len(columns) == 1 and row.type(columns[0]) in WHOLE
    key = KeyPass(columns, tuple(row.ref(name) for name in columns), "", whole)
    # a key that is NULL in all its parts is none: it has no duplicates and no share in the metrics of keys
    return replace(key, scope=conjunction([*scope, key.any_part]))


def _where(rule: Rule) -> str:
    # a NULL filter takes the row out of scope, as WHERE does
    return f"coalesce(({rule.where}), false)" if rule.where else ""


def _with_nan(predicate: str, rule: Rule, check: RowRule, row: Row) -> str:
    floats = [row.ref(name) for name in check.nan_columns() if base_type(row.type(name)) in FRACTIONAL]
    if not rule.nan_passes or not floats:
        return predicate
    return f"{' or '.join(f'isnan({ref})' for ref in floats)} or ({predicate})"


def _complies(predicate: str, nulls: list[str], rule: Rule, check: RowRule) -> str:
    if check.is_free:
        return f"coalesce(({predicate}), {'true' if rule.nulls == Nulls.PASS else 'false'})"
    sure = f"coalesce(({predicate}), false)"
    missing = " or ".join(f"{ref} is null" for ref in nulls)
    if not missing or rule.nulls == Nulls.SKIP:
        return sure
    return f"({missing}) or {sure}" if rule.nulls == Nulls.PASS else f"not ({missing}) and {sure}"


def _analyzer(rule: Rule, check: RowRule, row: Row, complies: str, skipped: list[str]) -> Analyzer:
    if isinstance(check, Required):
        return Completeness((row.find(check.column).name,), rule.where)
    return _compliance(rule, check, check.predicate(row) if isinstance(check, KeyRule) else complies, skipped)


def _compliance(rule: Rule, check: RowRule, predicate: str, skipped: list[str]) -> Analyzer:
    where = conjunction([rule.where, *skipped]) if rule.where or skipped else ""
    return Compliance(tuple(check.columns()), where, instance=rule.id, predicate=predicate)


def metric_check(rule: Rule, check: MetricRule, row: Row, well_formed: str) -> MetricCheck:
    """The rule's metric and the scope it is measured in. Raises RuleDataError when it does not fit the columns."""
    analyzer = check.held(row, rule.where)
    elements = over(analyzer, row)
    if elements:
        return _metric_of_elements(rule, *elements, conjunction([well_formed, _where(rule)]))
    if analyzer.source == "keys" and not analyzer.columns:
        # a key of no columns is the whole row
        analyzer = replace(analyzer, columns=tuple(column.name for column in row.columns))
    analyzer = analyzer.fitted(row)
    for name in analyzer.columns:
        analyzer.check_type(name, row.type(name))
    if isinstance(analyzer, (Query, Compliance)):
        analyzer = replace(analyzer, instance=rule.id)
    if rule.group_by and analyzer.source not in _GROUPED:
        raise RuleDataError(f"{analyzer.name} is not measured in groups")
    references = tuple(row.ref(name) for name in analyzer.columns)
    # what is counted is what is NULL
    references = (f"if({analyzer.predicate}, true, null)",) if isinstance(analyzer, Compliance) else references
    scope = conjunction([well_formed, _where(rule)])
    key = _key_pass(analyzer.columns, row, [well_formed, _where(rule)]) if analyzer.source == "keys" else None
    tallied = analyzer.part_of_tally(row.type(analyzer.columns[0])) if len(analyzer.columns) == 1 else ""
    own = own_pass(analyzer, references, scope) if isinstance(analyzer, OwnAnalyzer) else None
    made = MetricCheck(rule, analyzer, scope, references, key, own, tallied)
    if isinstance(analyzer, Drift) and analyzer.reference:
        return replace(made, reference=analyzer.answer, origin=f"{analyzer.measure} against {analyzer.other}")
    return made


def _metric_of_elements(rule: Rule, analyzer: OverElements, inside: Elements, scope: str) -> MetricCheck:
    if rule.group_by:
        raise RuleDataError(f"{analyzer.name} of elements is not measured in groups: it is one of the whole batch")
    own = analyzer.pass_over(inside, scope)
    return MetricCheck(rule, analyzer, scope, (in_place(inside, analyzer.element),), own=own)


def by_of(rule: Rule, row: Row) -> tuple[str, ...]:
    """SQL of the columns that make the groups of a rule. Raises RuleDataError for what makes none."""
    for name in rule.group_by:
        if base_type(row.type(name)) in ("map", "array", "struct"):
            raise RuleDataError(f"column '{name}' is {row.type(name)}: groups are told by single values")
    return tuple(row.ref(name) for name in rule.group_by)


def part_id(rule: Rule, number: int) -> str:
    """What the part of a composed rule is called, counted from 1."""
    return f"{rule.id}[{number}]"


def reads(query: str) -> tuple[int, tuple[str, ...]]:
    """How often a query reads the batch, and the references it reads, as often as it does."""
    named = read_by(query)
    others = tuple(name for name in named if name.lower() not in RELATIONS)
    return (len(named) - len(others)) or int(not others), others
