"""From a rule set and the columns of a batch to a plan: what is asked of each row, which metrics are measured, in how
many passes. Pure: no Spark, so a plan can be printed, compared and tested without one. What single rules become stands in
`quality.checks`, whose names that others ask for can be had here too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from quality.analyzers import Query
from quality.checks import (
    WHOLE,
    WORD_BITS,
    GroupPass,
    KeyPass,
    MetricCheck,
    RowCheck,
    about_batch,
    by_of,
    hiding_of,
    ids_of,
    metric_check,
    part_id,
    reads,
    refuse_hidden,
    row_check,
    settled,
)
from quality.errors import EngineError, RuleDataError
from quality.model import Column
from quality.passes import OwnPass, Pass, Passes, describe_pass
from quality.rule_types.base import MALFORMED, MetricRule, Row, RowRule, SchemaRule
from quality.rule_types.composition import BatchComposition
from quality.rule_types.files import FileRule
from quality.rule_types.outliers import NoOutliers
from quality.rule_types.questions import Link, Order, Pairs, Question, Repeated, Returned, Spread, Total
from quality.rule_types.rules import Rule, RuleSet, batches_asked
from quality.rule_types.verdicts import Verdict

__all__ = [
    "WHOLE",
    "WORD_BITS",
    "KeyPass",
    "MetricCheck",
    "Plan",
    "RowCheck",
    "describe_pass",
    "expanded",
    "plan",
    "refuse_over_budget",
    "row_check",
    "schema_differences",
]


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
    file_rules: tuple[Rule, ...] = ()
    #: Judged last, by the verdicts on others.
    verdict_rules: tuple[Rule, ...] = ()
    #: Metrics that are measured in each group alone.
    group_checks: tuple[MetricCheck, ...] = ()
    #: Rules that are composed of demands on metrics, which stand among the checks as rules of their own.
    composed: tuple[Rule, ...] = ()
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

    @cached_property
    def own_passes(self) -> tuple[OwnPass, ...]:
        """The passes that metrics need of their own, in order of first use."""
        return tuple(own for own in dict.fromkeys(check.own for check in self.metric_checks) if own)

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
        width = "kept" if self.kept else "narrow"
        own = [s if s.of else replace(s, width=width) for s in (*self._group_steps, *self._query_steps)]
        last = self._localising(width) if self.writes and self.several and self.row_checks else ()
        return (*self._hashing, *self._steps, *own, *last)

    def _localising(self, width: str) -> Iterator[Pass]:
        """What is read again to find what failing rows have in common, when a rule fails."""
        if not self.together:
            yield Pass(width, "looking what failing rows have in common, when a rule fails", ids_of(self.row_checks))
            return
        removes = ids_of(check for check in self.row_checks if check.rule.quarantines)
        keeps = ids_of(check for check in self.row_checks if not check.rule.quarantines)
        if removes:
            yield Pass(width, "looking again at files that have most of the rows a rule fails", removes)
        if keeps:
            yield Pass(width, "finding the files of rows that fail and stay, when a rule fails", keeps)

    @property
    def _group_steps(self) -> Iterator[Pass]:
        shuffles = 0 if self.small else 1
        for part in self.group_passes:
            groups = f"each group of {', '.join(part.columns)}"
            yield Pass("narrow", f"measuring {groups}", part.rules, shuffles)
            for key in part.key_passes:
                rules = ids_of(check for check in part.metric_checks if check.key == key)
                yield Pass("narrow", f"counting keys of {', '.join(key.columns)} in {groups}", rules, 2 * shuffles)

    @property
    def _query_steps(self) -> Iterator[Pass]:
        for check in self.queries:
            assert isinstance(check.analyzer, Query)
            times, others = reads(check.analyzer.query)
            yield from [Pass("narrow", "asking a query", ids_of([check]), 0 if self.small else 1)] * times
            yield from (Pass("narrow", "asking a query", ids_of([check]), 0, name) for name in others)

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
        for (place, hashed), ids in needed.items():
            yield Pass("wide", f"hashing the files of {place or 'the batch'} ({hashed})", tuple(ids))

    @property
    def _steps(self) -> tuple[Pass, ...]:
        removes = ids_of(check for check in self.row_checks if check.rule.quarantines)
        keeps = ids_of(check for check in self.row_checks if not check.rule.quarantines)
        bounds = [*self._bound_steps()]
        measured = (
            c for c in self.metric_checks if not (c.key or c.own) and c.analyzer.source not in ("reference", "query")
        )
        metrics = ids_of(measured)
        apart = ids_of(self.measured_apart)
        reading = [*[Pass("wide", "finding the columns")] * self.reading_scans, *self._reference_steps(), *bounds]
        keys = [step for key in self.key_passes for step in self._key_steps(key)]
        keys += [step for own in self.own_passes for step in self._own_steps(own)]
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

    def _bound_steps(self) -> Iterator[Pass]:
        checks = [(check, check.rule.check) for check in self.row_checks]
        for number in (1, 2):
            rules = tuple(
                check.rule.id for check, rule in checks if isinstance(rule, NoOutliers) and rule.rounds >= number
            )
            if rules:
                what = (
                    "finding the bounds of outliers" if number == 1 else "finding how far values are from their median"
                )
                yield Pass("kept" if self.kept else "narrow", what, rules)

    def _own_steps(self, own: OwnPass) -> Iterator[Pass]:
        rules = ids_of(check for check in self.metric_checks if check.own == own)
        if own.reads > 1 and not self.small:
            yield Pass("narrow", f"sampling, before {own.purpose}", rules)
        yield Pass("narrow", own.purpose, rules, 0 if self.small else own.shuffles)

    def _reference_steps(self) -> Iterator[Pass]:
        asking: dict[Question, list[str]] = {}
        for rule in (*(check.rule for check in self.row_checks), *(check.rule for check in self.metric_checks)):
            for question in rule.check.questions(rule.where):
                asking.setdefault(question, []).append(rule.id)
        totals: dict[str, list[str]] = {}
        profiled: dict[str, list[str]] = {}
        for question, rules in asking.items():
            name = question.reference
            if isinstance(question, Order):
                if question.reads > 1:
                    yield Pass("narrow", f"sampling, before {question.purpose()}", tuple(rules))
                yield Pass("narrow", question.purpose(), tuple(rules), question.shuffles)
            elif isinstance(question, Repeated):
                yield Pass("narrow", f"finding keys of {', '.join(question.columns)} that occur twice", tuple(rules), 1)
            elif isinstance(question, Link):
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
            elif isinstance(question, Returned):
                times, others = reads(question.query)
                purpose = "asking a query which rows it returns"
                for number, name in enumerate([""] * times + [*others]):
                    yield Pass("narrow", purpose, tuple(rules), int(not number), name)
            elif isinstance(question, Total | Spread):
                totals.setdefault(name, []).extend(rules)
                profiled.setdefault(name, []).extend([question.column] * isinstance(question, Spread))
        for name, rules in totals.items():
            columns = ", ".join(dict.fromkeys(profiled[name]))
            purpose = f"profiling {columns}" if columns else "counting rows and measuring metrics"
            yield Pass("narrow", purpose, tuple(dict.fromkeys(rules)), 0, name)

    def _key_steps(self, key: KeyPass) -> Iterator[Pass]:
        rows = ids_of(check for check in self.row_checks if check.key == key)
        metrics = ids_of(check for check in self.metric_checks if check.key == key)
        names = ", ".join(key.columns)
        if self.sorts(key):
            yield Pass("narrow", f"counting keys of {names} as if they were sorted", (*rows, *metrics))
        yield Pass("narrow", f"counting keys of {names}", (*rows, *metrics), 0 if self.small else 1)
        # of a small batch, and of keys that are shuffled as they are, the doubled ones come along
        if key.whole and not self.small:
            yield Pass("narrow", f"looking closer at doubled keys of {names}", (*rows, *metrics), 1)

    @property
    def profiles(self) -> bool:
        """Whether columns of the batch are profiled."""
        return self.tally and self.sketches

    def sketched(self, columns: Iterable[Column]) -> tuple[Column, ...]:
        """Those of the columns that are profiled: all, or those whose sketches a rule compares with earlier ones."""
        compared = {check.analyzer.columns[0] for check in self.metric_checks if check.analyzer.source == "profile"}
        return tuple(column for column in columns if self.rule_set.profile or column.name in compared)

    @property
    def sketches(self) -> bool:
        """Whether columns have to be profiled."""
        return bool(self.sketched(self.columns))

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
        checks = (*self.metric_checks, *self.group_checks)
        asked = [*(check.rule.check for check in checks), *(rule.check for rule in self.schema_rules)]
        return max(map(batches_asked, asked), default=0)

    @property
    def unsettled(self) -> tuple[RowCheck, ...]:
        """The checks whose bounds are still to be measured."""
        rules = ((check, check.rule.check) for check in self.row_checks)
        return tuple(check for check, rule in rules if isinstance(rule, NoOutliers) and not rule.limits)

    def settled(self, found: Mapping[str, Sequence[float | None]], row: Row) -> Plan:
        """The plan with what was measured for the bounds of checks, by rule id."""
        return replace(
            self,
            row_checks=tuple(settled(c, found[c.rule.id], row) if c.rule.id in found else c for c in self.row_checks),
        )

    def only_rows(self) -> Plan:
        """The plan less everything that is no verdict on a row."""
        rows = replace(self, metric_checks=(), group_checks=(), composed=(), schema_rules=())
        return replace(rows, file_rules=(), verdict_rules=(), tally=False)

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


def plan(rule_set: RuleSet, row: Row, text: bool, more_rules: Iterable[Rule] = (), reading_scans: int = 0) -> Plan:
    """Compile every rule against the columns of the batch; one that does not fit becomes an error, alone.

    `more_rules` are those no file states: types pinned by the last published batch. `reading_scans` are the passes it
    took to find the columns (JSON lines)."""
    well_formed = f"not {MALFORMED}" if text else ""
    row_checks: list[RowCheck] = []
    metric_checks: list[MetricCheck] = []
    schema_rules: list[Rule] = []
    file_rules: list[Rule] = []
    verdict_rules: list[Rule] = []
    group_checks: list[MetricCheck] = []
    composed: list[Rule] = []

    def measure(rule: Rule, check: MetricRule, part_of: str = "") -> None:
        made = metric_check(rule, check, row, well_formed)
        made = replace(made, by=by_of(rule, row), part_of=part_of)
        refuse_hidden(made, rule_set.sensitive)
        (group_checks if made.by else metric_checks).append(made)

    errors: dict[str, str] = {}
    judged: list[Rule] = []
    for written in expanded((*rule_set.rules, *more_rules), row.columns):
        judged.append(written)
        try:
            rule = judged[-1] = about_batch(written, row)
            if rule.over:
                raise RuleDataError(f"no column of the batch is meant by '{rule.over}'")
            if isinstance(rule.check, RowRule):
                row_checks.append(
                    replace(
                        row_check(rule, rule.check, row, well_formed),
                        hiding=hiding_of(rule.check, rule_set.sensitive),
                        by=by_of(rule, row),
                    )
                )
            elif isinstance(rule.check, MetricRule):
                measure(rule, rule.check)
            elif isinstance(rule.check, BatchComposition):
                composed.append(rule)
                for number, part in enumerate(rule.check.metrics(), 1):
                    id = part_id(rule, number)
                    try:
                        measure(replace(rule, id=id, check=part), part, rule.id)
                    except RuleDataError as error:
                        errors[id] = str(error)
            elif isinstance(rule.check, FileRule):
                file_rules.append(rule)
            elif isinstance(rule.check, Verdict):
                verdict_rules.append(rule)
            else:
                schema_rules.append(rule)
        except RuleDataError as error:
            errors[written.id] = str(error)
    checks = (tuple(row_checks), tuple(metric_checks), tuple(schema_rules), tuple(file_rules), tuple(verdict_rules))
    grouped = (tuple(group_checks), tuple(composed))
    return Plan(rule_set, tuple(judged), row.columns, text, *checks, *grouped, errors, reading_scans)


def expanded(rules: Iterable[Rule], columns: Iterable[Column]) -> Iterator[Rule]:
    """Each rule over many columns as one for each of them; a rule that is written for a column takes the place of that one.
    A rule that finds no column stays as it is, unless it only records."""
    written = [*rules]
    taken = {rule.id.lower() for rule in written}
    for rule in written:
        found = [rule.of_column(name) for name in rule.over.select(columns)] if rule.over else []
        nothing = [] if rule.over and getattr(getattr(rule.check, "bounds", None), "recorded", False) else [rule]
        yield from [one for one in found if one.id.lower() not in taken] if found else nothing


def schema_differences(rule: Rule, plan: Plan, actual: tuple[Column, ...]) -> list[str]:
    """What a schema rule finds; in text formats the types are those declared, and each value is judged instead."""
    assert isinstance(rule.check, SchemaRule)
    if rule.check.from_past:
        return rule.check.differences(actual, tuple((column.name, column.type) for column in plan.before))
    declared = plan.rule_set.columns
    if plan.text:
        declared = tuple((name, "") for name, _ in declared)
    return rule.check.differences(actual, declared)
