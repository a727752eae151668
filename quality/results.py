"""What a run knows, and the result it leaves: the result JSON as plain data."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pyspark.sql import SparkSession

import quality
from quality.backends.deequ import CheckOutcome
from quality.backends.executions import executed
from quality.engine import Engine, Findings
from quality.errors import UsageError, did_you_mean
from quality.model import BatchStatus, Decision, RowCounts, RuleResult
from quality.profiles import Profile
from quality.rule_types.rules import RuleSet
from quality.storage import layout
from quality.storage.commit import DataFile, utc_text
from quality.storage.store import Store
from quality.verification import Outcome

SCHEMA = "quality.result/1"
Progress = Callable[[str], None]
Sides = Mapping[str, tuple[DataFile, ...]]


@dataclass(frozen=True)
class RunResult:
    """The result of a run: `data` is the result JSON as plain data; `checks` are Deequ's own check results, `profile`
    that of the batch where the rule file asks for it."""

    data: Mapping[str, Any]
    checks: tuple[CheckOutcome, ...] = ()
    profile: Profile | None = None

    @property
    def exit_code(self) -> int:
        """What a scheduler goes by."""
        return int(self.data["exit_code"])

    @property
    def status(self) -> BatchStatus:
        """The verdict on the batch."""
        return BatchStatus(self.data["status"])

    @property
    def decision(self) -> Decision:
        """Whether readers get the batch."""
        return Decision(self.data["decision"])

    @property
    def unchanged(self) -> bool:
        """Whether there was nothing to do."""
        return bool(self.data["unchanged"])

    def rule(self, id: str) -> Mapping[str, Any]:
        """The entry of a rule. Raises UsageError for an id that is not there."""
        for entry in self.data["rules"]:
            if entry["id"] == id:
                return dict(entry)
        raise UsageError(f"there is no rule '{id}'; {did_you_mean(id, [e['id'] for e in self.data['rules']], 'rules')}")

    def to_json(self) -> str:
        """The result JSON."""
        return to_json(self.data)

    def _repr_html_(self) -> str:
        """The report, in a notebook."""
        from quality.report import html

        return html.render(dict(self.data))


def to_json(data: Mapping[str, Any]) -> str:
    """The result JSON of plain data."""
    return json.dumps(data, ensure_ascii=False, indent=1)


@dataclass
class Context:
    """What a run knows before it reads."""

    rule_set: RuleSet
    spark: SparkSession
    store: Store
    engine: Engine
    run: str
    run_time: datetime
    batch_time: datetime
    progress: Progress
    started: float = field(default_factory=time.perf_counter)
    timings: dict[str, float] = field(default_factory=dict)

    @property
    def dataset(self) -> str:
        """The data set's id."""
        return self.rule_set.dataset

    @property
    def batch(self) -> str:
        """The batch's id."""
        return self.rule_set.batch

    @property
    def result_key(self) -> str:
        """Where the result is kept."""
        return layout.result_key(self.dataset, self.batch, self.run)

    @property
    def report_key(self) -> str:
        """Where the report is kept."""
        return self.result_key.replace("result.json", "report.html")

    def folder(self, side: str) -> str:
        """Where the rows of a side are kept."""
        return f"{layout.runs_dir(side, self.dataset, self.batch)}/{self.run}"

    @contextmanager
    def step(self, name: str, words: str) -> Iterator[None]:
        """Tell and time a step."""
        self.progress(words)
        start = time.perf_counter()
        yield
        self.timings[name] = round(time.perf_counter() - start, 3)


def judged(
    context: Context,
    findings: Findings,
    results: Sequence[RuleResult],
    rows: RowCounts,
    outcome: Outcome,
    sides: Sides,
) -> dict[str, Any]:
    """The result of a run that came to a decision."""
    counted = executed(context.spark, context.run)
    return {
        **_header(context),
        "status": str(outcome.status),
        "decision": str(outcome.decision),
        "exit_code": outcome.exit_code,
        "message": outcome.message or None,
        "rows": rows.to_dict(),
        "rules": [result.to_dict() for result in results],
        "anomalies": [],
        "outputs": _outputs(context, sides),
        "passes": {
            "planned": findings.plan.passes.to_dict(),
            "actual": {**context.engine.launched.to_dict(), **vars(counted)},
        },
        **_footer(context),
    }


def failed(context: Context, message: str) -> dict[str, Any]:
    """The result of a run that ended before there was anything to decide."""
    return {
        **_header(context),
        "status": str(BatchStatus.ERROR),
        "decision": str(Decision.NONE),
        "exit_code": 3,
        "message": message,
        "rows": RowCounts().to_dict(),
        "rules": [],
        "anomalies": [],
        "outputs": {
            "passed": None,
            "quarantine": None,
            "history": None,
            "report": context.store.uri(context.report_key),
        },
        "passes": {
            "planned": None,
            "actual": {**context.engine.launched.to_dict(), "jobs": None, "shuffle_bytes": None},
        },
        **_footer(context),
    }


def _header(context: Context) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "dataset": context.dataset,
        "batch": context.batch,
        "batch_time": utc_text(context.batch_time),
        "run": context.run,
        "unchanged": False,
        "rule_file": context.rule_set.file,
        "rule_set": context.rule_set.fingerprint,
    }


def _footer(context: Context) -> dict[str, Any]:
    deequ = context.engine.deequ
    return {
        "timings": {**context.timings, "total": round(time.perf_counter() - context.started, 3)},
        "versions": {
            "quality": quality.__version__,
            "spark": context.engine.spark_version,
            "deequ": deequ.version if deequ else "",
            "engine": context.engine.kind,
        },
    }


def _outputs(context: Context, sides: Sides) -> dict[str, str | None]:
    def place(side: str) -> str | None:
        return context.store.uri(context.folder(side)) if sides.get(side) else None

    return {
        "passed": place("passed"),
        "quarantine": place("quarantine"),
        "history": context.store.uri("history"),
        "report": context.store.uri(context.report_key),
    }
