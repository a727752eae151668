"""From a rule set and the columns of a batch to a plan: what is asked of each row, which metrics are measured, in how
many passes. Pure: no Spark, so a plan can be printed, compared and tested without one.

A row rule has a scope S (`where`, and not NULL when `nulls: skip`) and a predicate P. Composition inside P is Kleene;
the NULL policy is applied once, outermost. `complies` and `scope` are never NULL, so that a row lands on one side.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from quality.analyzers import FRACTIONAL, Analyzer, Completeness, Compliance, Query, base_type
from quality.checks import GroupPass, KeyPass, MetricCheck, Pass, Passes, RowCheck, ids
from quality.errors import EngineError, RuleDataError
from quality.model import Column, Nulls
from quality.rule_types.base import MALFORMED, KeyRule, MetricRule, Row, RowRule, SchemaRule
from quality.rule_types.completeness import Required
from quality.rule_types.composition import BatchComposition
from quality.rule_types.files import FileRule
from quality.rule_types.questions import Link, Pairs, Question, Total
from quality.rule_types.rules import Rule, RuleSet, batches_asked
from quality.rule_types.schema import Malformed
from quality.rule_types.verdicts import Verdict
from quality.sensitive import Hiding, Sensitive
from quality.sql import RELATIONS, conjunction, tokens

#: Rules of one mask word: a bit each in a bigint, sign bit left alone.
WORD_BITS = 62
#: Types of which 64 neighbours are counted at once.
WHOLE = ("tinyint", "smallint", "int", "bigint")
#: Rules that are named for a pass; the others are counted.
_SHOWN_RULES = 3


@dataclass(frozen=True)
class Plan:
    """What will run. `errors` holds, by rule id, why a rule cannot be judged against this batch; `together`: one pass
    writes every side; not `writes`: it measures alone; `small`: the batch is one partition, so that nothing is shuffled; `kept`: the first pass
    keeps the rows on local disks, and no other reads the input; `tally`: one aggregate counts rule
    bits and profiles columns, also beside a write; `several`: the batch is in several files, so that failing rows are looked for
    in each when a rule fails."""

    rule_set: RuleSet
    rules: tuple[Rule, ...]
    columns: tuple[Column, ...]
    text: bool
    row_checks: tuple[RowCheck, ...] = ()
    metric_checks: tuple[MetricCheck, ...] = ()
    schema_rules: tuple[Rule, ...] = ()
    #: Metrics that are measured in each group alone.
    group_checks: tuple[MetricCheck, ...] = ()
    #: Rules that are composed of demands on metrics, which stand among the checks as rules of their own.
    composed: tuple[Rule, ...] = ()
    file_rules: tuple[Rule, ...] = ()
    #: Judged last, by the verdicts on others.
    verdict_rules: tuple[Rule, ...] = ()
    errors: Mapping[str, str] = field(default_factory=dict)
    reading_scans: int = 0
    together: bool = False
    writes: bool = True
    small: bool = False
    kept: bool = False
    tally: bool = False
    several: bool = False
    #: The columns of the published batch before this one, and its id; none when there is none, or nobody looked.
    before: tuple[Column, ...] = ()
    batch_before: str = ""

    @property
    def well_formed(self) -> str:
        """SQL: the row could be read."""
        return f"not {MALFORMED}" if self.text else "true"

    @cached_property
    def key_passes(self) -> tuple[KeyPass, ...]:
        """The distinct key passes, in order of first use."""
        passes = [*(c.key for c in self.row_checks), *(c.key for c in self.metric_checks)]
        return tuple(key for key in dict.fromkeys(passes) if key)

    @property
    def queries(self) -> tuple[MetricCheck, ...]:
        """The checks that ask a query of a steward."""
        return tuple(check for check in self.metric_checks if check.analyzer.source == "query")

    @cached_property
    def group_passes(self) -> tuple[GroupPass, ...]:
        """The passes over groups, one for each set of columns, in order of first use."""
        checks: list[RowCheck | MetricCheck] = [*(c for c in self.row_checks if c.by), *self.group_checks]
        found = {check.by: GroupPass(check.rule.group_by, check.by) for check in reversed(checks)}
        return tuple(
            replace(
                found[by],
                row_checks=tuple(check for check in self.row_checks if check.by == by),
                metric_checks=tuple(check for check in self.group_checks if check.by == by),
            )
            for by in dict.fromkeys(check.by for check in checks)
        )

    @property
    def passes(self) -> Passes:
        """How many passes will be needed, or at most so many: a side is not written when no row is on it."""
        widths = [step.width for step in self.steps]
        return Passes(widths.count("wide"), widths.count("narrow"), sum(step.shuffles for step in self.steps))

    @cached_property
    def steps(self) -> tuple[Pass, ...]:
        """The passes one by one, and why each is made."""
        what, shuffles = "looking what failing rows have in common, when a rule fails", 0 if self.small else 1
        width = "kept" if self.kept else "narrow"
        last = [Pass(width, what, ids(self.row_checks), shuffles)]
        groups = [replace(step, width=width) for part in self.group_passes for step in self._group_steps(part)]
        queries = [
            Pass(width, "asking a query", ids([check]), 0 if self.small else 1)
            for check in self.queries
            for _ in range(reads(check))
        ]
        return (
            *self._hashing,
            *self._steps,
            *groups,
            *queries,
            *(last if self.writes and self.several and self.row_checks else ()),
        )

    def _group_steps(self, part: GroupPass) -> Iterator[Pass]:
        groups, shuffles = f"each group of {', '.join(part.columns)}", 0 if self.small else 1
        yield Pass("narrow", f"measuring {groups}", part.rules, shuffles)
        for key in part.key_passes:
            rules = ids(check for check in part.metric_checks if check.key == key)
            yield Pass("narrow", f"counting keys of {', '.join(key.columns)} in {groups}", rules, 2 * shuffles)

    @property
    def _hashing(self) -> Iterator[Pass]:
        """The bytes of files are read once for each place and hash."""
        needed: dict[tuple[str, str], list[str]] = {}
        for rule in self.file_rules:
            assert isinstance(rule.check, FileRule)
            hashed = rule.check.hashed
            places = [rule.check.path, *([rule.check.other] if rule.check.other else [])] if hashed else []
            for place in dict.fromkeys(places):
                needed.setdefault((place, hashed), []).append(rule.id)
        for (place, hashed), asking in needed.items():
            yield Pass("wide", f"hashing the files of {place or 'the batch'} ({hashed})", tuple(asking))

    @property
    def _steps(self) -> tuple[Pass, ...]:
        removes = ids(check for check in self.row_checks if check.rule.quarantines)
        keeps = ids(check for check in self.row_checks if not check.rule.quarantines)
        metrics = ids(
            check
            for check in self.metric_checks
            if not check.key and check.analyzer.source not in ("query", "reference")
        )
        apart = ids(self.measured_apart)
        reading = [Pass("wide", "finding the columns")] * self.reading_scans
        reading += self._reference_steps()
        keys = [step for key in self.key_passes for step in self._key_steps(key)]
        if self.together:
            writing = "judging rows and writing each to its side"
            if not self.tally:
                measuring = [Pass("narrow", "counting rows and measuring metrics", metrics)]
                return (*reading, *measuring, *keys, Pass("wide", writing, (*removes, *keeps)))
            measuring = [Pass("narrow", "measuring metrics", apart)] if apart else []
            counted = tuple(rule for rule in metrics if rule not in apart)
            what = f"{writing}, counting{' and profiling' if self.profiles else ''} beside it"
            return (*reading, *measuring, *keys, Pass("wide", what, (*removes, *keeps, *counted)))
        # a row's id counts equal rows, which takes a shuffle
        shuffles = 0 if self.small else 1
        kept = "writing flags" if self.rule_set.outputs.flags else "sampling rows that fail and stay"
        sides = [
            Pass("wide", purpose, rules, shuffles)
            for purpose, rules in (("writing quarantined rows", removes), (kept, keeps))
            if rules
        ]
        what = "counting failing rows and measuring metrics" + (", profiling" if self.profiles else "")
        scan = Pass("wide", f"{what}, keeping the rows" if self.kept else what, (*removes, *keeps, *metrics))
        later = (*keys, Pass("wide", "writing passed rows"), *sides) if self.writes else tuple(keys)
        return (*reading, scan, *(replace(step, width="kept" if self.kept else step.width) for step in later))

    def _reference_steps(self) -> Iterator[Pass]:
        asking: dict[Question, list[str]] = {}
        for rule in (*(check.rule for check in self.row_checks), *(check.rule for check in self.metric_checks)):
            for question in rule.check.questions(rule.where):
                asking.setdefault(question, []).append(rule.id)
        totals: dict[str, list[str]] = {}
        for question, rules in asking.items():
            name = question.reference
            if isinstance(question, Link):
                purpose = f"reading keys {', '.join(question.reference_columns)}"
                yield Pass("narrow", purpose, tuple(rules), 1, name)
            elif isinstance(question, Pairs):
                keys = ", ".join(ours for ours, _ in question.key)
                yield Pass("narrow", f"pairing rows by {keys} with reference {name}", tuple(rules), 1)
                yield Pass(
                    "narrow",
                    f"reading {', '.join(theirs for _, theirs in question.key)} and what is compared",
                    tuple(rules),
                    0,
                    name,
                )
            elif isinstance(question, Total):
                totals.setdefault(name, []).extend(rules)
        for name, rules in totals.items():
            yield Pass("narrow", "counting rows and measuring metrics", tuple(rules), 0, name)

    def _key_steps(self, key: KeyPass) -> Iterator[Pass]:
        rows = ids(check for check in self.row_checks if check.key == key)
        metrics = ids(check for check in self.metric_checks if check.key == key)
        names = ", ".join(key.columns)
        if self.sorts(key):
            yield Pass("narrow", f"counting keys of {names} as if they were sorted", (*rows, *metrics))
        yield Pass("narrow", f"counting keys of {names}", (*rows, *metrics), 0 if self.small else 1)
        # otherwise they come from the same shuffle
        if self.small and rows and self.writes:
            yield Pass("narrow", f"finding doubled keys of {names}", rows)
        elif key.whole and not self.small:
            yield Pass("narrow", f"looking closer at doubled keys of {names}", (*rows, *metrics), 1)

    @property
    def profiles(self) -> bool:
        """Whether the batch is profiled."""
        return self.tally and self.rule_set.profile

    @property
    def measured_apart(self) -> tuple[MetricCheck, ...]:
        """Metrics that no tally has: beside a write they would cost more than a pass of their own."""
        return tuple(
            c for c in self.metric_checks if c.analyzer.source == "scan" and c.analyzer.columns and not c.tallied
        )

    def sorts(self, key: KeyPass) -> bool:
        """Whether a key is first counted as if it came sorted, which takes no shuffle, and no other pass when it does."""
        return self.tally and key.whole and not self.small and (self.kept or not self.text)

    @property
    def looks_back(self) -> bool:
        """Whether some rule asks for batches before this one."""
        return bool(self.batches) or any(
            isinstance(r.check, SchemaRule) and r.check.from_past for r in self.schema_rules
        )

    @property
    def batches(self) -> int:
        """How many earlier batches the bounds ask for: their metrics are read from the history."""
        return max((batches_asked(check.rule.check) for check in self.metric_checks), default=0)

    def only_rows(self) -> Plan:
        """The plan less everything that is no verdict on a row."""
        rows_only = replace(self, metric_checks=(), group_checks=(), composed=(), schema_rules=())
        return replace(rows_only, file_rules=(), verdict_rules=(), tally=False)

    def only_apart(self) -> Plan:
        """The plan of the metrics that no tally has."""
        return replace(
            self,
            row_checks=(),
            metric_checks=self.measured_apart,
            schema_rules=(),
            file_rules=(),
            verdict_rules=(),
            tally=False,
        )

    def without_apart(self) -> Plan:
        """The plan less the metrics that no tally has."""
        apart = self.measured_apart
        return replace(self, metric_checks=tuple(check for check in self.metric_checks if check not in apart))

    def without(self, errors: Mapping[str, str]) -> Plan:
        """The plan less the rules that cannot be judged."""
        if not errors:
            return self
        return replace(
            self,
            row_checks=tuple(check for check in self.row_checks if check.rule.id not in errors),
            metric_checks=tuple(check for check in self.metric_checks if check.rule.id not in errors),
            group_checks=tuple(check for check in self.group_checks if check.rule.id not in errors),
            composed=tuple(rule for rule in self.composed if rule.id not in errors),
            errors={**self.errors, **errors},
        )


def refuse_over_budget(plan: Plan, max_scans: int | None) -> None:
    """Raise EngineError when the plan reads the batch, and references, more often than allowed, with the rules that make it
    so."""
    reading = [step for step in plan.steps if step.width != "kept"]
    if max_scans is None or len(reading) <= max_scans:
        return
    lines = "".join(f"\n  {describe_pass(step)}" for step in reading)
    others = sum(bool(step.of) for step in reading)
    more = f" and references {others} times" if others else ""
    raise EngineError(
        f"the plan reads the batch up to {len(reading) - others} times{more}, {max_scans} allowed:{lines}"
    )


def describe_pass(step: Pass) -> str:
    """A pass in one line: its width, what for, and the first of the rules that force it."""
    shown = ", ".join(step.rules[:_SHOWN_RULES]) + (
        f" and {more} more" if (more := len(step.rules) - _SHOWN_RULES) > 0 else ""
    )
    shuffle = ", one shuffle" if step.shuffles else ""
    of = f" of reference {step.of}" if step.of else ""
    return f"{step.width}: {step.purpose}{of}{shuffle}" + (f" (for {shown})" if shown else "")


def plan(rule_set: RuleSet, row: Row, text: bool, more_rules: Iterable[Rule] = (), reading_scans: int = 0) -> Plan:
    """Compile every rule against the columns of the batch; one that does not fit becomes an error, alone.

    `more_rules` are those no file states: types pinned by the last published batch. `reading_scans` are the passes it
    took to find the columns (JSON lines)."""
    well_formed = f"not {MALFORMED}" if text else ""
    row_checks: list[RowCheck] = []
    metric_checks: list[MetricCheck] = []
    group_checks: list[MetricCheck] = []
    composed: list[Rule] = []
    schema_rules: list[Rule] = []
    file_rules: list[Rule] = []
    verdict_rules: list[Rule] = []
    errors: dict[str, str] = {}
    rules = tuple(expanded((*rule_set.rules, *more_rules), row.columns))
    for rule in rules:
        try:
            if rule.over:
                raise RuleDataError(f"no column of the batch is meant by '{rule.over}'")
            if isinstance(rule.check, RowRule):
                row_checks.append(
                    replace(
                        row_check(rule, rule.check, row, well_formed),
                        hiding=_hiding(rule.check, rule_set.sensitive),
                        by=_by(rule, row),
                    )
                )
            elif isinstance(rule.check, MetricRule):
                measured = replace(_metric_check(rule, rule.check, row, well_formed), by=_by(rule, row))
                (group_checks if measured.by else metric_checks).append(measured)
            elif isinstance(rule.check, BatchComposition):
                composed.append(rule)
                for number, part in enumerate(rule.check.metrics(), 1):
                    try:
                        own = replace(rule, id=part_id(rule, number), check=part)
                        measured = _metric_check(own, part, row, well_formed)
                        measured = replace(measured, by=_by(rule, row), part_of=rule.id)
                        (group_checks if measured.by else metric_checks).append(measured)
                    except RuleDataError as error:
                        errors[part_id(rule, number)] = str(error)
            elif isinstance(rule.check, FileRule):
                file_rules.append(rule)
            elif isinstance(rule.check, Verdict):
                verdict_rules.append(rule)
            else:
                schema_rules.append(rule)
        except RuleDataError as error:
            errors[rule.id] = str(error)
    return Plan(
        rule_set,
        rules,
        row.columns,
        text,
        tuple(row_checks),
        tuple(metric_checks),
        tuple(schema_rules),
        tuple(group_checks),
        tuple(composed),
        tuple(file_rules),
        tuple(verdict_rules),
        errors,
        reading_scans,
    )


def reads(check: MetricCheck) -> int:
    """How often a query names the batch: so often it is read."""
    assert isinstance(check.analyzer, Query)
    return max(1, sum(token.text.strip("`").lower() in RELATIONS for token in tokens(check.analyzer.query)))


def part_id(rule: Rule, number: int) -> str:
    """What the part of a composed rule is called, counted from 1."""
    return f"{rule.id}[{number}]"


def expanded(rules: Iterable[Rule], columns: Iterable[Column]) -> Iterator[Rule]:
    """Each rule over many columns as one for each of them; a rule that is written for a column takes the place of that one.
    A rule that finds no column stays as it is, unless it only records."""
    written = [*rules]
    taken = {rule.id.lower() for rule in written}
    for rule in written:
        found = [rule.of_column(name) for name in rule.over.select(columns)] if rule.over else []
        nothing = [] if rule.over and getattr(getattr(rule.check, "bounds", None), "recorded", False) else [rule]
        yield from [one for one in found if one.id.lower() not in taken] if found else nothing


def row_check(rule: Rule, check: RowRule, row: Row, well_formed: str = "") -> RowCheck:
    """The rule's scope and verdict as SQL. Raises RuleDataError when it does not fit the columns."""
    scope = [well_formed if check.well_formed_only else "", _where(rule)]
    key, skipped = None, list[str]()
    if isinstance(check, KeyRule):
        key = _key_pass(check.columns(), row, scope)
        complies = f"not ({key.incomplete})" if check.complete else "true"
    else:
        predicate = _with_nan(check.predicate(row), rule, check, row)
        nulls = check.null_references(row)
        complies = _complies(predicate, nulls, rule, check)
        if rule.nulls == Nulls.SKIP:
            skipped = [f"{ref} is not null" for ref in nulls] or [f"({predicate}) is not null"]
    analyzer = _analyzer(rule, check, row, complies, skipped)
    return RowCheck(rule, conjunction([*scope, *skipped]), complies, check.shown_value(row), analyzer, key)


def _hiding(check: RowRule, sensitive: Sensitive) -> Hiding | None:
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


def _by(rule: Rule, row: Row) -> tuple[str, ...]:
    for name in rule.group_by:
        if base_type(row.type(name)) in ("map", "array", "struct"):
            raise RuleDataError(f"column '{name}' is {row.type(name)}: groups are told by single values")
    return tuple(row.ref(name) for name in rule.group_by)


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
    predicate = check.predicate(row) if isinstance(check, KeyRule) else complies
    where = conjunction([rule.where, *skipped]) if rule.where or skipped else ""
    return Compliance(tuple(check.columns()), where, instance=rule.id, predicate=predicate)


def _metric_check(rule: Rule, check: MetricRule, row: Row, well_formed: str) -> MetricCheck:
    analyzer = check.held(row, rule.where)
    if analyzer.source == "keys" and not analyzer.columns:
        # a key of no columns is the whole row
        analyzer = replace(analyzer, columns=tuple(column.name for column in row.columns))
    for name in analyzer.columns:
        analyzer.check_type(name, row.type(name))
    if isinstance(analyzer, Query):
        analyzer = replace(analyzer, instance=rule.id)
    references = tuple(row.ref(name) for name in analyzer.columns)
    scope = conjunction([well_formed, _where(rule)])
    key = _key_pass(analyzer.columns, row, [well_formed, _where(rule)]) if analyzer.source == "keys" else None
    tallied = analyzer.part_of_tally(row.type(analyzer.columns[0])) if len(references) == 1 else ""
    return MetricCheck(rule, analyzer, scope, references, key, tallied)


def schema_differences(rule: Rule, plan: Plan, actual: tuple[Column, ...]) -> list[str]:
    """What a schema rule finds; in text formats the types are those declared, and each value is judged instead."""
    assert isinstance(rule.check, SchemaRule)
    if rule.check.from_past:
        return rule.check.differences(actual, tuple((column.name, column.type) for column in plan.before))
    declared = plan.rule_set.columns
    if plan.text:
        declared = tuple((name, "") for name, _ in declared)
    return rule.check.differences(actual, declared)
