"""Runs a plan: one shared scan for everything that is an aggregate, one narrow pass for each key.

A rule that Spark cannot analyse against this batch, or that makes the shared scan fail, is found and set apart: it ends
in `error`, alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from typing import Any, cast

from py4j.protocol import Py4JJavaError
from pyspark.errors import AnalysisException, ParseException, PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from quality import drifting, element_scan, further, group_scan, queries
from quality.analyzers import Analyzer
from quality.backends.beside import beside
from quality.backends.clocks import clock_problems
from quality.backends.deequ import CheckOutcome, Deequ, Demand, connect
from quality.backends.reading import Batch, reason
from quality.backends.tally import tally
from quality.checks import GroupPass, KeyPass, MetricCheck, RowCheck
from quality.distributions import Drift
from quality.elements import SOURCE as OF_ELEMENTS
from quality.errors import EngineError, InputError, RuleDataError, did_you_mean
from quality.grouping import Group, too_many_groups
from quality.keys import Frequencies, KeyCounter, metric_of_keys
from quality.matches import Match
from quality.model import Metric
from quality.planner import Plan
from quality.profiles import Profile
from quality.rule_types.base import RESERVED_PREFIX, MetricRule
from quality.scan import Scan, Scanned
from quality.sql import names_clock, quote
from quality.tally_scan import TallyScan
from quality.verification import Counts, Measured, ratio_metric

ENGINES = ("auto", "deequ", "deequ-runner", "spark")


@dataclass
class Launched:
    """Passes that were really made."""

    wide: int = 0
    narrow: int = 0
    shuffles: int = 0

    def add(self, other: Launched) -> None:
        """Count those of another as well."""
        self.wide += other.wide
        self.narrow += other.narrow
        self.shuffles += other.shuffles

    def to_dict(self) -> dict[str, int]:
        """As the result JSON has it."""
        return {"wide": self.wide, "narrow": self.narrow, "shuffles": self.shuffles}


@dataclass(frozen=True)
class Findings:
    """All that the passes before the split found."""

    plan: Plan
    measured: Measured
    frequencies: Mapping[KeyPass, Frequencies] = field(default_factory=dict)
    profile: Profile | None = None


@dataclass(frozen=True)
class Groups:
    """What was measured of each group, by rule, or why it could not be; and what queries gave, or why they gave nothing."""

    measured: Mapping[str, Mapping[Group, Measured]] = field(default_factory=dict)
    ungrouped: Mapping[str, str] = field(default_factory=dict)
    asked: Mapping[str, Metric] = field(default_factory=dict)
    unasked: Mapping[str, str] = field(default_factory=dict)

    def merged(self, other: Groups) -> Groups:
        """Both together."""
        return Groups(
            {**self.measured, **other.measured},
            {**self.ungrouped, **other.ungrouped},
            {**self.asked, **other.asked},
            {**self.unasked, **other.unasked},
        )


class Engine:
    """Runs plans in one session. `kind` is one of ENGINES; `auto` is Deequ over the bridge where it holds."""

    def __init__(self, spark: SparkSession, kind: str = "auto") -> None:
        self.spark = spark
        self.deequ: Deequ | None = None if kind == "spark" else connect(spark)
        bridged = self.deequ is not None and kind != "deequ-runner" and self.deequ.bridged
        self.kind = "spark" if self.deequ is None else "deequ" if bridged else "deequ-runner"
        if kind not in ("auto", self.kind):
            raise EngineError(
                f"engine '{kind}' is not to be had here: Deequ's classes are missing or of an unknown version; "
                f"'quality jars' says what Spark must be given, 'auto' does with what there is"
            )
        # asked for now: after the JVM has died there is no one to ask
        self.spark_version = spark.version
        self.launched = Launched()
        self.kept: list[DataFrame] = []

    def release(self) -> None:
        """Let Spark forget what was kept between passes."""
        while self.kept:
            self.kept.pop().unpersist()

    def fresh(self) -> Engine:
        """The same engine with nothing launched yet."""
        again = copy(self)
        again.launched, again.kept = Launched(), []
        return again

    # before the scan

    def analyse(self, frame: DataFrame, plan: Plan) -> Plan:
        """The plan less the rules whose SQL Spark cannot resolve against the batch. No job runs."""
        wanted = [(check.rule.id, [check.scope, check.complies, f"{check.value} is null"]) for check in plan.row_checks]
        metrics = (*plan.metric_checks, *plan.group_checks)
        wanted += [(check.rule.id, [check.scope, *self._aggregate_texts(check)]) for check in metrics]
        errors: dict[str, str] = {}
        self._analyse(frame, wanted, errors)
        for id, texts in wanted:
            asked = [text for text in dict.fromkeys(texts) if id not in errors and names_clock(text)]
            clock = [wrong for text in asked for wrong in clock_problems(frame.where(text), text)]
            errors |= {id: clock[0]} if clock else {}
        return plan.without(errors)

    @staticmethod
    def _aggregate_texts(check: MetricCheck) -> list[str]:
        return [f"{reference} is null" for reference in check.references]

    def _analyse(self, frame: DataFrame, wanted: list[tuple[str, list[str]]], errors: dict[str, str]) -> None:
        """All at once; when that fails, halves, down to the rules that are to blame."""
        if not wanted:
            return
        try:
            # a filter takes no aggregate, window or generator: exactly what an expression over a row may not be
            condition = " and ".join(f"({text})" for _, texts in wanted for text in dict.fromkeys(texts))
            _ = frame.where(condition).schema
        except (AnalysisException, ParseException) as error:
            if len(wanted) == 1:
                errors[wanted[0][0]] = in_words(error, frame.columns)
                return
            middle = len(wanted) // 2
            self._analyse(frame, wanted[:middle], errors)
            self._analyse(frame, wanted[middle:], errors)

    # the shared scan

    def measure(self, batch: Batch, plan: Plan) -> Findings:
        """Every count and metric the rules need. The plan has been analysed."""
        # the first pass that is made keeps the rows for all others
        self.launched.wide += batch.kept
        plan = self.settled(batch, plan)
        early = self.fresh()
        works: list[Callable[[], Any]] = [lambda: self._scanned(batch, plan)]
        if batch.small and plan.key_passes:
            works.append(lambda: early.early_frequencies(batch, plan))
        scanned, *counted = beside(self.spark, works)
        self.launched.add(early.launched)
        scanned = self.with_own(batch, plan, scanned)
        plan = plan.without(scanned.errors)
        frequencies = counted[0] if counted and counted[0] is not None else self.frequencies(batch, plan)
        return self.findings(plan, scanned, frequencies, self.groups(batch, plan))

    def early_frequencies(self, batch: Batch, plan: Plan) -> dict[KeyPass, Frequencies] | None:
        """How often keys occur, before it is known which rules fail while they run. None when one of them does here."""
        try:
            return self.frequencies(batch, plan)
        except (PySparkException, Py4JJavaError):
            return None

    def _scanned(self, batch: Batch, plan: Plan) -> Scanned:
        try:
            return self.scan(batch, plan)
        except (PySparkException, Py4JJavaError) as error:
            self._refuse_unreadable(batch, error)
            return self._bisect(batch, plan, error)

    def settled(self, batch: Batch, plan: Plan) -> Plan:
        """The plan with the bounds that come from the batch itself: a narrow pass, or two. A rule whose bounds cannot be
        measured ends in an error, alone."""
        while checks := plan.unsettled:
            self.launched.narrow += not batch.kept
            try:
                found = further.bounds(batch, checks)
            except (PySparkException, Py4JJavaError) as error:
                self._refuse_unreadable(batch, error)
                plan = plan.without({check.rule.id: reason(error) for check in checks})
            else:
                plan = plan.settled(found, batch.row)
        return plan

    def frequencies(self, batch: Batch, plan: Plan) -> dict[KeyPass, Frequencies]:
        """How often the keys of every key pass occur: a narrow pass for each."""

        def launch(shuffles: int) -> None:
            self.launched.narrow += not batch.kept
            self.launched.shuffles += shuffles

        counter = KeyCounter(self.spark, launch, self.kept)
        return {key: counter.count(batch, key) for key in plan.key_passes}

    def with_own(self, batch: Batch, plan: Plan, scanned: Scanned) -> Scanned:
        """What was scanned, with the metrics that take passes of their own; a rule whose pass fails ends in an error, alone."""
        metrics, errors = dict(scanned.metrics), dict(scanned.errors)
        for own in plan.own_passes:
            checks = [c for c in plan.metric_checks if c.own == own and c.rule.id not in errors]
            self.launched.narrow += 0 if batch.kept else 1 if batch.small else own.reads
            self.launched.shuffles += 0 if batch.small else own.shuffles
            try:
                by = element_scan if own.kind == OF_ELEMENTS else further
                metrics |= by.measure(batch, own, checks)
            except (PySparkException, Py4JJavaError) as error:
                errors |= {check.rule.id: reason(error) for check in checks}
        return replace(scanned, metrics=metrics, errors=errors)

    def groups(self, batch: Batch, plan: Plan) -> Groups:
        """What is measured in each group of rows: a pass for each set of columns that rules are grouped by."""
        found = Groups()
        for part in plan.group_passes:
            found = found.merged(self._in_groups(batch, plan, part))
        for check in plan.queries:
            found = found.merged(self._asked(batch, check))
        return found

    def _asked(self, batch: Batch, check: MetricCheck) -> Groups:
        def launch(times: int, others: int) -> None:
            self.launched.narrow += others + (0 if batch.kept else times)
            self.launched.shuffles += 0 if batch.small else times

        try:
            return Groups(asked={check.rule.id: queries.ask(batch, check, launch)})
        except (AnalysisException, ParseException) as error:
            return Groups(unasked={check.rule.id: in_words(error, [column.name for column in batch.columns])})
        except (PySparkException, Py4JJavaError) as error:
            return Groups(unasked={check.rule.id: reason(error)})
        except RuleDataError as error:
            return Groups(unasked={check.rule.id: str(error)})

    def _in_groups(self, batch: Batch, plan: Plan, part: GroupPass) -> Groups:
        def launch(shuffles: int) -> None:
            self.launched.narrow += not batch.kept
            self.launched.shuffles += shuffles

        try:
            grouped = group_scan.measure(batch, plan, part, launch)
        except group_scan.TooManyGroupsError:
            first = part.scopes[0]
            if len(part.scopes) == 1:
                return Groups(ungrouped=dict.fromkeys(part.rules, too_many_groups(part.columns)))
            # those of one rule may be few
            one, others = part.only(lambda check: check.scope == first), part.only(lambda check: check.scope != first)
            return self._in_groups(batch, plan, one).merged(self._in_groups(batch, plan, others))
        except (PySparkException, Py4JJavaError) as error:
            if len(part.rules) == 1:
                return Groups(ungrouped={part.rules[0]: reason(error)})
            half = set(part.rules[: len(part.rules) // 2])
            one, others = (part.only(lambda c, w=w: (c.rule.id in half) == w) for w in (True, False))  # type: ignore[misc]
            return self._in_groups(batch, plan, one).merged(self._in_groups(batch, plan, others))
        own = group_scan.plan_of(plan, part)
        measured = {group: self.measured(own, of.scanned, of.frequencies) for group, of in grouped.items()}
        return Groups(dict.fromkeys(part.rules, measured))

    def findings(
        self, plan: Plan, scanned: Scanned, frequencies: Mapping[KeyPass, Frequencies], groups: Groups
    ) -> Findings:
        """What the passes found, by rule."""
        scanned = replace(scanned, metrics={**scanned.metrics, **groups.asked})
        measured = self.measured(plan, scanned, frequencies)
        measured = replace(measured, groups=groups.measured, ungrouped=groups.ungrouped)
        measured = replace(measured, errors={**measured.errors, **groups.unasked})
        return Findings(plan, measured, frequencies, scanned.profile)

    def scan(self, batch: Batch, plan: Plan, *, verdicts: bool = True) -> Scanned:
        """One pass over the columns that are needed. Without `verdicts` the failing rows of row rules are not counted.
        Raises what Spark raises."""
        scan = self.scan_of(batch, plan, verdicts=verdicts)
        self.launched.narrow += not (verdicts or batch.kept)
        self.launched.wide += verdicts and not batch.kept
        scanned = scan.run()
        return self._by_runner(batch, plan, scanned) if self.kind == "deequ-runner" else scanned

    def scan_of(self, batch: Batch, plan: Plan, *, verdicts: bool = True) -> Scan:
        """What is to be measured of every row of a batch by a plan."""
        deequ = self.deequ if self.kind == "deequ" else None
        aggregate = tally(self.spark) if plan.tally else None
        if aggregate:
            return TallyScan(batch, plan, deequ, aggregate, verdicts=verdicts)
        return Scan(batch, plan, deequ, verdicts=verdicts)

    def tallies(self, plan: Plan, *, small: bool) -> bool:
        """Whether the tally is to count: of a small batch it would not pay, unless there is a profile to make."""
        if not (plan.sketches or (self.kind == "deequ" and not small)):
            return False
        found = tally(self.spark)
        if found:
            found.quicken(self.spark)
        return found is not None

    def _refuse_unreadable(self, batch: Batch, error: BaseException) -> None:
        """Raise InputError when the batch cannot be read without any rule either: then no rule is to blame."""
        self.launched.wide += not batch.kept
        # Spark hashes everything but maps
        names = [quote(column.name) for column in batch.columns if "map<" not in column.type]
        try:
            batch.frame.agg(F.expr(f"max(hash({', '.join(names)}))" if names else "count(1)")).collect()
        except (PySparkException, Py4JJavaError):
            raise InputError(f"the batch cannot be read: {reason(error)}") from error

    def _by_runner(self, batch: Batch, plan: Plan, scanned: Scanned) -> Scanned:
        """Deequ's own runner measures what the bridge would have, in a scan of its own."""
        assert self.deequ is not None
        scan = Scan(batch, plan, self.deequ)
        wanted = [(index, check) for index, check in enumerate(scan.metric_checks) if scan.by_deequ(check)]
        if not wanted:
            return scanned
        self.launched.wide += not batch.kept
        inputs = [scan.input_names(index, check) for index, check in wanted]
        found = self.deequ.run(
            scan.projection(), [self.deequ.analyzer(c.analyzer, i) for (_, c), i in zip(wanted, inputs, strict=False)]
        )
        metrics = {c.rule.id: c.analyzer.metric(self.deequ.value(found[i])) for i, (_, c) in enumerate(wanted)}
        return replace(scanned, metrics={**scanned.metrics, **metrics})

    def _bisect(self, batch: Batch, plan: Plan, error: BaseException) -> Scanned:
        """The shared scan failed while it ran: find the rules that make it fail, by halves."""
        ids = [*(c.rule.id for c in plan.row_checks), *(c.rule.id for c in plan.metric_checks)]
        if not ids:
            raise InputError(f"the batch cannot be read: {reason(error)}") from error
        if len(ids) == 1:
            rest = self.scan(batch, plan.without({ids[0]: ""}))
            return replace(rest, errors={ids[0]: reason(error)})
        halves = (ids[: len(ids) // 2], ids[len(ids) // 2 :])
        left, right = (
            self._scan_or_bisect(batch, plan.without(dict.fromkeys(other, ""))) for other in reversed(halves)
        )
        return left.merged(right)

    def _scan_or_bisect(self, batch: Batch, plan: Plan) -> Scanned:
        try:
            return self.scan(batch, plan)
        except (PySparkException, Py4JJavaError) as error:
            return self._bisect(batch, plan, error)

    @staticmethod
    def measured(plan: Plan, scanned: Scanned, frequencies: Mapping[KeyPass, Frequencies]) -> Measured:
        """What was found, by rule."""
        counts = {}
        for check in plan.row_checks:
            scope, failed = scanned.scopes[check.scope], scanned.failed[check.rule.id]
            duplicates = frequencies[check.key].duplicate_rows if check.key else 0
            counts[check.rule.id] = Counts(scope, failed + duplicates)
        metrics = {c.rule.id: _metric(c, scanned, frequencies) for c in plan.metric_checks}
        scopes = {c.rule.id: scanned.scopes[c.scope] for c in plan.metric_checks}
        return Measured(scanned.rows, scanned.malformed, counts, metrics, scopes, {**plan.errors})

    # Deequ's verdicts

    def checks(self, findings: Findings, name: str) -> list[CheckOutcome]:
        """The rules as Deequ Checks, evaluated on the metrics that were measured."""
        if self.deequ is None:
            return []
        demands = [self._row_demand(check, findings.measured) for check in findings.plan.row_checks]
        # a part says nothing by itself
        for check in (check for check in findings.plan.metric_checks if not check.part_of):
            demands += self._metric_demand(self.deequ, check, findings.measured)
        return self.deequ.evaluate(name, [demand for demand in demands if demand])

    @staticmethod
    def _row_demand(check: RowCheck, measured: Measured) -> Demand | None:
        counts = measured.counts.get(check.rule.id)
        # a tolerance of groups is none of the whole batch
        if counts is None or not counts.scope or check.by:
            return None
        tolerance = check.rule.tolerance
        allowed = max(int(Decimal(repr(tolerance.ratio)) * counts.scope), tolerance.rows)
        least = (counts.scope - min(allowed, counts.scope)) / counts.scope
        hint = check.rule.check.requirement()
        found = (counts.scope - counts.failed, counts.scope)
        return Demand(check.rule.id, check.rule.severity, check.analyzer, found, (("at_least", least),), hint)

    @staticmethod
    def _metric_demand(deequ: Deequ, check: MetricCheck, measured: Measured) -> list[Demand]:
        metric, rule = measured.metrics.get(check.rule.id), check.rule
        if metric is None or isinstance(metric.value, (str, date, type(None))) or not check.analyzer.deequ:
            return []
        assert isinstance(rule.check, MetricRule)
        if (
            rule.check.bounds.recorded
            or rule.check.bounds.past
            or any(isinstance(bound, str) for _, bound in rule.check.bounds.terms)
        ):
            return []
        value = _deequ_metric(deequ, check.analyzer, metric)
        terms = tuple((word, float(bound)) for word, bound in rule.check.bounds.terms)
        return [Demand(rule.id, rule.severity, check.analyzer, value, terms, rule.check.requirement())]


def in_words(error: AnalysisException | ParseException, columns: Sequence[str]) -> str:
    """Why Spark cannot analyse an expression, in the steward's words."""
    kind = str(error.getErrorClass() or "")
    if kind.startswith("UNRESOLVED_COLUMN"):
        origin = cast("Any", error)._origin
        name = str(origin.getMessageParameters().get("objectName")).strip("`")
        known = [column for column in columns if not column.startswith(RESERVED_PREFIX)]
        return f"column '{name}' is not in the data; {did_you_mean(name, known, 'columns')}"
    if kind == "INVALID_WHERE_CONDITION":
        return "an aggregate, window or generator function is not an expression over one row"
    return re.sub(r";? *line \d+ pos \d+;?$", "", reason(error))


def _deequ_metric(deequ: Deequ, analyzer: Analyzer, metric: Metric) -> Any:
    if analyzer.source == "counts":
        return metric.numerator or 0, metric.denominator or 0
    if analyzer.name == "Size":
        return deequ.from_size(deequ.real(analyzer), int(metric.value))
    if analyzer.state:
        return deequ.from_state(deequ.real(analyzer), analyzer.state, float(metric.value))
    return deequ.from_value(metric.key, float(metric.value))


def _metric(check: MetricCheck, scanned: Scanned, frequencies: Mapping[KeyPass, Frequencies]) -> Metric:
    analyzer = check.analyzer
    if isinstance(analyzer, Match):
        measured = scanned.metrics.get(check.rule.id)
        if analyzer.answer is None:
            return Metric(analyzer.key, None)
        return analyzer.beside(measured.value if measured else scanned.scopes[check.scope])
    if analyzer.name == "Size":
        return Metric(analyzer.key, scanned.scopes[check.scope])
    if isinstance(analyzer, Drift):
        if check.reference is None or scanned.profile is None:
            return Metric(analyzer.key, None)
        return drifting.measured(analyzer, check.reference, scanned.profile)
    if analyzer.source == "counts":
        scope = scanned.scopes[check.scope]
        return ratio_metric(analyzer, scope - scanned.failed[check.rule.id], scope)
    if check.key:
        return metric_of_keys(analyzer, frequencies[check.key])
    # examples and windows ask no query
    return scanned.metrics.get(check.rule.id) or Metric(analyzer.key, None)
