"""One batch of a re-drive: judged as it stands, and committed anew with the rows that came back (see `redrive.py`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from py4j.protocol import Py4JError, Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from quality import history_reader, lookback, planner, publishing, quarantine, results, verification
from quality.backends.footers import row_counts
from quality.backends.reading import Batch, reason
from quality.backends.schemas import literal_path
from quality.backends.sizing import sized
from quality.engine import Findings
from quality.errors import EngineError, InputError, QualityError, StorageError
from quality.model import Column, Decision, RowCounts
from quality.references import References
from quality.results import Context
from quality.rows import ROW_ID, Origin, Split, split
from quality.runs import applying, types_for
from quality.sql import literal, quote
from quality.standing import BACK, SELECTED, Standing
from quality.storage import commit, layout, ledger
from quality.storage.commit import REDRIVE, CommitRecord, DataFile
from quality.storage.encryption import storage_options
from quality.storage.leases import Lease
from quality.storage.ledger import CORRECTED, REDRIVEN, Entry

SCHEMA = "quality.redrive/1"
_COPIES = 8
_SHOWN = 3


@dataclass(frozen=True)
class Wishes:
    """What a re-drive is asked for: rows that failed this rule, corrected rows from a file, by whom and why."""

    rule: str = ""
    corrected: str = ""
    by: str = ""
    reason: str = ""
    dry_run: bool = False


@dataclass(frozen=True)
class Redriven:
    """What a re-drive of one batch came to. `rows` counts those that were judged again and those of them that passed;
    `remaining` says which rules the others fail. `decision` is `none` when nothing was committed for want of rows."""

    dataset: str
    batch: str
    message: str
    decision: Decision = Decision.NONE
    exit_code: int = 0
    run: str = ""
    seq: int = 0
    judged: int = 0
    back: Mapping[str, int] = field(default_factory=dict)
    remaining: Mapping[str, int] = field(default_factory=dict)
    dry_run: bool = False
    result: Mapping[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "schema": SCHEMA,
            "dataset": self.dataset,
            "batch": self.batch,
            "run": self.run or None,
            "seq": self.seq or None,
            "decision": str(self.decision),
            "exit_code": self.exit_code,
            "dry_run": self.dry_run,
            "rows": {"judged": self.judged, **{state: self.back.get(state, 0) for state in (REDRIVEN, CORRECTED)}},
            "remaining": dict(self.remaining),
            "message": self.message,
        }


class Returning:
    """One batch on its way: judged as it stands, written anew, committed."""

    def __init__(self, context: Context, live: CommitRecord, wishes: Wishes, lease: Lease) -> None:
        self.context, self.live, self.wishes, self.lease = context, live, wishes, lease
        self.spark, self.store, self.rule_set = context.spark, context.store, context.rule_set
        self.columns = live.columns
        self.standing = Standing(self.spark, self.store, live, self.rule_set.input)
        self.place = layout.ledger_rows(live.dataset, live.batch, context.run)

    def result(self) -> Redriven:
        """Judge the batch, and commit what comes back. Raises QualityError when that cannot be told or done; nothing is committed
        then."""
        live = self.live
        if not live.quarantine:
            return self._told("no row is quarantined")
        last = commit.latest(self.store, live.dataset, live.batch)
        assert last is not None
        with self.context.step("read", "reading the quarantine"):
            types, pinned = types_for(self.rule_set, [live])
            self._refuse_other_types(types)
            batch = self.standing.batch(self.wishes.rule, self.wishes.corrected)
        with self.context.step("references", "reading references"):
            references = References(self.context.engine, self.store, self.rule_set)
            references.pin()
            batch = references.attach(batch)
        with sized(self.spark, batch) as batch:
            plan = planner.plan(self.rule_set, batch.row, batch.text, applying(pinned, batch.columns))
            tallied = self.context.engine.tallies(plan, small=batch.small)
            plan = self.context.engine.analyse(batch.frame, replace(plan, small=batch.small, tally=tallied))
            past = history_reader.records(self.store, live.dataset)
            plan = lookback.with_past(plan, self.store, past, live.batch, live.batch_time, self.spark)
            with self.context.step("metrics", "judging the batch as it stands"):
                findings = self.context.engine.measure(batch, plan)
            return self._move(batch, findings, last)

    def _told(self, message: str, **more: Any) -> Redriven:
        where = f"batch '{self.live.batch}' of '{self.live.dataset}'"
        return Redriven(self.live.dataset, self.live.batch, f"{where}: {message}", dry_run=self.wishes.dry_run, **more)

    def _refuse_other_types(self, types: Mapping[str, str]) -> None:
        """Rows of two types do not lie on one side."""
        today = {name.lower(): kind for name, kind in types.items()}
        for column in self.columns:
            kind = today.get(column.name.lower(), column.type)
            if kind != column.type and self.rule_set.input.is_text:
                raise InputError(
                    f"batch '{self.live.batch}': column '{column.name}' is {column.type} in the live run and {kind} by "
                    f"today's rules, so its rows cannot be mixed; run the batch again: quality run {self.rule_set.file} "
                    f"--batch {self.live.batch}"
                )

    # what comes back

    def _move(self, batch: Batch, findings: Findings, last: CommitRecord) -> Redriven:
        if any(found.duplicated and found.doubled is None for found in findings.frequencies.values()):
            raise EngineError(
                f"batch '{self.live.batch}': too many keys are doubled to judge a few rows; run the batch again"
            )
        judged = batch.frame.where(SELECTED).count()
        if not judged:
            return self._told(f"nothing to re-drive: {self._none()}", decision=Decision.NONE)
        # the keys were counted over the whole batch: what is doubled is known, and few rows are left to ask
        extra = (*self.columns, Column(ROW_ID, "string"), Column(BACK, "string"))
        few = replace(batch, frame=batch.frame.where(SELECTED), columns=extra)
        sides = split(few, findings, Origin(self.live.batch, self.context.run, self.rule_set.fingerprint))
        with self.context.step("split", "writing the rows that pass"):
            remaining = _reasons(sides.quarantined)
            if self.wishes.dry_run:
                back = {row[0]: int(row[1]) for row in sides.passed.groupBy(BACK).count().collect()}
                return self._told(
                    _summary(judged, back, remaining, "would pass"), judged=judged, back=back, remaining=remaining
                )
            files, count = self._write_back(sides)
        back = {CORRECTED if self.standing.supplied else REDRIVEN: count}
        more: dict[str, Any] = {"judged": judged, "remaining": remaining}
        if not count:
            return self._told(_summary(judged, {}, remaining, "pass"), **more)
        try:
            return self._commit(batch, findings, last, sides, files, {"back": back, **more})
        except (QualityError, PySparkException, Py4JJavaError):
            # nobody counts what a run without a record left; it is taken away all the same
            self._forget()
            raise

    def _none(self) -> str:
        rows = sum(file.rows for file in self.live.quarantine)
        if self.standing.supplied is not None:
            return f"none of the {self.standing.supplied.rows:,} corrected rows is an open row of the quarantine (of {rows:,})"
        return f"none of {rows:,} quarantined rows is open" + (
            f" and failed '{self.wishes.rule}'" * bool(self.wishes.rule)
        )

    def _write_back(self, sides: Split) -> tuple[tuple[str, ...], int]:
        """The rows that pass, in the ledger; whatever follows is made of these files."""
        own = ", ".join(quote(column.name) for column in self.columns)
        words = (f"{literal(self.context.run)} as entry", f"{literal(self.live.batch)} as batch")
        rows = sides.passed.selectExpr(f"{ROW_ID} as row_id", f"{BACK} as state", *words, f"struct({own}) as row")
        kms_key = self.rule_set.outputs.quarantine_kms_key
        return quarantine.write_rows(self.spark, self.store, self.place, rows, kms_key)

    def _commit(
        self,
        batch: Batch,
        findings: Findings,
        last: CommitRecord,
        sides: Split,
        files: tuple[str, ...],
        told: dict[str, Any],
    ) -> Redriven:
        context, live, count = self.context, self.live, sum(told["back"].values())
        with context.step("judge", "judging"):
            verdicts = verification.judge(findings.plan, findings.measured, batch.columns)
        written = self._write_sides(sides, [self.store.uri(file) for file in files])
        rows = RowCounts(
            sum(f.rows for f in (*live.passed, *live.quarantine)), *(_rows(written[side]) for side in layout.SIDES)
        )
        if rows.passed != _rows(live.passed) + count:
            raise StorageError(
                f"{rows.passed:,} rows were written to the passed side, must be {_rows(live.passed) + count:,}"
            )
        publishing.check_conservation(rows)
        outcome = verification.decide(verdicts, rows, self.rule_set.quarantined_above, self.rule_set.input.allow_empty)
        if outcome.decision == Decision.HELD:
            self._forget()
            failed = [result.id for result in verdicts if result.status in ("failed", "error")]
            why = f"{outcome.message} ({', '.join(failed[:_SHOWN])})" if failed else outcome.message
            told["back"] = {}
            return self._told(f"held, nothing was changed: {why}", decision=Decision.HELD, exit_code=4, **told)
        self.lease.confirm(file for side in written.values() for file in side)
        with context.step("store", "keeping the results"):
            data = results.judged(context, findings, verdicts, rows, outcome, written)
            own = self._number()
            data["redrive"] = {
                "of_seq": own,
                "by": self.wishes.by,
                "reason": self.wishes.reason or None,
                **told["back"],
            }
            act = {
                "action": REDRIVE,
                "of_seq": own,
                "by": self.wishes.by,
                "at": context.run_time,
                "reason": self.wishes.reason,
            }
            words = (self.wishes.by, context.run_time, self.wishes.reason, context.run)
            ledger.append(self.store, Entry(live.dataset, live.batch, context.run, told["back"], files, *words))
            kept = publishing.Kept(
                verdicts, findings.profile, rows, outcome, written, live.fingerprints, data, samples={}, act=act
            )
            publishing.publish(context, last, batch, kept)
        message = _summary(told["judged"], told["back"], told["remaining"], "pass and are live")
        more = {"run": context.run, "seq": last.seq + 1, "result": data, **told}
        return self._told(message, decision=Decision.PUBLISHED, **more)

    def _number(self) -> int:
        """The number under which the run was committed whose rows these are."""
        found = commit.records(self.store, self.live.dataset, self.live.batch)
        return next(record.seq for record in found if record.run == self.live.run)

    def _write_sides(self, sides: Split, back: list[str]) -> dict[str, tuple[DataFile, ...]]:
        ledger_rows = self.spark.read.parquet(*map(literal_path, back))
        self._copy("passed")
        self._write("passed", ledger_rows.select("row.*"))
        moved = ledger_rows.selectExpr(f"row_id as {ROW_ID}")
        staying = self.standing.frame("quarantine").join(moved, F.expr(f"_quality.row_id = {ROW_ID}"), "left_anti")
        self._write("quarantine", staying)
        if self.rule_set.outputs.flags:
            self._copy("flags")
            if sides.flagged is not None:
                own = [quote(column.name) for column in self.columns]
                self._write("flags", sides.flagged.selectExpr(*own, "_quality"))
        return {side: self._files(side) for side in layout.SIDES}

    def _write(self, side: str, frame: DataFrame) -> None:
        uri = self.store.uri(self.context.folder(side))
        kms_key = self.rule_set.outputs.quarantine_kms_key if side == "quarantine" else ""
        writer = frame.write.options(**storage_options(kms_key))
        try:
            writer.mode("append").parquet(uri)
        except (PySparkException, Py4JError) as error:
            raise StorageError(f"{uri}: the rows could not be written: {reason(error)}") from error

    def _copy(self, side: str) -> None:
        """The files of the live run, as files of this one: a partition, a view and a mirror read one folder."""
        folder = self.context.folder(side)
        pairs = [(file, f"{folder}/part-kept-{number:05}.parquet") for number, file in enumerate(self.live.files(side))]
        with ThreadPoolExecutor(_COPIES) as pool:
            list(pool.map(lambda pair: self._copy_file(*pair), pairs))

    def _copy_file(self, file: DataFile, key: str) -> None:
        try:
            self.store.copy(file.path, key)
        except FileNotFoundError:
            raise StorageError(f"{self.store.uri(file.path)}: is gone, although it is live") from None

    def _files(self, side: str) -> tuple[DataFile, ...]:
        entries = [e for e in self.store.list(self.context.folder(side)) if e.key.endswith(".parquet")]
        counts = row_counts(self.spark, [self.store.uri(entry.key) for entry in entries])
        found = [DataFile(entry.key, count, entry.size) for entry, count in zip(entries, counts, strict=True)]
        # an empty part is no rows; of the passed side one may be all there is
        empty = [file.path for file in found if not file.rows and (side != "passed" or len(found) > 1)]
        self.store.delete(empty)
        return tuple(file for file in found if file.path not in empty)

    def _forget(self) -> None:
        with suppress(StorageError):
            self.store.delete([f"{self.place}.json"])
            for folder in (self.place, *(self.context.folder(side) for side in layout.SIDES)):
                self.store.delete_folder(folder)


def _reasons(rows: DataFrame | None) -> dict[str, int]:
    """How many of the rows that stay fail each rule."""
    if rows is None:
        return {}
    failures = rows.selectExpr("explode(_quality.failures) as f").groupBy("f.rule").count()
    return {row[0]: int(row[1]) for row in failures.orderBy(F.expr("count").desc(), "rule").collect()}


def _summary(judged: int, back: Mapping[str, int], remaining: Mapping[str, int], verb: str) -> str:
    count, stay = sum(back.values()), judged - sum(back.values())
    text = (
        f"{count:,} of {judged:,} quarantined rows {verb}" if count else f"none of {judged:,} quarantined rows passes"
    )
    named = ", ".join(f"{rule} ({rows:,})" for rule, rows in list(remaining.items())[:_SHOWN])
    return text + (f"; {stay:,} still fail: {named}" if stay and named else "")


def _rows(files: Sequence[DataFile]) -> int:
    return sum(file.rows for file in files)
