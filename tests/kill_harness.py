"""Kills drivers in the middle of real runs, lets the next driver go on, and looks at what lies there as a stranger would:
commit records as JSON, the files they list with pyarrow, nothing of the engine.

    python tests/kill_harness.py --runs 100             on a directory, CSV: each side is a pass of its own
    python tests/kill_harness.py --runs 100 --columnar  the same, Parquet: one pass writes all sides
    python tests/kill_harness.py --runs 50 --s3         on an S3 server on loopback, rows by S3A

A driver is a process group: Python and its JVM. It runs batches one after another until it is killed (SIGKILL) at a moment
that is drawn from a seed: after some time, at a step that it tells, or before, in or after the n-th change it makes in the
store. The next driver begins with the batch that was interrupted, so one start of Spark is re-run and next victim.

After every kill, whatever the moment: the newest published record of each batch lists whole files, their rows are those
of an undisturbed run and those a few lines of Python expect, in = passed + quarantined, and the manifest is the list of one
record. Of every batch but the interrupted one, and at the end of all: the manifest is that of the live record, and each
history table joined with the commits has each run once. The exit code is 0 when nothing was lost, doubled or half visible.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, Queue
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parents[1]
DATASET = "kills"
BATCHES = ("a", "b", "c", "d")
SIDES = ("passed", "quarantine", "flags")
ROWS = 240
#: What a run tells of itself at its steps ends with one of these; the last one only where one pass writes all sides.
WORDS = (
    "looking for the input", "reading the schema", "splitting and writing rows", "keeping the results",
    "explaining failing rows",
)  # fmt: skip
#: The methods of a store that change something.
CHANGES = ("put", "put_if_absent", "move", "delete")
PATIENCE = 240.0

RULES = """\
version: 1
dataset: kills
input: {path: "INPUT/{{ batch }}.ENDING"OPTIONS}
key: [id]
columns: {id: {type: integer}, amount: {type: integer, at_least: 0}, name: {required: true}}
hold: {quarantined_above: 100%}
outputs: {root: "OUTPUT", flags: true}
rules:
- row_count: {at_least: 10}
- at_most: {column: amount, value: 899}
  on_fail: keep
"""


# the data, and what must come of it


@dataclass(frozen=True)
class Made:
    """A batch as a file; its rows; its good ones as tuples, its bad ones as (id, rules that fail), the ids flagged."""

    data: bytes
    rows: int
    good: Counter[Any]
    bad: Counter[Any]
    flagged: Counter[Any]


def made(batch: str, columnar: bool) -> Made:
    draw = random.Random(batch)
    rows: list[tuple[Any, ...]] = []
    good, bad, flagged = Counter[Any](), Counter[Any](), Counter[Any]()
    rules = {"negative": "amount.at_least", "text": "amount.type", "nameless": "name.required"}
    for number in range(ROWS):
        kind = draw.choice(("good",) * 16 + ("negative", "nameless", "twice", *(() if columnar else ("text", "short"))))
        name, amount = f"n {draw.random()}", draw.randrange(1000)
        high = ("amount.at_most",) if amount > 899 and kind not in ("negative", "text", "short") else ()
        amounts: dict[str, Any] = {"negative": -1, "text": "x"}
        row = (number, amounts.get(kind, amount), None if kind == "nameless" else name)
        rows += [row, row] if kind == "twice" else [row[:2]] if kind == "short" else [row]
        if kind == "good":
            good[row] += 1
            flagged[number] += bool(high)
        elif kind == "short":
            bad[None, ("malformed",)] += 1
        elif kind == "twice":
            bad[number, tuple(sorted(("id.key", *high)))] += 2
        else:
            bad[number, tuple(sorted((rules[kind], *high)))] += 1
    return Made(_parquet(rows) if columnar else _csv(rows), len(rows), good, bad, +flagged)


def _csv(rows: Sequence[Sequence[Any]]) -> bytes:
    lines = ("id,amount,name", *(",".join("" if v is None else str(v) for v in row) for row in rows))
    return ("\n".join(lines) + "\n").encode()


def _parquet(rows: Sequence[Sequence[Any]]) -> bytes:
    columns = list(zip(*rows, strict=True))
    kinds = {"id": pa.int32(), "amount": pa.int32(), "name": pa.string()}
    arrays = {name: pa.array(column, kind) for (name, kind), column in zip(kinds.items(), columns, strict=True)}
    out = io.BytesIO()
    # several row groups: a driver has two tasks that write
    pq.write_table(pa.table(arrays), out, row_group_size=len(rows) // 2 + 1)
    return out.getvalue()


# where things lie


class Files(Protocol):
    """Files below a root, read only."""

    uri: str

    def names(self, prefix: str) -> list[str]: ...

    def read(self, name: str) -> bytes: ...


class Directory:
    def __init__(self, path: Path) -> None:
        self.path, self.uri = path, f"file://{path}"

    def names(self, prefix: str) -> list[str]:
        found = (self.path / prefix).rglob("*") if (self.path / prefix).is_dir() else ()
        return sorted(str(path.relative_to(self.path)) for path in found if path.is_file())

    def read(self, name: str) -> bytes:
        return (self.path / name).read_bytes()


class Bucket:
    def __init__(self, client: Any, bucket: str, prefix: str) -> None:
        self.client, self.bucket, self.prefix, self.uri = client, bucket, prefix, f"s3://{bucket}/{prefix}"

    def names(self, prefix: str) -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=f"{self.prefix}/{prefix}/"
        )
        start = len(self.prefix) + 1
        found = [item["Key"] for page in pages for item in page.get("Contents", ())]
        return sorted(name[start:] for name in found if not name.endswith("/"))

    def read(self, name: str) -> bytes:
        return bytes(self.client.get_object(Bucket=self.bucket, Key=f"{self.prefix}/{name}")["Body"].read())


@dataclass
class Place:
    """Input, rule files, and two roots: that of the undisturbed runs and that of the killed ones."""

    folder: Path
    reference: Files
    killed: Files
    s3: bool = False
    columnar: bool = False

    def rules(self, files: Files) -> str:
        return str(self.folder / ("reference.yml" if files is self.reference else "killed.yml"))


def local_place(folder: Path, columnar: bool = False) -> Place:
    place = Place(folder, Directory(folder / "reference"), Directory(folder / "killed"), columnar=columnar)
    (folder / "in").mkdir(parents=True)
    for name, data in _inputs(columnar):
        (folder / "in" / name).write_bytes(data)
    return _with_rules(place, str(folder / "in"), str(folder / "reference"), str(folder / "killed"))


def s3_place(folder: Path, client: Any, bucket: str, prefix: str, columnar: bool = False) -> Place:
    for name, data in _inputs(columnar):
        client.put_object(Bucket=bucket, Key=f"{prefix}/in/{name}", Body=data)
    reference, killed = (Bucket(client, bucket, f"{prefix}/{name}") for name in ("reference", "killed"))
    place = Place(folder, reference, killed, True, columnar)
    return _with_rules(place, f"s3://{bucket}/{prefix}/in", reference.uri, killed.uri)


def _inputs(columnar: bool) -> Iterator[tuple[str, bytes]]:
    for batch in BATCHES:
        yield f"{batch}.{'parquet' if columnar else 'csv'}", made(batch, columnar).data


def _with_rules(place: Place, source: str, *roots: str) -> Place:
    ending, options = ("parquet", "") if place.columnar else ("csv", ", options: {header: true}")
    for files, root in zip((place.reference, place.killed), roots, strict=True):
        text = RULES.replace("INPUT", source).replace("OUTPUT", root)
        text = text.replace("ENDING", ending).replace("OPTIONS", options)
        Path(place.rules(files)).write_text(text, encoding="utf-8")
    return place


# looking at it


@dataclass
class Findings:
    """What was wrong, by kind, with the first sentences about it."""

    counts: Counter[str] = field(default_factory=Counter)
    texts: list[str] = field(default_factory=list)

    def add(self, kind: str, text: str, count: int = 1) -> None:
        if count:
            self.counts[kind] += count
            self.texts.append(f"{kind}: {text}")

    def expect(self, kind: str, text: str, found: object, wanted: object) -> None:
        if found != wanted:
            self.add(kind, f"{text}: found {str(found)[:300]}, must be {str(wanted)[:300]}")


class Witness:
    """Looks at a root from outside. Files are immutable, so each is read once and its size is looked at no more."""

    def __init__(self, files: Files, columnar: bool, reference: Mapping[str, Any] | None = None) -> None:
        self.files, self.columnar, self.reference, self.found = files, columnar, reference, Findings()
        self._tables: dict[str, Any] = {}
        self._checked: set[tuple[str, int]] = set()
        self.dead_history = 0

    def records(self, batch: str) -> list[dict[str, Any]]:
        names = self.files.names(f"commits/{DATASET}/{batch}")
        numbered = sorted((int(name.rpartition("/")[2].removesuffix(".json")), name) for name in names if ".quality-tmp" not in name)  # fmt: skip
        records = [json.loads(self.files.read(name)) for _, name in numbered]
        self.found.expect("records", f"numbers of {batch}", [n for n, _ in numbered], list(range(1, len(records) + 1)))
        self.found.expect(
            "records", f"numbers inside of {batch}", [r["seq"] for r in records], [n for n, _ in numbered]
        )
        self.found.expect("doubled runs", f"runs of {batch}", len({r["run"] for r in records}), len(records))
        return records

    def content(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """The rows a record stands for, as they must be equal between two runs of one input."""
        sides = {side: self._rows(record, side) for side in SIDES}
        for row in (*sides["quarantine"], *sides["flags"]):
            row["_quality"] = {name: value for name, value in row["_quality"].items() if name != "run"}
        return {
            **{side: Counter(json.dumps(row, default=str, sort_keys=True) for row in rows) for side, rows in sides.items()},
            **{name: record[name] for name in ("status", "decision", "exit_code", "rows", "columns", "rule_set")},
        }  # fmt: skip

    def look(self, batches: Sequence[str], interrupted: str | None) -> None:
        """Everything that must hold now; `interrupted` is the batch whose run was killed."""
        committed: dict[str, dict[str, Any]] = {}
        for batch in batches:
            records = self.records(batch)
            committed.update({record["run"]: record for record in records})
            for record in records:
                if (batch, record["seq"]) not in self._checked:
                    self._checked.add((batch, record["seq"]))
                    self._whole(record)
            self._manifest(batch, records, batch == interrupted)
        self._history(committed)

    def _rows(self, record: Mapping[str, Any], side: str) -> list[dict[str, Any]]:
        rows = []
        for file in record[side]:
            where = f"{record['batch']} {record['seq']} {file['path']}"
            try:
                data = self.files.read(file["path"])
                table = pq.read_table(io.BytesIO(data))
            except Exception as error:
                self.found.add("half visible", f"{where}: {error}")
                continue
            self.found.expect("half visible", where, (table.num_rows, len(data)), (file["rows"], file["size"]))
            rows += table.to_pylist()
        return rows

    def _whole(self, record: Mapping[str, Any]) -> None:
        batch, where = record["batch"], f"batch {record['batch']}, record {record['seq']}"
        wanted = made(batch, self.columnar)
        passed = Counter((row["id"], row["amount"], row["name"]) for row in self._rows(record, "passed"))
        quarantined = Counter(
            (row["id"], tuple(sorted(failure["rule"] for failure in row["_quality"]["failures"])))
            for row in self._rows(record, "quarantine")
        )
        flagged = Counter(row["id"] for row in self._rows(record, "flags"))
        pairs: tuple[tuple[Counter[Any], Counter[Any]], ...] = (
            (passed, wanted.good), (quarantined, wanted.bad), (flagged, wanted.flagged),
        )  # fmt: skip
        for side, (found, made_of) in zip(SIDES, pairs, strict=True):
            self.found.add("lost rows", f"{where}, {side}: {list(made_of - found)[:3]}", (made_of - found).total())
            self.found.add("doubled rows", f"{where}, {side}: {list(found - made_of)[:3]}", (found - made_of).total())
        told = [record["rows"][name] for name in ("input", "passed", "quarantined")]
        self.found.expect("conservation", where, told, [wanted.rows, passed.total(), quarantined.total()])
        self.found.expect("conservation", where, told[0], told[1] + told[2])
        if self.reference is not None:
            content = self.content(record)
            for name, wanted in self.reference[batch].items():
                self.found.expect("unequal to an undisturbed run", f"{where}, {name}", content[name], wanted)

    def _manifest(self, batch: str, records: list[dict[str, Any]], interrupted: bool) -> None:
        lists = ["".join(f"{self.files.uri}/{file['path']}\n" for file in record["passed"]) for record in records]
        name = f"passed/{DATASET}/_symlink_format_manifest/batch={batch}/manifest"
        found = self.files.read(name).decode() if name in self.files.names(name.rpartition("/")[0]) else ""
        # of an interrupted batch the manifest may be one record behind, whole all the same
        allowed = [lists[-1] if lists else "", *(lists[-2:-1] or [""] if interrupted else [])]
        if found not in allowed:
            self.found.add("manifest", f"batch {batch}: {found!r}, must be one of {allowed}")

    def _history(self, committed: Mapping[str, Mapping[str, Any]]) -> None:
        dead = set()
        for table in ("metrics", "results", "runs"):
            seen: Counter[str] = Counter()
            for name in self.files.names(f"history/{table}/dataset={DATASET}"):
                if ".quality-tmp" in name:
                    continue
                rows = self._history_rows(
                    name, {record["run"] for record in committed.values() if name in record["history"]}
                )
                for run in {row["run"] for row in rows}:
                    seen[run] += 1
                    dead |= {run} - set(committed)
                for row in rows:
                    record = committed.get(row["run"])
                    if record and table == "runs":
                        self.found.expect("history", name, (row["batch"], row["seq"]), (record["batch"], record["seq"]))
                if self.reference and rows and rows[0]["run"] in committed:
                    batch = committed[rows[0]["run"]]["batch"]
                    self.found.expect(
                        "history", f"rows of {name}", len(rows), self.reference[f"history of {batch}"][table]
                    )
            joined = {run: seen[run] for run in committed}
            self.found.expect("history", f"runs in {table}", joined, dict.fromkeys(committed, 1))
        self.dead_history = len(dead)

    def _history_rows(self, name: str, owners: set[str]) -> list[dict[str, Any]]:
        """The rows of a history file. One that no record lists may be half written where names appear before content."""
        if name not in self._tables:
            try:
                self._tables[name] = pq.read_table(io.BytesIO(self.files.read(name)), columns=None).to_pylist()
            except Exception as error:
                self.found.add("history", f"{name} of {owners or 'a dead run'}: {error}")
                return []
        return list(self._tables[name])


# drivers


@dataclass(frozen=True)
class Moment:
    """When a driver dies: in which of its runs, and there after some seconds, at a word, or at a change of the store."""

    run: int
    seconds: float | None = None
    word: str | None = None
    change: int | None = None
    when: str = "before"

    def __str__(self) -> str:
        if self.seconds is not None:
            return f"{self.seconds:.2f} s into run {self.run}"
        return (
            f"'{self.word}' of run {self.run}" if self.word else f"{self.when} change {self.change} of run {self.run}"
        )

    @property
    def kind(self) -> str:
        return "time" if self.seconds is not None else "step" if self.word else f"{self.when} a change in the store"


def draw_moment(draw: random.Random, changes: int, span: float, words: Sequence[str]) -> Moment:
    run = draw.choices((0, 1), (3, 1))[0]
    kind = draw.choices(("seconds", "word", "change"), (40, 15, 45))[0]
    if kind == "seconds":
        return Moment(run, seconds=draw.uniform(0, span))
    if kind == "word":
        return Moment(run, word=draw.choice(words))
    return Moment(run, change=draw.randint(1, changes), when=draw.choice(("before", "during", "after")))


class Driver:
    """A process of our own group that waits for its jobs while Spark starts."""

    def __init__(self, place: Place, environment: Mapping[str, str]) -> None:
        self.scratch = Path(tempfile.mkdtemp(prefix="driver-", dir=place.folder))
        self.place, self.events = place, Queue[dict[str, Any]]()
        self.begun: list[str] = []
        self.done: list[dict[str, Any]] = []
        self.log = (self.scratch / "log").open("wb")
        words = [sys.executable, str(Path(__file__).resolve()), "--worker", "--scratch", str(self.scratch)]
        scratch = {"TMPDIR": str(self.scratch), "SPARK_LOCAL_DIRS": str(self.scratch), "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(
            [*words, *(["--s3"] if place.s3 else []), *(["--columnar"] if place.columnar else [])], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log,
            cwd=ROOT, env={**os.environ, **environment, **scratch}, start_new_session=True, text=True,
        )  # fmt: skip
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith('{"event"'):
                self.events.put(json.loads(line))
        self.events.put({"event": "end"})

    def drive(self, rules: str, jobs: Sequence[tuple[str, bool]], moment: Moment | None, seed: int = 0) -> None:
        """Give it its jobs and wait until it is dead, by its own hand, by ours, or because it is done."""
        assert self.process.stdin is not None
        order = {"rules": rules, "jobs": jobs, "moment": vars(moment) if moment else None, "seed": seed}
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        deadline: float | None = None
        while True:
            patience = PATIENCE if deadline is None else max(0.0, deadline - time.monotonic())
            try:
                event = self.events.get(timeout=patience)
            except Empty:
                self.kill()
                if deadline is None:
                    raise TimeoutError(f"a driver was silent for {PATIENCE} s: {self.tail()}") from None
                continue
            if event["event"] == "end":
                break
            if event["event"] == "begun":
                self.begun.append(event["batch"])
                if moment and moment.seconds is not None and len(self.begun) == moment.run + 1:
                    deadline = time.monotonic() + moment.seconds
            if event["event"] == "done":
                self.done.append(event)
        self.process.wait()
        if self.process.returncode not in (0, -signal.SIGKILL):
            raise RuntimeError(f"a driver ended by itself with {self.process.returncode}: {self.tail()}")

    @property
    def interrupted(self) -> str | None:
        """The batch it was killed in."""
        return self.begun[-1] if len(self.begun) > len(self.done) else None

    def kill(self) -> None:
        """SIGKILL to Python and its JVM at once."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def tail(self) -> str:
        return (self.scratch / "log").read_text(errors="replace")[-3000:]

    def close(self) -> None:
        self.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.log):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    pass
        shutil.rmtree(self.scratch, ignore_errors=True)


# the campaign


@dataclass
class Report:
    kills: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    reached: Counter[str] = field(default_factory=Counter)
    reruns: Counter[str] = field(default_factory=Counter)
    commits: int = 0
    dead_history: int = 0
    seconds: float = 0.0
    found: Findings = field(default_factory=Findings)

    def __str__(self) -> str:
        wrong = ("lost rows", "doubled rows", "half visible", "doubled runs", "conservation", "manifest", "history")
        counts = {**dict.fromkeys(wrong, 0), **self.found.counts}
        return (
            f"{self.kills} kills in {self.seconds:.0f} s: {dict(self.kinds)}\n"
            f"what the batch came to: {dict(self.reached)}; re-runs: {dict(self.reruns)}\n"
            f"{self.commits} commits; {self.dead_history} runs left history without a commit\n"
            f"{counts}" + "".join(f"\n{text}" for text in self.found.texts[:20])
        )


def campaign(
    place: Place, kills: int, seed: int, environment: Mapping[str, str] | None = None,
    moments: Sequence[Moment] | None = None, log: Callable[[str], None] = lambda _: None,
    batches: Sequence[str] = BATCHES, spark: Any = None,
) -> Report:  # fmt: skip
    """Kill so many drivers; with `moments` at these instead of drawn ones. With `spark` the undisturbed runs, which no moment is
    drawn from then, need no driver."""
    start, draw, report = time.monotonic(), random.Random(seed), Report()
    environment = environment or {}
    words = WORDS if place.columnar else WORDS[:-1]
    ahead = Driver(place, environment)
    try:
        if spark is None:
            changes, span = _undisturbed(place, ahead, batches)
            log(f"undisturbed: {changes} changes in the store a run, {span:.1f} s the longest run")
            ahead.close()
            ahead = Driver(place, environment)
        else:
            changes, span = _undisturbed_here(place, spark, batches)
        reference = _reference(place, batches)
        witness = Witness(place.killed, place.columnar, reference)
        pending: list[str] = []
        while report.kills < kills:
            driver, ahead = ahead, Driver(place, environment)
            moment = moments[report.kills] if moments else draw_moment(draw, changes, span, words)
            others = draw.sample([batch for batch in batches if batch not in pending], len(batches) - len(pending))
            jobs = [(batch, False) for batch in pending] + [(batch, draw.random() < 0.8) for batch in others * 2]
            before = {batch: len(witness.records(batch)) for batch in batches}
            driver.drive(place.rules(place.killed), jobs, moment, seed + report.kills)
            driver.close()
            _note(report, witness, driver, moment, pending, before)
            pending = [b for b in pending if b not in {e["batch"] for e in driver.done} | {driver.interrupted}]
            pending = [*([driver.interrupted] if driver.interrupted else []), *pending]
            witness.look(batches, driver.interrupted)
            if driver.interrupted is None and moments:
                raise RuntimeError(f"no run came to {moment}; is it still there?")
            if driver.interrupted is not None:
                report.kills += 1
                report.kinds[moment.kind] += 1
                counts = dict(witness.found.counts)
                log(f"{report.kills}: {moment}: batch {driver.interrupted}; {time.monotonic() - start:.0f} s; {counts}")
        ahead.drive(place.rules(place.killed), [(batch, False) for batch in (*pending, *batches)], None)
        report.reruns.update("unchanged" if event["unchanged"] else "run" for event in ahead.done[: len(pending)])
        witness.found.expect("re-runs", "exit codes at the end", {event["exit"] for event in ahead.done}, {1})
        witness.look(batches, None)
    finally:
        ahead.close()
    report.commits = sum(len(witness.records(batch)) for batch in batches)
    report.dead_history, report.found, report.seconds = witness.dead_history, witness.found, time.monotonic() - start
    return report


def _undisturbed(place: Place, driver: Driver, batches: Sequence[str]) -> tuple[int, float]:
    """How many changes a run makes in its store, and how long the longest takes."""
    driver.drive(place.rules(place.reference), [(batch, False) for batch in batches], None)
    if [event["exit"] for event in driver.done] != [1] * len(batches):
        raise RuntimeError(f"the undisturbed runs are not right: {driver.done}")
    return driver.done[-1]["changes"], max(event["seconds"] for event in driver.done)


def _undisturbed_here(place: Place, spark: Any, batches: Sequence[str]) -> tuple[int, float]:
    from quality import run

    exits = [run(place.rules(place.reference), batch, spark=spark).exit_code for batch in batches]
    if exits != [1] * len(batches):
        raise RuntimeError(f"the undisturbed runs are not right: {exits}")
    return 0, 0.0


def _reference(place: Place, batches: Sequence[str]) -> dict[str, Any]:
    """What undisturbed runs left, by batch."""
    witness = Witness(place.reference, place.columnar)
    witness.look(batches, None)
    if witness.found.texts:
        raise RuntimeError(f"the undisturbed runs are not right: {witness.found.texts}")
    content: dict[str, Any] = {}
    for batch in batches:
        (record,) = witness.records(batch)
        content[batch] = witness.content(record)
        lengths = {
            name.split("/")[1]: pq.read_table(io.BytesIO(place.reference.read(name))).num_rows
            for name in record["history"]
        }
        content[f"history of {batch}"] = lengths
    return content


def _note(
    report: Report, witness: Witness, driver: Driver, moment: Moment, pending: list[str], before: Mapping[str, int]
) -> None:
    """Count what the killed run came to, and hold the runs before it to their results."""
    for event in driver.done:
        witness.found.expect("re-runs", f"exit code of {event}", event["exit"], 1)
    report.reruns.update("unchanged" if e["unchanged"] else "run" for e in driver.done if e["batch"] in pending)
    if driver.interrupted is not None:
        earlier = sum(event["batch"] == driver.interrupted and not event["unchanged"] for event in driver.done)
        gone = len(witness.records(driver.interrupted)) > before[driver.interrupted] + earlier
        report.reached["committed" if gone else "not committed"] += 1


# the driver's side


def worker(scratch: str, s3: bool, columnar: bool) -> None:
    """Start Spark, take one order from standard input, run its jobs, and die when the order says so."""
    from quality import run
    from quality.backends.session import session
    from quality.backends.sizing import SMALL_BATCH
    from quality.storage import store as local
    from quality.storage.s3 import S3Store

    # one core and the quick compiler: a driver lives for one or two small runs
    java = f"-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:-UsePerfData -Djava.io.tmpdir={scratch}"
    settings = {
        "spark.driver.memory": "600m", "spark.sql.shuffle.partitions": "1", "spark.driver.extraJavaOptions": java,
        # by default batches as small as these are written apart
        **({SMALL_BATCH: "0"} if columnar else {}),
    }  # fmt: skip
    with session(master="local[1]", extra=settings, needs=["s3"] if s3 else []) as own:
        order = json.loads(sys.stdin.readline())
        suicide = Suicide(order["moment"] or {}, random.Random(order["seed"]), local)
        for kind in (local.LocalStore, S3Store):
            for name in CHANGES:
                suicide.watch(kind, name)
        for number, (batch, force) in enumerate(order["jobs"]):
            suicide.begin(number)
            tell(event="begun", batch=batch)
            start = time.monotonic()
            result = run(order["rules"], batch, spark=own.spark, force=force, progress=suicide.told)
            tell(
                event="done", batch=batch, exit=result.exit_code, unchanged=result.unchanged,
                seconds=time.monotonic() - start, changes=suicide.changes, message=result.data.get("message"),
            )  # fmt: skip


def tell(**event: object) -> None:
    say(json.dumps(event))


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def die(*_: object) -> None:
    os.killpg(0, signal.SIGKILL)
    time.sleep(60)


class Suicide:
    """Counts the changes a run makes in its store, and ends the process group at the one it was told."""

    def __init__(self, moment: Mapping[str, Any], draw: random.Random, module: Any) -> None:
        self.moment, self.draw, self.module = moment, draw, module
        self.changes, self.due = 0, False

    def begin(self, number: int) -> None:
        # a run that had nothing to do makes no change: the next one is the victim then
        self.changes, self.due = 0, number >= self.moment.get("run", 10**9)

    def told(self, words: str) -> None:
        if self.due and self.moment["word"] and words.endswith(self.moment["word"]):
            die()

    def watch(self, kind: type[Any], name: str) -> None:
        method = getattr(kind, name)

        def watched(store: Any, *arguments: Any) -> Any:
            self.changes += 1
            here = self.due and self.changes == self.moment["change"]
            if here and self.moment["when"] == "before":
                die()
            if here and self.moment["when"] == "during":
                self._die_inside(store)
            found = method(store, *arguments)
            if here:
                die()
            return found

        setattr(kind, name, watched)

    def _die_inside(self, store: Any) -> None:
        if isinstance(store, self.module.LocalStore) and self.draw.random() < 0.5:

            def half(path: str, data: bytes) -> None:
                Path(path).write_bytes(data[: len(data) // 2])
                die()

            self.module._write_synced = half
        threading.Timer(self.draw.uniform(0, 0.02), die).start()


# as a program


@contextmanager
def _s3_server(folder: Path) -> Iterator[tuple[Any, dict[str, str]]]:
    from tests.s3 import server

    with server.started(folder) as url:
        yield server.client(url), server.environment(url)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--runs", type=int, default=200, help="how many drivers to kill")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--s3", action="store_true", help="on an S3 server on loopback instead of a directory")
    parser.add_argument("--columnar", action="store_true", help="batches as Parquet instead of CSV")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--scratch", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        worker(options.scratch, options.s3, options.columnar)
        return 0
    folder = Path(tempfile.mkdtemp(prefix="kills-"))

    if options.s3:
        with _s3_server(folder) as (client, environment):
            place = s3_place(folder, client, "quality-test", "kills", options.columnar)
            report = campaign(place, options.runs, options.seed, environment, log=say)
    else:
        report = campaign(local_place(folder / "place", options.columnar), options.runs, options.seed, log=say)
    say(str(report))
    if report.found.texts:
        say(f"left for a look: {folder}")
        return 1
    shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
