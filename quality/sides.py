"""Measures a batch and writes its sides, in as few passes as its format and the place allow.

*Together*: one pass over the batch writes every row to its side; which rules failed on a row, and why, is then asked of the
failing rows alone, which are few. Where there is a tally (`backends/tally.py`) it rides beside the write: rows are counted,
metrics measured, columns profiled. Where the input is of several files, rows that fail are staged by groups of these
(`file_groups.py`). What only Spark's own aggregates can measure takes a pass of its own over the columns it
needs: beside the write they would cost twice as much, as `observe` leaves Spark's generated code. *Apart*: one pass
measures, and each side is a pass of its own. `writes_together` says what the first way takes.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from py4j.protocol import Py4JError, Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, Observation

from quality import slices
from quality.backends.beside import beside
from quality.backends.footers import row_counts
from quality.backends.reading import FILE, Batch, reason, with_file
from quality.backends.schemas import literal_path
from quality.backends.sizing import keeping
from quality.checks import KeyPass
from quality.engine import Findings, Groups
from quality.errors import StorageError
from quality.file_groups import MOST_FILES, FileGroups
from quality.keys import Frequencies
from quality.localise import Staged, dimensions, localised
from quality.model import Column
from quality.planner import Plan
from quality.results import Context, Sides
from quality.rows import SIDES, Marked, Origin, duplicates, hiding, side_expression, split
from quality.rule_types.base import RESERVED_PREFIX
from quality.scan import Scan, Scanned
from quality.slices import FailingRow, Slice
from quality.sql import quote
from quality.storage import readers
from quality.storage.commit import DataFile
from quality.storage.encryption import storage_options
from quality.storage.hadoop import HadoopStore
from quality.storage.store import LocalStore, Store
from quality.tally_scan import TallyScan

#: Failing rows that are looked at for the samples of a report, and how many of them stand there for each rule.
SAMPLED_ROWS = 200
SAMPLES_PER_RULE = 3

Samples = dict[str, list[dict[str, Any]]]
LOG = logging.getLogger("quality")

#: The column that tells where a row goes while all are written at once: 0 passes, 1 is quarantined, 2 passes and failed; of
#: quarantined rows with three times the group of their input file.
_SIDE = f"{RESERVED_PREFIX}side"
#: More open files of a task than there are sides: Spark then need not sort the rows by side before it writes them.
_WRITERS = ("spark.sql.maxConcurrentOutputFileWriters", "24")
#: Objects of a bucket that are moved at once.
_MOVING = 16


@dataclass(frozen=True)
class Written:
    """What is known of a batch when its rows are written: the files of each side, and samples of failing rows. `seen`: all rows
    that are quarantined or flagged, where they are few."""

    findings: Findings
    files: dict[str, tuple[DataFile, ...]]
    samples: Samples
    seen: Sequence[FailingRow] | None = None
    slices: Mapping[str, Slice] = field(default_factory=dict)


def measure_and_write(context: Context, batch: Batch, plan: Plan) -> Written:
    """Measure and write by whichever way fits. Raises InputError when the batch cannot be read, StorageError when it
    cannot be written."""
    plan = context.engine.analyse(batch.frame, plan)
    if not plan.kept:
        return _measure_and_write(context, batch, plan)
    # the file of a row is known only while it is read
    with keeping(context.spark, with_file(batch) if plan.several else batch) as kept:
        context.engine.kept.append(kept.frame)
        return _measure_and_write(context, kept, plan)


def _measure_and_write(context: Context, batch: Batch, plan: Plan) -> Written:
    try:
        plan = context.engine.settled(batch, plan)
        written = _together(context, batch, plan) if plan.together else None
        if written is None:
            written = _apart(context, batch, replace(plan, together=False))
            return replace(written, slices=_localised(context, batch, written))
        return written
    finally:
        context.engine.release()


def _localised(context: Context, batch: Batch, written: Written, staged: Staged | None = None) -> Mapping[str, Slice]:
    """The slices that explain failing rows. That none can be told is no reason to lose a run."""
    failing = (*written.files["quarantine"], *written.files["flags"])

    def read() -> DataFrame:
        return _read(context, failing, [*batch.columns, readers.QUALITY_COLUMN])

    try:
        return localised(context, batch, written.findings, written.files, read, written.seen, staged)
    except (PySparkException, Py4JJavaError) as error:
        LOG.warning("%s: what failing rows have in common could not be told: %s", context.run, reason(error))
        return {}


def writes_together(batch: Batch, store: Store, plan: Plan, *, needs_file: bool, by_runner: bool) -> bool:
    """Whether one pass can write all sides.

    Failing rows are read back to be explained, so the rows must say everything a rule asks: not the line of a text, nor
    the file, nor what a reference knows. The files of the sides are moved to their places, which a bucket does by copies of its own
    (not where rows in quarantine have a key of their own: none may be written without it). Deequ's own runner makes passes of its
    own.
    """
    names = {column.name.lower() for column in batch.columns}
    readable = not batch.text and not needs_file and len(names) == len(batch.columns)
    moves = isinstance(store, LocalStore) or (isinstance(store, HadoopStore) and store.root.startswith("hdfs:"))
    moves = moves or (_is_bucket(store) and not plan.rule_set.outputs.quarantine_kms_key)
    # of a small batch the passes cost less than the jobs
    asks = any(check.rule.check.questions() for check in plan.row_checks)
    return readable and moves and not asks and bool(plan.row_checks) and not by_runner and not batch.small


def _is_bucket(store: Store) -> bool:
    return store.root.startswith(("s3:", "s3a:", "s3n:"))


# apart


def _apart(context: Context, batch: Batch, plan: Plan) -> Written:
    with context.step("metrics", "measuring"):
        findings = context.engine.measure(batch, plan)
    with context.step("split", "splitting and writing rows"):
        files, samples, seen = _write_sides(context, batch, findings)
    return Written(findings, files, samples, seen)


def _origin(context: Context) -> Origin:
    return Origin(context.batch, context.run, context.rule_set.fingerprint)


def _write_sides(
    context: Context, batch: Batch, findings: Findings
) -> tuple[dict[str, tuple[DataFile, ...]], Samples, list[FailingRow] | None]:
    sides = split(batch, findings, _origin(context))
    flags = context.rule_set.outputs.flags
    frames = {
        "passed": sides.passed,
        "quarantine": sides.quarantined,
        "flags": sides.flagged if flags else None,
    }
    kept = None if flags else sides.flagged
    made = sum(frame is not None for frame in frames.values())
    context.engine.launched.wide += 0 if batch.kept else made + (kept is not None)
    context.engine.launched.shuffles += 0 if batch.small else made - 1 + (kept is not None)
    works: list[Callable[[], Any]] = [partial(_write, context, side, frame) for side, frame in frames.items()]
    if kept is not None:
        works.append(partial(_few, context, kept, "array()"))
    done = beside(context.spark, works) if batch.small else [work() for work in works]
    files = dict(zip(frames, done, strict=False))
    return files, *_samples(context, batch, files, done[-1] if kept is not None else [])


def _write(context: Context, side: str, frame: DataFrame | None) -> tuple[DataFile, ...]:
    """Write one side and count its rows from the footers of the files, not from our own numbers."""
    if frame is None:
        return ()
    folder = context.folder(side)
    writer = frame.write.options(
        **storage_options(context.rule_set.outputs.quarantine_kms_key if side == "quarantine" else "")
    )
    try:
        # a pass that was given up may have left the folder
        writer.mode("append").parquet(context.store.uri(folder))
    except (PySparkException, Py4JError) as error:
        raise StorageError(f"{context.store.uri(folder)}: the rows could not be written: {reason(error)}") from error
    return _files(context, folder)


def _files(context: Context, folder: str) -> tuple[DataFile, ...]:
    entries = [entry for entry in context.store.list(folder) if entry.key.endswith(".parquet")]
    rows = row_counts(context.spark, [context.store.uri(entry.key) for entry in entries])
    return tuple(DataFile(entry.key, count, entry.size) for entry, count in zip(entries, rows, strict=True))


def _samples(
    context: Context, batch: Batch, files: Sides, staying: Sequence[Any]
) -> tuple[Samples, list[FailingRow] | None]:
    """A few failing rows of each rule; `staying` are a few of those that go on without a flag, as `_few` gives them. And all
    rows of quarantine and flags, when these few are all."""
    samples: Samples = {}
    for row in staying:
        _add_sample(samples, json.loads(row["row"]))
    written = {side: rows for side in ("quarantine", "flags") if (rows := sum(file.rows for file in files[side]))}
    seen: list[FailingRow] | None = [] if all(rows <= SAMPLED_ROWS for rows in written.values()) else None
    texts = "array()" if seen is None else slices.texts_of(dimensions(context, batch))
    for side in written:
        for row in _few(context, _read(context, files[side], [*batch.columns, readers.QUALITY_COLUMN]), texts):
            found = json.loads(row["row"])
            failed = frozenset(failure["rule"] for failure in found[readers.QUALITY_COLUMN.name]["failures"])
            _add_sample(samples, found)
            if seen is not None:
                seen.append(FailingRow(failed, tuple(row["texts"])))
    return samples, seen


def _few(context: Context, frame: DataFrame, texts: str) -> list[Any]:
    few = hiding(frame.limit(SAMPLED_ROWS), context.rule_set.sensitive)
    return few.selectExpr("to_json(struct(*)) as row", f"{texts} as texts").collect()


def _read(context: Context, files: Sequence[DataFile], columns: Iterable[Column]) -> DataFrame:
    # types that are said need not be looked up
    schema = ", ".join(f"{quote(column.name)} {column.type}" for column in columns)
    paths = [literal_path(context.store.uri(file.path)) for file in files]
    return context.spark.read.schema(schema).parquet(*paths)


def _add_sample(samples: Samples, row: dict[str, Any]) -> None:
    quality_struct = row.pop(readers.QUALITY_COLUMN.name)
    for failure in quality_struct["failures"]:
        found = samples.setdefault(failure["rule"], [])
        if len(found) < SAMPLES_PER_RULE:
            # a line that could not be read has no columns: it is shown as it is
            found.append(row or {"line": failure.get("value")})


# together


def _together(context: Context, batch: Batch, plan: Plan) -> Written | None:
    """None when a rule fails while a pass runs, or too many keys are doubled: then the sides are written apart."""
    engine = context.engine
    with context.step("metrics", "measuring"):
        before = plan.only_apart() if plan.tally else plan
        try:
            needed = not plan.tally or plan.measured_apart
            scanned = engine.scan(batch, before, verdicts=False) if needed else None
        except (PySparkException, Py4JJavaError) as error:
            _give_up(context, error)
            return None
        frequencies = engine.frequencies(batch, plan)
        joined = [frequencies[check.key] for check in plan.row_checks if check.key]
        if any(found.duplicated and found.doubled is None for found in joined):
            return None
        groups = engine.groups(batch, plan)
    with context.step("split", "judging, splitting and writing rows"):
        # a frame of several inputs has no file for a row
        frame = with_file(batch).frame if plan.several else batch.frame
        told = FILE in frame.columns and len(batch.files) <= MOST_FILES
        # a condition that no row can meet leaves no file to read
        read = frame.inputFiles() if told else []
        groups_of_files = FileGroups.of(read) if read else None
        marked = duplicates(frame, plan.row_checks, frequencies)
        engine.launched.wide += 1
        try:
            beside = _write_by_side(context, batch, plan, marked, groups_of_files)
        except (PySparkException, Py4JJavaError) as error:
            _give_up(context, error)
            return None
    found = beside.merged(scanned) if beside and scanned else beside or scanned
    assert found is not None
    found = engine.with_own(batch, plan, found)
    plan = plan.without(found.errors)
    with context.step("reasons", "explaining failing rows"):
        known = (found, frequencies, groups)
        staged = _files(context, context.folder("passed"))
        written, few = _explained(context, batch, plan, known, staged)
    if few:
        rows = _with_group(few) if groups_of_files else few.frame
        written = replace(written, slices=_localised(context, batch, written, Staged(rows, groups_of_files)))
    return replace(written, files={**written.files, "passed": _settled(context, batch, staged)})


def _give_up(context: Context, error: BaseException) -> None:
    LOG.debug("%s: a shared pass failed, the sides are written apart: %s", context.run, reason(error))
    context.store.delete(entry.key for entry in context.store.list(context.folder("passed")))


def _write_by_side(
    context: Context, batch: Batch, plan: Plan, marked: Marked, groups: FileGroups | None
) -> Scanned | None:
    """Write every row to its side, those that are quarantined by the group of their input file. With a tally everything it can measure is
    measured beside the write."""
    names = [quote(column.name) for column in batch.columns]
    side = f"{side_expression(plan.row_checks, marked, groups.number(FILE) if groups else '')} as {_SIDE}"
    if not plan.tally:
        _write_sided(context, marked.joined.selectExpr(*names, side))
        return None
    scan = context.engine.scan_of(batch, plan.without_apart(), verdicts=False)
    assert isinstance(scan, TallyScan)
    watched, computed = Observation(), scan.computed()
    frame = marked.joined.selectExpr(*names, side, *computed).observe(watched, scan.beside().alias("tally"))
    # a projection copies every row once more: only where there is something to drop
    _write_sided(context, frame.selectExpr(*names, _SIDE) if computed else frame)
    return scan.read_tally(bytes(watched.get["tally"]))


def _write_sided(context: Context, frame: DataFrame) -> None:
    conf = context.spark.conf
    before = conf.get(_WRITERS[0], None)
    conf.set(*_WRITERS)
    try:
        writer = frame.write.partitionBy(_SIDE)
        writer.option("mapreduce.fileoutputcommitter.marksuccessfuljobs", "false").parquet(
            context.store.uri(context.folder("passed"))
        )
    finally:
        conf.set(_WRITERS[0], before) if before is not None else conf.unset(_WRITERS[0])


def _explained(
    context: Context,
    batch: Batch,
    plan: Plan,
    known: tuple[Scanned, Mapping[KeyPass, Frequencies], Groups],
    staged: Sequence[DataFile],
) -> tuple[Written, Batch | None]:
    """What is known when rows that fail have their reasons, the passed side still in its staged files; and these rows as staged,
    None where there are none."""
    scanned, frequencies, groups = known
    failing = [file for file in staged if _side_of(file)]
    files: dict[str, tuple[DataFile, ...]] = {"quarantine": (), "flags": ()}
    files["passed"] = tuple(file for file in staged if _side_of(file) != 1)
    samples: Samples = {}
    seen: list[FailingRow] | None = None
    few = replace(batch, frame=_read(context, failing, batch.columns)) if failing else None
    failed = Scan(few, plan.only_rows(), None).run().failed if few else {c.rule.id: 0 for c in plan.row_checks}
    scanned = replace(scanned, failed={**scanned.failed, **failed})
    findings = context.engine.findings(plan, scanned, frequencies, groups)
    if few:
        sides = split(few, findings, _origin(context))
        flags = context.rule_set.outputs.flags
        files["quarantine"] = _write(context, "quarantine", sides.quarantined)
        files["flags"] = _write(context, "flags", sides.flagged if flags else None)
        staying = [] if flags or sides.flagged is None else _few(context, sides.flagged, "array()")
        samples, seen = _samples(context, batch, files, staying)
    return Written(findings, files, samples, seen), few


def _side_of(file: DataFile) -> int:
    return _staged_as(file) % SIDES


def _staged_as(file: DataFile) -> int:
    found = re.search(rf"/{_SIDE}=(\d+)/", file.path)
    assert found, file.path
    return int(found[1])


def _with_group(few: Batch) -> DataFrame:
    """Staged rows with the group of their input file in the place of the file; NULL where they pass."""
    value = f"cast(regexp_extract(input_file_name(), '/{_SIDE}=([0-9]+)/', 1) as int)"
    return few.frame.selectExpr("*", f"if({value} % {SIDES} = 1, cast({value} div {SIDES} as string), null) as {FILE}")


def _settled(context: Context, batch: Batch, staged: Sequence[DataFile]) -> tuple[DataFile, ...]:
    """Move the rows that pass to their place, and drop the copies of those that do not."""
    folder = context.folder("passed")

    def move(file: DataFile) -> DataFile:
        name, kind = file.path.rpartition("/")[2], _staged_as(file)
        # a task names its files of all sides alike
        target = f"{folder}/{name if kind == 0 else name.replace('part-', 'part-k', 1)}"
        context.store.move(file.path, target)
        return replace(file, path=target)

    passing = [file for file in staged if _side_of(file) != 1]
    # a bucket copies, and many at once
    with ThreadPoolExecutor(_MOVING if _is_bucket(context.store) else 1) as pool:
        settled = tuple(pool.map(move, passing))
    context.store.delete(file.path for file in staged if _side_of(file) == 1)
    if settled:
        return settled
    # a file without rows, where none pass: it has the columns
    none = batch.frame.selectExpr(*(quote(column.name) for column in batch.columns)).where("false")
    return _write(context, "passed", none)
