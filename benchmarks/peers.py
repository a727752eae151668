"""What the same rules on the same rows cost here and in the engines beside us, each written as its own documentation does.

    python benchmarks/peers.py --rows 1000000 --repeat 5

Every contender (`contenders/`) lives in an environment of its own, made from PyPI the first time, and in a process of its own,
with the same Spark and the same settings. Rounds are interleaved among them; the first one warms up and does not count. Every
answer is held against the faults that were planted: the table says whether it was right, and a number without that is worth
nothing. Prints medians, and each as a ratio to the copy and to ours; `--json FILE` keeps every measurement.

All processes stay alive beside each other, idle but with their memory: where that is too much, `--one-by-one` runs the
contenders one after another, less comparable when other work comes and goes meanwhile.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import select
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import contenders
from contenders import Contender, contender
from contenders.faults import Truth

HERE = Path(__file__).resolve().parent
SPARK = "pyspark==3.5.*"
#: The range of Pythons that every contender and pyspark 3.5 share.
PYTHON = (3, 11)
#: Beside the caches of others, unless the environment says where caches are.
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "quality" / "peers"


class WorkerError(Exception):
    """A worker's answer: it failed, or did not answer in time."""


@dataclass
class Worker:
    """The process of one contender: started when it is first asked, and anew when it had to be killed."""

    name: str
    python: Path
    settings: Mapping[str, str]
    environment: Mapping[str, str]
    folder: Path
    patience: float
    version: str = ""
    _process: subprocess.Popen[bytes] | None = None

    def ask(self, task: dict[str, Any]) -> dict[str, Any]:
        """The answer to a task. Raises WorkerError."""
        if self._process is None:
            self._start()
        task = {**task, "folder": str(self.folder / "written")}
        return self._exchange(task, self.patience)

    def close(self) -> None:
        """End it: by the end of its input, or else by force."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        with contextlib.suppress(OSError):
            process.stdin.close()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            pass
        _kill(process)

    def _start(self) -> None:
        scratch = self.folder / "scratch"
        scratch.mkdir(parents=True, exist_ok=True)
        with (self.folder / "log.txt").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self.python), "-m", "contenders.worker", self.name],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, cwd=scratch, start_new_session=True,
                env=dict(self.environment),
            )  # fmt: skip
        self.version = self._exchange(dict(self.settings), max(self.patience, 120.0))["version"]

    def _exchange(self, sent: Mapping[str, Any], patience: float) -> dict[str, Any]:
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(sent).encode() + b"\n")
            process.stdin.flush()
        except OSError as error:
            self.close()
            raise WorkerError(self._last_words()) from error
        ready, _, _ = select.select([process.stdout], [], [], patience)
        line = process.stdout.readline() if ready else b""
        if not line:
            self._process = None
            _kill(process)
            raise WorkerError(self._last_words() if ready else f"longer than {patience:.0f} s")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise WorkerError(answer["error"])
        return answer

    def _last_words(self) -> str:
        lines = (self.folder / "log.txt").read_text(encoding="utf-8", errors="replace").split("\n")
        return f"died: {next((line.strip() for line in reversed(lines) if line.strip()), '')[:300]}"


def _kill(process: subprocess.Popen[bytes]) -> None:
    """With all it started: the JVM is of the same group, and may outlive Python."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stdout):
        assert pipe is not None
        with contextlib.suppress(OSError):
            pipe.close()


@dataclass
class Found:
    """All that was measured, and what was wrong with it."""

    rows: int
    measured: list[dict[str, Any]] = field(default_factory=list)
    failed: dict[tuple[str, str], str] = field(default_factory=dict)
    wrong: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    def median(self, name: str, workload: str, what: str) -> float | None:
        """Of the rounds that count; None when there are none."""
        values = [
            row[what]
            for row in self.measured
            if (row["contender"], row["workload"]) == (name, workload) and row["round"] > 0
        ]
        return statistics.median(values) if values else None


def main() -> None:
    """Measure and print."""
    options = arguments()
    environments = {name: environment(name, options.environments) for name in options.contenders}
    if options.install:
        return
    with tempfile.TemporaryDirectory() as temporary:
        found = measure(options, environments, (options.directory or Path(temporary)).resolve())
    if options.json:
        options.json.write_text(json.dumps(plain(found, options), indent=1) + "\n", encoding="utf-8")
    print(report(found, options.contenders))


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--memory", default="4g", help="of each contender's Spark")
    parser.add_argument("--patience", type=float, default=600, metavar="SECONDS", help="for one workload, once")
    parser.add_argument("--only", dest="contenders", action="append", choices=contenders.NAMES, metavar="NAME",
                        help=f"a contender, several by repeating: {', '.join(contenders.NAMES)}")  # fmt: skip
    parser.add_argument("--workload", dest="workloads", action="append", choices=contenders.WORKLOADS, metavar="NAME",
                        help=f"several by repeating: {', '.join(contenders.WORKLOADS)}")  # fmt: skip
    parser.add_argument("--one-by-one", action="store_true", help="never two processes of Spark at once")
    parser.add_argument("--install", action="store_true", help="make the environments, and no more")
    parser.add_argument("--environments", type=Path, default=CACHE, metavar="DIR", help=f"default: {CACHE}")
    parser.add_argument("--directory", type=Path, help="where data is kept between calls; default: a temporary one")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    chosen = options.contenders or contenders.NAMES
    options.contenders = [name for name in contenders.NAMES if name in chosen or name == "floor"]
    options.workloads = options.workloads or list(contenders.WORKLOADS)
    return options


# environments


def environment(name: str, folder: Path) -> Path:
    """The Python that has what a contender requires; made when it is not there yet."""
    wanted = contender(name).requirements
    if not wanted:
        return Path(sys.executable)
    home, asked = folder / name.strip("_"), "\n".join((SPARK, *wanted))
    done = home / "requirements.txt"
    if not (done.exists() and done.read_text(encoding="utf-8") == asked):
        began = time.perf_counter()
        tell(f"{name}: installing {', '.join(wanted)}")
        shutil.rmtree(home, ignore_errors=True)
        subprocess.run([_python(), "-m", "venv", str(home)], check=True)
        pip = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        # the one that Python brings takes ten minutes to find versions that go together, where a new one takes seconds
        subprocess.run([*pip, "--upgrade", "pip"], check=True)
        # one call: what a contender asks of Spark's version is not to undo ours
        subprocess.run([*pip, SPARK, *wanted], check=True)
        done.write_text(asked, encoding="utf-8")
        size = sum(file.lstat().st_size for file in home.rglob("*") if file.is_file())
        tell(f"{name}: {time.perf_counter() - began:.0f} s, {size / 1e6:.0f} MB, of which Spark is about 340")
    return home / "bin" / "python"


def _python() -> str:
    if sys.version_info[:2] == PYTHON:
        return sys.executable
    found = shutil.which("python" + ".".join(map(str, PYTHON)))
    if found is None:
        raise SystemExit(f"the contenders share Python {'.'.join(map(str, PYTHON))}, and there is none on PATH")
    return found


def settings(name: str, cores: int, memory: str) -> dict[str, str]:
    """Spark's, the same for all; AQE and all else as Spark has it."""
    from quality import jars

    common = {
        "spark.master": f"local[{cores}]",
        "spark.driver.memory": memory,
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.sql.session.timeZone": "UTC",
        # the default, 200, is for clusters
        "spark.sql.shuffle.partitions": str(max(8, 2 * cores)),
    }
    return {**common, **({"spark.jars": jars.fetch().as_uri()} if contender(name).deequ else {})}


def process_environment(name: str, home: Path) -> dict[str, str]:
    """The same Java for all; of this project nothing, and a home of its own, for those who are not it."""
    from quality.backends.java import find_java

    inherited = {
        key: value for key, value in os.environ.items() if not key.startswith(("SPARK_", "PYSPARK_", "PYTHON"))
    }
    ours = (HERE, HERE.parent) if not contender(name).requirements else (HERE,)
    return {
        **inherited,
        "JAVA_HOME": str(find_java().home),
        "PYTHONPATH": os.pathsep.join(map(str, ours)),
        "PYTHONDONTWRITEBYTECODE": "1",
        **({"HOME": str(home)} if contender(name).requirements else {}),
        **contender(name).environment,
    }


# measuring


def measure(options: argparse.Namespace, pythons: Mapping[str, Path], folder: Path) -> Found:
    """Every workload of every contender, round by round."""
    folder.mkdir(parents=True, exist_ok=True)
    data, truth = folder / f"orders-{options.rows}.parquet", folder / f"orders-{options.rows}.faults.json"
    workers = {}
    for name, python in pythons.items():
        place, spark = folder / name, settings(name, options.cores, options.memory)
        workers[name] = Worker(name, python, spark, process_environment(name, place), place, options.patience)
    found = Found(options.rows)
    try:
        # not under the patience for one workload: ten million rows take their time
        workers["floor"].patience = 24 * 3600
        workers["floor"].ask({"do": "prepare", "data": str(data), "truth": str(truth), "rows": options.rows})
        workers["floor"].patience = options.patience
        planted = Truth.load(truth)
        for number, name, workload in order(options):
            if (name, workload) in found.failed:
                continue
            if options.one_by_one:
                for other in workers.values():
                    if other.name != name:
                        other.close()
            once(found, workers[name], workload, number, str(data), planted)
    finally:
        for worker in workers.values():
            worker.close()
    found.versions = {name: worker.version for name, worker in workers.items()}
    return found


def order(options: argparse.Namespace) -> Iterator[tuple[int, str, str]]:
    """Round, contender and workload; round 0 is the warm-up."""
    can = [
        (name, work) for work in options.workloads for name in options.contenders if work in contender(name).workloads()
    ]
    if options.one_by_one:
        for name in options.contenders:
            yield from ((number, name, work) for number in range(options.repeat + 1) for n, work in can if n == name)
    else:
        yield from ((number, name, work) for number in range(options.repeat + 1) for name, work in can)


def once(found: Found, worker: Worker, workload: str, number: int, data: str, planted: Truth) -> None:
    """One measurement, and what is wrong with its answer."""
    place = (worker.name, workload)
    try:
        answer = worker.ask({"do": workload, "data": data})
    except WorkerError as error:
        found.failed[place] = str(error)
        tell(f"{worker.name} {workload}: {error}")
        return
    found.wrong[place] = wrong(contender(worker.name), workload, answer, planted) or found.wrong.get(place, [])
    spent = {"wall": answer["wall"], "cpu": answer["cpu"]}
    found.measured.append(
        {"contender": worker.name, "workload": workload, "rows": found.rows, "round": number, **spent}
    )
    tell(f"{worker.name} {workload} round {number}: {spent['wall']:.2f} s, {spent['cpu']:.2f} s CPU")


def wrong(kind: type[Contender], workload: str, answer: Mapping[str, Any], planted: Truth) -> list[str]:
    """Where an answer is not what the planted faults say."""
    told = []
    rules = kind.rules(workload)
    answers = answer.get("found") or {}
    if workload == "checks":
        told += [f"{rule}: no answer" for rule in rules if rule not in answers]
    for rule in (rule for rule in rules if rule in answers):
        due: int | bool = planted.failing(rule)
        if isinstance(answers[rule], bool):
            due = not due
        if answers[rule] != due:
            told.append(f"{rule}: {_said(answers[rule])}, where {_said(due)}")
    if workload == "profile":
        right = 1 - len(range(0, planted.rows, 3)) / planted.rows
        share = (answer.get("profile") or {}).get("rating", -1.0)
        told += [] if abs(share - right) < 1e-9 else [f"completeness of rating: {share}, where {right}"]
    if workload in ("quarantine", "all"):
        sides = zip(("good", "bad"), answer["sides"], planted.sides(rules), strict=True)
        told += [
            f"{side} side: {was[0]} rows, where {right[0]}" if was[0] != right[0] else f"{side} side: other rows"
            for side, was, right in sides
            if was != right
        ]
    return told


def _said(answer: int | bool) -> str:
    if isinstance(answer, bool):
        return "passed" if answer else "failed"
    return f"{answer} rows fail"


# telling


def report(found: Found, names: Sequence[str]) -> str:
    """A table, and below it what the numbers leave out."""
    lines = [
        "| workload | engine | rules | wall s | CPU s | wall / copy | CPU / copy | wall / ours | CPU / ours | answers |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for workload in contenders.WORKLOADS:
        for name in names:
            if (name, workload) in found.failed or found.median(name, workload, "wall") is not None:
                lines.append(_line(found, name, workload))
    return "\n".join([*lines, "", *notes(found, names)])


def _line(found: Found, name: str, workload: str) -> str:
    kind = contender(name)
    rules = kind.rules(workload)
    whole = contenders.RULES if workload == "checks" else contenders.ROW_RULES
    cells = [workload, _titled(found, name), f"{len(rules)} of {len(whole)}" if rules else ""]
    if reason := found.failed.get((name, workload)):
        return f"| {' | '.join([*cells, *[''] * 6, reason.replace('|', '/')])} |"
    values = {what: found.median(name, workload, what) for what in ("wall", "cpu")}
    cells += [f"{value:.2f}" for value in values.values() if value is not None]
    for other, work in (("floor", "copy"), ("ours", workload)):
        for what, value in values.items():
            base = found.median(other, work, what)
            cells.append(f"{value / base:.2f}" if base and value is not None else "")
    mistakes = len(found.wrong.get((name, workload), ()))
    judged = bool(rules) or workload == "profile"
    return f"| {' | '.join([*cells, (f'{mistakes} wrong' if mistakes else 'right') if judged else ''])} |"


def _titled(found: Found, name: str) -> str:
    return f"{contender(name).title} {found.versions.get(name, '')}".strip()


def notes(found: Found, names: Sequence[str]) -> list[str]:
    """What each cannot do, the rules it cannot express, and where it disagrees with the planted faults."""
    lines = []
    for name in names:
        kind = contender(name)
        lines += [f"- {kind.title} cannot {workload}: {why}." for workload, why in kind.cannot.items()]
        lines += [f"- {kind.title} has no {rule}: {why}." for rule, why in kind.left_out.items()]
        lines += [f"- {kind.title} does not split by {rule}: {why}." for rule, why in kind.not_split.items()]
        if kind.reasons:
            lines.append(f"- {kind.title} says why a row is in quarantine: {kind.reasons}.")
        for workload in contenders.WORKLOADS:
            told = found.wrong.get((name, workload), ())
            lines += [f"- {kind.title}, {workload}: wrong in {one}." for one in told]
    return lines


def plain(found: Found, options: argparse.Namespace) -> dict[str, Any]:
    """Everything, as data."""
    return {
        "rows": found.rows,
        "settings": settings("floor", options.cores, options.memory),
        "one_by_one": options.one_by_one,
        "measured": found.measured,
        "failed": [{"contender": name, "workload": work, "why": why} for (name, work), why in found.failed.items()],
        "wrong": [
            {"contender": name, "workload": work, "what": what} for (name, work), what in found.wrong.items() if what
        ],
        "contenders": {name: _described(name, found.versions.get(name, "")) for name in options.contenders},
    }


def _described(name: str, version: str) -> dict[str, Any]:
    kind = contender(name)
    words = ("requirements", "cannot", "left_out", "not_split", "reasons")
    return {"title": kind.title, "version": version, **{word: getattr(kind, word) for word in words}}


def tell(words: str) -> None:
    """Progress, beside the table."""
    print(words, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
