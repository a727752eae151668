"""A stream: the same rules on micro-batches as they come, each a batch of its own, committed exactly once.

The batch id of a micro-batch is what Spark's checkpoint calls it: the query and a number (`layout.micro_batch`). Spark notes what
belongs to a number before it hands it over, and that it is done after we committed it. So whatever is killed in between, the
same number comes again with the same rows: either its commit record is there, and it is passed over, or it is judged again and
committed under the same key, which is written only if it is not there. Everything behind the record (files of a dead run, the
manifest, tables, views) is as for a batch.

A micro-batch that is held stops the stream: nothing that comes later overtakes it unless that is asked for. The next start
meets it again, and goes on when somebody published it, or by changed rules.
"""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from quality import lookback, targets, windows
from quality.backends.needs import needs
from quality.backends.parsing import refuse_unparsable
from quality.backends.session import session
from quality.backends.sizing import sized
from quality.backends.streaming import (
    FilesOfMicroBatch,
    MicroBatch,
    Query,
    files_as_they_come,
    messages_as_they_come,
)
from quality.backends.topics import MessagesOfMicroBatch
from quality.engine import ENGINES, Engine
from quality.errors import NoColumnsError, StorageError, UsageError, did_you_mean
from quality.model import Decision, RowCounts, gravest_exit
from quality.references import References
from quality.results import Context, Progress, RunResult
from quality.rule_types.rules import RuleSet, StreamSettings, digest
from quality.rulefile import load, parsed
from quality.rulefile.streams import read_options
from quality.runs import fingerprints, guarded, judged, mentions_file, planned, types_for, unchanged
from quality.storage import commit, layout
from quality.storage.commit import CommitRecord
from quality.storage.leases import Lease
from quality.storage.store import Store, open_store

LOG = logging.getLogger("quality")
Told = Callable[[RunResult], None]
#: How often a waiting stream looks whether it shall end, in seconds.
_TICK = 0.2
#: The part of a record's fingerprints that says which rows a micro-batch has.
_IDENTITY = "micro_batch"


@dataclass(frozen=True)
class StreamResult:
    """What came of a stream until it ended. `batches` were judged here, `passed_over` had been committed before or were
    empty; `windows` were written; `rows` are of the micro-batches judged. `last` is the last result, `ended` says why there is no further one."""

    dataset: str
    stream: str
    batches: int = 0
    passed_over: int = 0
    windows: int = 0
    rows: RowCounts = RowCounts()
    exit_code: int = 0
    ended: str = ""
    last: RunResult | None = field(default=None, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """As plain data, without the last result."""
        kept = ("dataset", "stream", "batches", "passed_over", "windows", "exit_code", "ended")
        return {**{name: getattr(self, name) for name in kept}, "rows": self.rows.to_dict()}


def stream(
    rules: str | Path,
    *,
    input: str | None = None,
    variables: Mapping[str, Any] | None = None,
    root: str | None = None,
    dataset: str | None = None,
    references: Mapping[str, str] | None = None,
    spark: SparkSession | None = None,
    engine: str = "auto",
    allow_env: frozenset[str] = frozenset(),
    once: bool = False,
    trigger: str | None = None,
    max_batches: int | None = None,
    on_held: str | None = None,
    checkpoint: str | None = None,
    window: str | None = None,
    new_stream: bool = False,
    stop: threading.Event | None = None,
    signals: bool = False,
    told: Told | None = None,
    progress: Progress | None = None,
    conf: Mapping[str, str] | None = None,
) -> StreamResult:
    """Judge what comes into a directory or a topic, micro-batch by micro-batch, by the rules as they are in the file now.

    With `once` it ends when all is read that was there at the start; else it goes on until `stop` is set, `max_batches` were
    judged, or one is held or cannot be judged. With `signals` SIGTERM and SIGINT end it after the micro-batch that is worked on,
    a second SIGINT at once (in the main thread only). `told` gets the result of each. `trigger`, `on_held`, `checkpoint` and `window`
    take the place of what the section `stream:` says; the other arguments are those of `run`. A checkpoint that knows nothing reads
    everything from the start: where another stream fed the data set, that takes `new_stream`. Raises UsageError before
    anything is read; what happens to a micro-batch is in its result.
    """
    options = read_options({"trigger": trigger, "on_held": on_held, "checkpoint": checkpoint, "window": window})
    if engine not in ENGINES:
        raise UsageError(f"engine '{engine}' is not known; {did_you_mean(engine, ENGINES)}")
    if max_batches is not None and max_batches < 1:
        raise UsageError(f"'max_batches' must be at least 1, got {max_batches}")
    given: Any = {"variables": variables, "allow_env": allow_env, "input_path": input, "root": root}
    given |= {"dataset": dataset, "references": references}
    tree = parsed(rules)
    whole = load(rules, tree=tree, **given)
    _refuse_batches(whole)
    say = progress or (lambda _words: None)
    if spark is None:
        say("starting Spark")
    # however small what lies there is: a stream goes on
    with session(spark, extra=conf, needs=needs([whole], conf) - {"haste"}) as own:
        refuse_unparsable(own.spark, whole)
        targets.refuse_wrong(whole, own.spark)
        made = _Stream(
            whole,
            replace(whole.stream, **options),
            Engine(own.spark, engine),
            lambda batch, moment: load(rules, batch=batch, run_time=moment, tree=tree, **given),
            told or (lambda _result: None),
            say,
        )
        stop = stop or threading.Event()
        # behind the start of Spark, which takes the signal for itself
        with _ending(stop if signals else None):
            return made.run(once=once, most=max_batches, stop=stop, new_stream=new_stream)


@contextmanager
def _ending(stop: threading.Event | None) -> Iterator[None]:
    """Signals set the event meanwhile."""
    if stop is None or threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, _frame: Any) -> None:
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _refuse_batches(rule_set: RuleSet) -> None:
    source = rule_set.input
    if source.table:
        raise UsageError(f"{rule_set.file}: a stream reads files or a topic, not the table '{source.table}'")
    named = next((path for path in source.path if "{{" in path), None)
    if named:
        raise UsageError(
            f"{rule_set.file}: '{named}' is the path of a batch; name what a stream reads with --input DIRECTORY"
        )
    if len(source.path) > 1:
        raise UsageError(f"{rule_set.file}: a stream reads one directory or pattern; name it with --input")


class _Stream:
    """A stream on its way."""

    def __init__(
        self,
        whole: RuleSet,
        settings: StreamSettings,
        engine: Engine,
        rendered: Callable[[str, datetime], RuleSet],
        told: Told,
        say: Progress,
    ) -> None:
        self.whole, self.settings, self.engine, self.rendered, self.told, self.say = (
            whole, settings, engine, rendered, told, say,
        )  # fmt: skip
        self.spark = engine.spark
        self.store: Store = open_store(whole.outputs.root, self.spark)
        self.result = StreamResult(whole.dataset, "")
        #: Of which the types of a text format are pinned.
        self.newest: CommitRecord | None = None
        self.newest_number, self.due = -1, datetime.now(timezone.utc)

    def run(self, *, once: bool, most: int | None, stop: threading.Event, new_stream: bool) -> StreamResult:
        source, settings = self.whole.input, self.settings
        # one listing of all records: what each micro-batch needs of them is kept
        live = commit.live_records(self.store, self.whole.dataset)
        self.newest = max(live, key=lambda record: record.run_time, default=None)
        begin = messages_as_they_come if source.kafka else files_as_they_come
        frame = begin(self.spark, source, settings)
        place = settings.checkpoint or self.store.uri(layout.checkpoint_dir(self.whole.dataset))
        name = f"quality {self.whole.dataset}"
        query = Query(frame, place, name, once=once, every=settings.trigger)
        try:
            stream = query.id.replace("-", "")[:12]
            self._refuse_twice(stream, place, allowed=new_stream)
            self.result = replace(self.result, stream=stream)
            # those of a stream that was killed before it came to them
            self._write_windows()
            ended = self._take_all(query, most, stop)
        finally:
            query.close()
        return replace(self.result, ended=ended)

    def _refuse_twice(self, stream: str, place: str, *, allowed: bool) -> None:
        """A checkpoint that was lost would bring every row a second time, under new batch ids."""
        others = {layout.stream_of(batch) for batch in commit.batches(self.store, self.whole.dataset)} - {""}
        if others and stream not in others and not allowed:
            raise UsageError(
                f"data set '{self.whole.dataset}' was fed by stream {', '.join(sorted(others))}, and the checkpoint {place} "
                f"knows nothing of it: all that is there would be read again and be there twice. Give its checkpoint with "
                f"--checkpoint, or say --new-stream if that is meant"
            )

    def _take_all(self, query: Query, most: int | None, stop: threading.Event) -> str:
        """Why it ended."""
        while True:
            if stop.is_set():
                return "stopped"
            self.say(f"waiting; {self.result.batches:,} micro-batches judged")
            batch = query.take(_TICK)
            if batch is None:
                if datetime.now(timezone.utc) >= self.due:
                    self._write_windows()
                if query.active:
                    continue
                return "all that was there is read"
            well = False
            try:
                ended = self._one(batch)
                well = not ended
            finally:
                query.done(well)
            if ended:
                return ended
            self.newest_number = batch.number
            if self._window_is_over(batch.number):
                self._write_windows()
            if most is not None and self.result.batches >= most:
                return f"{most:,} micro-batches were judged"

    def _window_is_over(self, number: int) -> bool:
        window = self.settings.window
        if isinstance(window, int):
            return (number + 1) % window == 0
        return datetime.now(timezone.utc) >= self.due

    def _write_windows(self) -> None:
        """Those that are over and not there yet."""
        window, now = self.settings.window, datetime.now(timezone.utc)
        if window is None:
            self.due = datetime.max.replace(tzinfo=timezone.utc)
            return
        self.due = windows.next_end(window, now)
        stream, dataset = self.result.stream, self.whole.dataset
        for records in windows.missing(self.store, dataset, stream, window, self.newest_number, now):
            name = windows.name_of(records, stream, window)
            rule_set = windows.as_windows(self.rendered(name, now), name)
            words = (layout.new_run_id(), now, records[0].batch_time, lambda text: self.say(f"window: {text}"))
            context = Context(rule_set, self.spark, self.store, self.engine.fresh(), *words)
            result = guarded(context, lambda _lease, of=context, records=records: windows.write(of, records))  # type: ignore[misc]
            code = gravest_exit((self.result.exit_code, result.exit_code))
            written = self.result.windows + (result.decision != Decision.NONE)
            self.result = replace(self.result, windows=written, exit_code=code)
            self.told(result)

    def _one(self, batch: MicroBatch) -> str:
        """Why the stream ends at this micro-batch, before it counts as done; empty when it goes on."""
        name = layout.micro_batch(self.result.stream, batch.number)
        moment = datetime.now(timezone.utc)
        rule_set = self.rendered(name, moment)
        # an empty micro-batch says nothing about the data, and is no reason to stop
        source = replace(rule_set.input, allow_empty=True, batch_time="")
        rule_set = replace(rule_set, input=source)
        if self.settings.window is not None:
            rule_set = windows.of_micro_batch(rule_set)
        words = (layout.new_run_id(), moment, moment, lambda text: self.say(f"{name}: {text}"))
        context = Context(rule_set, self.spark, self.store, self.engine.fresh(), *words)
        try:
            result = guarded(context, lambda lease: self._judge(context, batch, lease))
        except _PassedOver as over:
            LOG.info("%s %s: %s", context.dataset, name, over)
            self.result = replace(self.result, passed_over=self.result.passed_over + 1)
            return ""
        self._note(result)
        if result.decision == Decision.NONE:
            return f"micro-batch {name} could not be judged"
        if result.decision == Decision.HELD and self.settings.on_held == "stop":
            return (
                f"micro-batch {name} is held; publish it (quality publish {rule_set.file} --batch {name}), change the "
                f"rules, or go on past it (--on-held continue)"
            )
        return ""

    def _note(self, result: RunResult) -> None:
        found, rows = self.result, result.data["rows"]
        summed = {side: count + rows[side] for side, count in found.rows.to_dict().items()}
        code = gravest_exit((found.exit_code, result.exit_code))
        self.result = replace(found, batches=found.batches + 1, rows=RowCounts(**summed), exit_code=code, last=result)
        self.told(result)

    def _judge(self, context: Context, batch: MicroBatch, lease: Lease) -> RunResult:
        rule_set, earlier = context.rule_set, [self.newest] if self.newest else []
        with context.step("pin", "looking at what came"):
            types, pinned_rules = types_for(rule_set, earlier)
            reader: FilesOfMicroBatch | MessagesOfMicroBatch
            if rule_set.input.kafka:
                reader = MessagesOfMicroBatch(self.spark, rule_set.input, types, batch)
            else:
                reader = FilesOfMicroBatch(self.spark, rule_set.input, types, mentions_file(rule_set), batch)
        try:
            files = reader.pin()
            references = References(context.engine, self.store, rule_set)
            references.pin()
            prints = {**fingerprints(context, files, "", ()), _IDENTITY: digest(reader.identity(files))}
            prints["references"] = references.fingerprint(context.run)
            last = commit.latest(self.store, context.dataset, context.batch)
            if last is not None:
                self._refuse_other_rows(last, prints)
                if last.published or self.settings.on_held == "continue":
                    # a run that was killed between its commit and its manifest is made whole
                    unchanged(context, last)
                    raise _PassedOver(f"is committed, number {last.seq}")
                if last.rule_set == rule_set.fingerprint:
                    return unchanged(context, last)
            with context.step("read", "reading the schema"):
                try:
                    found = reader.read(files)
                except NoColumnsError as error:
                    raise _PassedOver(str(error)) from None
                context.engine.launched.wide += found.scans
            with context.step("references", "reading references"):
                found = references.attach(found)
            with sized(self.spark, found) as found:
                plan = planned(context.engine, context.store, rule_set, found, pinned_rules)
                if plan.looks_back:
                    live = commit.live_records(self.store, context.dataset)
                    plan = lookback.with_past(plan, self.store, live, context.batch, context.batch_time, self.spark)
                result = judged(context, reader, references, found, plan, prints, last, lease)
        finally:
            reader.close()
        if result.decision == Decision.PUBLISHED:
            self.newest = commit.latest(self.store, context.dataset, context.batch)
        return result

    def _refuse_other_rows(self, last: CommitRecord, prints: Mapping[str, str]) -> None:
        if last.fingerprints.get(_IDENTITY) != prints[_IDENTITY]:
            raise StorageError(
                f"micro-batch {last.batch} was committed with other rows than its checkpoint has for it now: the checkpoint is "
                f"older than what is published; take a new one with --checkpoint and --new-stream, from where rows are missing"
            )


class _PassedOver(Exception):
    """A micro-batch that leaves nothing to do."""
