"""Kills streams in the middle, lets the next start go on, and looks at what lies there as a stranger would.

    python tests/stream_harness.py --batches 100 --kills 25            files that come into a directory
    python tests/stream_harness.py --batches 100 --kills 25 --kafka    messages of a broker, which is killed too, now and then

A driver is a process group: Python and its JVM. It runs the stream until it is killed (SIGKILL) at a moment that is drawn from
a seed: some time into a micro-batch, at a step that it tells, or before, in or after the n-th change it makes in the store. The
next driver goes on with the same checkpoint, until everything that came is committed.

A file (or message) is a parcel: some rows that a few lines of Python know the fate of, with a number that tells them from those
of any other. After every kill, and at the end, by commit records as JSON and their files with pyarrow: each record has
whole parcels, no parcel is in two records, in = passed + quarantined. At the end every parcel is there, and the rows
and reasons are those of a batch run of the same rules over all of them. The exit code is 0 when that holds.
"""

from __future__ import annotations

import argparse
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

import pyarrow.parquet as pq

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.kill_harness import CHANGES, Findings, Moment, Suicide, draw_moment, say, tell

ROOT = Path(__file__).resolve().parents[1]
DATASET = "streamed"
ROWS = 40
WORDS = ("looking at what came", "reading the schema", "measuring", "splitting and writing rows", "keeping the results")
#: Changes of the store in a micro-batch: three of history, result, report, commit, manifest.
STORE_CHANGES = 7
PATIENCE = 240.0

RULES = """\
version: 1
dataset: streamed
input: INPUT
key: [id]
columns: {id: {type: integer}, amount: {type: integer, at_least: 0}, name: {required: true}}
stream: {trigger: 1s, max_files: 1, max_messages: 1}
hold: {quarantined_above: 100%}
outputs: {root: "OUTPUT"}
rules:
- row_count: {at_least: 1}
"""


# what comes, and what must come of it


@dataclass(frozen=True)
class Parcel:
    """Lines of CSV; the good rows as tuples, the bad ones as (id, rules that fail)."""

    number: int
    lines: tuple[str, ...]
    good: Counter[Any]
    bad: Counter[Any]


def parcel(number: int) -> Parcel:
    draw = random.Random(f"parcel {number}")
    lines, good, bad = [], Counter[Any](), Counter[Any]()
    for place in range(ROWS):
        id, name, amount = number * 1000 + place, f"n{number} {draw.random()}", draw.randrange(1000)
        kind = draw.choice(("good",) * 12 + ("negative", "text", "nameless", "twice", "short"))
        if kind == "good":
            lines.append(f"{id},{amount},{name}")
            good[id, amount, name] += 1
        elif kind == "negative":
            lines.append(f"{id},-{amount + 1},{name}")
            bad[id, ("amount.at_least",)] += 1
        elif kind == "text":
            lines.append(f"{id},many,{name}")
            bad[id, ("amount.type",)] += 1
        elif kind == "nameless":
            lines.append(f"{id},{amount},")
            bad[id, ("name.required",)] += 1
        elif kind == "twice":
            lines += [f"{id},{amount},{name}"] * 2
            bad[id, ("id.key",)] += 2
        else:
            lines.append(f"{id},{amount}")
            bad[f"{id},{amount}", ("malformed",)] += 1
    return Parcel(number, tuple(lines), good, bad)


class Feed(Protocol):
    """Where parcels come from."""

    def section(self) -> str:
        """The section `input` of the rule file."""

    def send(self, parcels: Sequence[Parcel]) -> None: ...

    def disturb(self) -> None:
        """Now and then, while no stream runs."""


class Directory:
    """Parcels are files that appear whole."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def section(self) -> str:
        return f"{{path: '{self.folder}', format: csv, options: {{header: true}}}}"

    def send(self, parcels: Sequence[Parcel]) -> None:
        for each in parcels:
            hidden = self.folder / f".{each.number}"
            hidden.write_text("\n".join(("id,amount,name", *each.lines)) + "\n")
            hidden.rename(self.folder / f"parcel {each.number}.csv")

    def disturb(self) -> None:
        pass


@dataclass
class Place:
    """A folder with a rule file, what it reads, and a root for results."""

    folder: Path
    feed: Feed

    def __post_init__(self) -> None:
        text = RULES.replace("INPUT", self.feed.section()).replace("OUTPUT", str(self.root))
        self.rules.write_text(text, encoding="utf-8")

    @property
    def rules(self) -> Path:
        return self.folder / "rules.yml"

    @property
    def root(self) -> Path:
        return self.folder / "out"


# looking at it


class Witness:
    """Looks at a root from outside."""

    def __init__(self, root: Path) -> None:
        self.root, self.found = root, Findings()

    def records(self) -> list[dict[str, Any]]:
        """The newest record of each micro-batch, by name."""
        found = []
        for folder in sorted((self.root / "commits" / DATASET).glob("*")):
            numbers = sorted(int(path.stem) for path in folder.glob("*.json") if path.stem.isdecimal())
            self.found.expect("records", f"numbers of {folder.name}", numbers, [1] if numbers else [])
            found += [json.loads((folder / f"{number}.json").read_bytes()) for number in numbers[-1:]]
        return found

    def look(self) -> tuple[set[int], Counter[Any], Counter[Any]]:
        """The parcels that are committed, and all rows of either side."""
        seen, good, bad = Counter[int](), Counter[Any](), Counter[Any]()
        for record in self.records():
            passed = Counter((row["id"], row["amount"], row["name"]) for row in self._rows(record, "passed"))
            quarantined = Counter(map(fate, self._rows(record, "quarantine")))
            numbers = {int(str(key[0]).partition(",")[0]) // 1000 for key in (*passed, *quarantined)}
            parcels = [parcel(number) for number in numbers]
            where = f"micro-batch {record['batch']}"
            self._equal(where, passed, sum((each.good for each in parcels), Counter[Any]()))
            self._equal(where, quarantined, sum((each.bad for each in parcels), Counter[Any]()))
            told = record["rows"]
            lines = sum(len(each.lines) for each in parcels)
            self.found.expect(
                "conservation", where, [told["input"], told["passed"], told["quarantined"]],
                [lines, passed.total(), quarantined.total()],
            )  # fmt: skip
            self.found.expect("conservation", where, told["input"], told["passed"] + told["quarantined"])
            self._manifest(record)
            seen.update(numbers)
            good, bad = good + passed, bad + quarantined
        self.found.add("doubled parcels", str(seen), sum(count - 1 for count in seen.values()))
        return set(seen), good, bad

    def _equal(self, where: str, found: Counter[Any], wanted: Counter[Any]) -> None:
        self.found.add("lost rows", f"{where}: {list(wanted - found)[:3]}", (wanted - found).total())
        self.found.add("doubled rows", f"{where}: {list(found - wanted)[:3]}", (found - wanted).total())

    def _rows(self, record: Mapping[str, Any], side: str) -> Iterator[dict[str, Any]]:
        for file in record[side]:
            table = pq.read_table(self.root / file["path"], partitioning=None)
            self.found.expect("half visible", file["path"], table.num_rows, file["rows"])
            yield from table.to_pylist()

    def _manifest(self, record: Mapping[str, Any]) -> None:
        """That of the last one may not be there yet; whatever is there is the whole list."""
        path = self.root / "passed" / DATASET / "_symlink_format_manifest" / f"batch={record['batch']}" / "manifest"
        if path.exists():
            wanted = "".join(f"file://{self.root}/{file['path']}\n" for file in record["passed"])
            self.found.expect("manifest", record["batch"], path.read_text(), wanted)

    def at_the_end(self, count: int) -> None:
        seen, _, _ = self.look()
        self.found.expect("parcels", "all", seen, set(range(count)))
        runs = Counter[str]()
        for path in (self.root / "history" / "runs" / f"dataset={DATASET}").glob("*.parquet"):
            runs.update(pq.read_table(path).column("run").to_pylist())
        for record in self.records():
            self.found.expect("history", record["batch"], runs[record["run"]], 1)
            path = self.root / "passed" / DATASET / "_symlink_format_manifest" / f"batch={record['batch']}" / "manifest"
            self.found.expect("manifest", record["batch"], path.exists(), bool(record["passed"]))


def fate(row: Mapping[str, Any]) -> tuple[Any, tuple[str, ...]]:
    """What tells a quarantined row: its id, or the line that could not be read; and the rules it failed."""
    failures = row["_quality"]["failures"]
    line = failures[0]["value"] if failures[0]["rule"] == "malformed" else row["id"]
    return line, tuple(sorted(failure["rule"] for failure in failures))


# drivers


@dataclass
class Driver:
    """A process of its own group that runs the stream of a place."""

    place: Place
    moment: Moment | None = None
    seed: int = 0
    words: Sequence[str] = ("--once",)
    begun: list[str] = field(default_factory=list)
    done: list[dict[str, Any]] = field(default_factory=list)
    end: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        self.scratch = Path(tempfile.mkdtemp(prefix="driver-", dir=self.place.folder))
        self.log = (self.scratch / "log").open("wb")
        self.events = Queue[dict[str, Any]]()
        order = json.dumps(
            {"rules": str(self.place.rules), "moment": vars(self.moment) if self.moment else None, "seed": self.seed}
        )
        words = [
            sys.executable,
            str(Path(__file__).resolve()),
            "--worker",
            order,
            "--scratch",
            str(self.scratch),
            *self.words,
        ]
        extra = {"TMPDIR": str(self.scratch), "SPARK_LOCAL_DIRS": str(self.scratch), "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=self.log, cwd=ROOT, env={**os.environ, **extra},
            start_new_session=True, text=True,
        )  # fmt: skip
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith('{"event"'):
                self.events.put(json.loads(line))
        self.events.put({"event": "gone"})

    def wait(self, until: Callable[[Driver], bool] = lambda _: False) -> bool:
        """Until it is gone, by its own hand, by ours, or because it is done (True); or until something is so (False)."""
        deadline: float | None = None
        while not until(self):
            patience = PATIENCE if deadline is None else max(0.0, deadline - time.monotonic())
            try:
                event = self.events.get(timeout=patience)
            except Empty:
                self.kill()
                if deadline is None:
                    raise TimeoutError(f"a driver was silent for {PATIENCE} s: {self.tail()}") from None
                continue
            if event["event"] == "gone":
                self.process.wait()
                if self.process.returncode not in (0, -signal.SIGKILL):
                    raise RuntimeError(f"a driver ended by itself with {self.process.returncode}: {self.tail()}")
                return True
            if event["event"] == "begun":
                self.begun.append(event["batch"])
                if self.moment and self.moment.seconds is not None and len(self.begun) == self.moment.run + 1:
                    deadline = time.monotonic() + self.moment.seconds
            if event["event"] == "done":
                self.done.append(event)
            if event["event"] == "end":
                self.end = event
        return False

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
        if self.process.stdout is not None:
            self.process.stdout.close()
        self.log.close()
        shutil.rmtree(self.scratch, ignore_errors=True)


def worker(order: Mapping[str, Any], scratch: str, once: bool) -> None:
    """The driver's side: start Spark, stream, and die when the order says so."""
    from quality import stream
    from quality.backends.needs import merged, needs, settings
    from quality.backends.session import session
    from quality.rulefile import load
    from quality.storage import store as local

    java = f"-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:-UsePerfData -Djava.io.tmpdir={scratch}"
    given = {"spark.driver.memory": "600m", "spark.sql.shuffle.partitions": "1", "spark.driver.extraJavaOptions": java}
    given = merged(settings(needs([load(order["rules"])])), given)
    suicide = Suicide(order["moment"] or {}, random.Random(order["seed"]), local)
    begun = 0

    def progress(words: str) -> None:
        nonlocal begun
        if words.endswith(WORDS[0]):
            suicide.begin(begun)
            begun += 1
            tell(event="begun", batch=words.partition(":")[0])
        suicide.told(words)

    def told(result: Any) -> None:
        tell(
            event="done",
            batch=result.data["batch"],
            exit=result.exit_code,
            message=result.data["message"],
            seconds=result.data["timings"]["total"],
        )

    with session(master="local[1]", extra=given) as own:
        for name in CHANGES:
            suicide.watch(local.LocalStore, name)
        found = stream(order["rules"], spark=own.spark, once=once, progress=progress, told=told, signals=True)
        tell(event="end", **found.to_dict())


# the campaign


@dataclass
class Report:
    batches: int = 0
    kills: int = 0
    restarts: int = 0
    passed_over: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    found: Findings = field(default_factory=Findings)

    def __str__(self) -> str:
        wrong = (
            "lost rows",
            "doubled rows",
            "doubled parcels",
            "half visible",
            "conservation",
            "parcels",
            "manifest",
            "history",
            "verdicts",
        )
        counts = {**dict.fromkeys(wrong, 0), **self.found.counts}
        return (
            f"{self.batches} micro-batches committed, {self.kills} kills in {self.seconds:.0f} s: {dict(self.kinds)}\n"
            f"found committed and passed over: {self.passed_over}\n{counts}"
            + "".join(f"\n{text}" for text in self.found.texts[:20])
        )


def campaign(
    place: Place, parcels: int, kills: int, seed: int, moments: Sequence[Moment] | None = None,
    log: Callable[[str], None] = lambda _: None, *, compare: bool = True,
) -> Report:  # fmt: skip
    """Send so many parcels, kill so many streams on the way (with `moments` at these), and let the last one come to the end."""
    start, draw, report = time.monotonic(), random.Random(seed), Report()
    witness, sent = Witness(place.root), 0
    kills = len(moments) if moments else kills
    for number in range(kills):
        upto = parcels * (number + 1) // (kills + 1)
        place.feed.send([parcel(each) for each in range(sent, upto)])
        sent = upto
        moment = moments[number] if moments else _later(draw_moment(draw, STORE_CHANGES, 1.5, WORDS), draw)
        driver = Driver(place, moment, seed + number)
        try:
            driver.wait()
            killed = driver.end is None
        finally:
            driver.close()
        _note(report, driver)
        report.kills += killed
        report.kinds[moment.kind if killed else "not killed"] += 1
        seen, _, _ = witness.look()
        log(
            f"{number + 1}: {moment}: {'killed' if killed else 'came to its end'}; {len(seen)} of {sent} parcels committed; {time.monotonic() - start:.0f} s; {dict(witness.found.counts)}"
        )
        if draw.random() < 0.3:
            place.feed.disturb()
    place.feed.send([parcel(each) for each in range(sent, parcels)])
    driver = Driver(place)
    try:
        driver.wait()
        witness.found.expect("parcels", "exit codes at the end", {event["exit"] for event in driver.done}, {1})
        if driver.end is None:
            witness.found.add("parcels", f"the last stream did not end well: {driver.tail()}")
    finally:
        driver.close()
    _note(report, driver)
    witness.at_the_end(parcels)
    if compare:
        _compare(place, witness, parcels)
    report.batches, report.found, report.seconds = len(witness.records()), witness.found, time.monotonic() - start
    return report


def _later(moment: Moment, draw: random.Random) -> Moment:
    return Moment(**{**vars(moment), "run": draw.choice((0, 0, 1, 2, 3))})


def _note(report: Report, driver: Driver) -> None:
    report.restarts += 1
    report.passed_over += len(driver.begun) - len(driver.done) - (driver.end is None and len(driver.begun) > 0)


def _compare(place: Place, witness: Witness, parcels: int) -> None:
    """A batch run of the same rules over all parcels at once."""
    from quality import run

    whole = Directory(place.folder / "whole")
    whole.send([parcel(number) for number in range(parcels)])
    other = Place(place.folder / "whole", whole)
    rules = other.rules.read_text().replace(f"path: '{whole.folder}'", f"path: '{whole.folder}/parcel*'")
    other.rules.write_text(rules)
    result = run(other.rules, "whole")
    _, good, bad = witness.look()
    (record,) = Witness(other.root).records()
    found = Witness(other.root)
    witness.found.expect("verdicts", "status of the batch run", str(result.decision), "published")
    batch_good = Counter((row["id"], row["amount"], row["name"]) for row in found._rows(record, "passed"))
    batch_bad = Counter(map(fate, found._rows(record, "quarantine")))
    witness.found.add(
        "verdicts",
        f"passed: {list((batch_good - good) + (good - batch_good))[:3]}",
        ((batch_good - good) + (good - batch_good)).total(),
    )
    witness.found.add(
        "verdicts",
        f"quarantined: {list((batch_bad - bad) + (bad - batch_bad))[:3]}",
        ((batch_bad - bad) + (bad - batch_bad)).total(),
    )


# as a program


@contextmanager
def _feed(folder: Path, kafka: bool) -> Iterator[Feed]:
    if not kafka:
        yield Directory(folder / "in")
        return
    from tests.broker import Broker, Topic

    with Broker(folder / "broker") as broker:
        yield Topic(broker, "parcels", 1)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--batches", type=int, default=100, help="how many files or messages, each a micro-batch")
    parser.add_argument("--kills", type=int, default=25, help="how many drivers to kill")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kafka", action="store_true", help="messages of a broker instead of files")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--scratch", help=argparse.SUPPRESS)
    parser.add_argument("--once", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        worker(json.loads(options.worker), options.scratch, options.once)
        return 0
    folder = Path(tempfile.mkdtemp(prefix="streams-"))
    with _feed(folder, options.kafka) as feed:
        report = campaign(Place(folder, feed), options.batches, options.kills, options.seed, log=say)
    say(str(report))
    if report.found.texts:
        say(f"left for a look: {folder}")
        return 1
    shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
