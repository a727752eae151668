"""From a command to its first result on a small batch, and what a second one takes while Spark runs.

    python benchmarks/start_up.py --rows 10000 --repeat 3

Every command is a fresh process that reads one CSV file: Spark started and asked for nothing, a copy by plain Spark,
`quality run`, and the same checks in each of the engines that `peers.py` compares. Wall seconds end with the process, CPU
seconds count all it started, to their end. The second batch is taken in processes of their own, which do two. Rounds are
interleaved, one process at a time; the first round warms up the disk's cache and does not count.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import re
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import contenders
import meter
import peers
from contenders import contender, ours
from contenders.faults import Truth

BATCHES = ("a", "b")
#: Of prctl: whoever is left without a parent becomes our child, and its time is ours to read. The JVM ends after Python.
_SUBREAPER = 36


@dataclass(frozen=True)
class Command:
    """A process to start: what it is called, what it is given, and which exit codes are an answer."""

    title: str
    argv: Sequence[str]
    environment: Mapping[str, str]
    sent: str = ""
    #: The contender that answers, and what it is asked: to hold its answers against the planted faults.
    name: str = ""
    workload: str = ""
    codes: tuple[int, ...] = (0,)
    #: Whether it does two batches, and its second answer counts.
    second: bool = False


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--memory", default="2g", help="of each Spark")
    parser.add_argument("--patience", type=float, default=600, metavar="SECONDS", help="for one process")
    parser.add_argument("--only", dest="contenders", action="append", choices=contenders.NAMES, metavar="NAME",
                        help=f"a contender, several by repeating: {', '.join(contenders.NAMES)}")  # fmt: skip
    parser.add_argument("--environments", type=Path, default=peers.CACHE, metavar="DIR", help=f"default: {peers.CACHE}")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    with tempfile.TemporaryDirectory() as temporary:
        found = measure(options, Path(temporary))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(table(found))


def measure(options: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """One row for each command and round; round 0 is the warm-up."""
    made = commands(options, folder)
    prepare(options, folder)
    found, failed = [], set()
    for number in range(options.repeat + 1):
        for command in made:
            key = (command.title, command.second)
            if key in failed:
                continue
            shutil.rmtree(folder / "root", ignore_errors=True)
            try:
                spent, answers = run(command, folder, options.patience)
            except RuntimeError as error:
                failed.add(key)
                peers.tell(f"{command.title}: {error}")
                found.append({"command": command.title, "second": command.second, "failed": str(error)})
                continue
            peers.tell(f"{command.title}{', second batch' * command.second}: {spent.wall:.2f} s, {spent.cpu:.2f} s CPU")
            row = {
                "command": command.title,
                "second": command.second,
                "round": number,
                "wall": spent.wall,
                "cpu": spent.cpu,
            }
            found.append({**row, "wrong": wrong(command, answers, folder)})
    return found


def wrong(command: Command, answers: Sequence[dict[str, Any]], folder: Path) -> list[str]:
    """Where its answers are not what the planted faults say."""
    if command.workload not in ("checks", "quarantine"):
        return []
    planted = Truth.load(folder / "faults.json")
    kind = contender(command.name)
    return [words for answer in answers for words in peers.wrong(kind, command.workload, answer, planted)]


def prepare(options: argparse.Namespace, folder: Path) -> None:
    """Two batches as CSV, and the rule file for them."""
    (folder / "orders.yml").write_text(ours.RULES_FOR_CSV, encoding="utf-8")
    csv = [str(folder / f"{batch}.csv") for batch in BATCHES]
    task = {
        "do": "prepare", "rows": options.rows, "data": str(folder / "orders.parquet"),
        "truth": str(folder / "faults.json"), "csv": csv,
    }  # fmt: skip
    run(_worker(options, folder, "floor", "data", [task]), folder, 24 * 3600)


def commands(options: argparse.Namespace, folder: Path) -> list[Command]:
    """Everything that is compared, in the order of the table."""
    names = [name for name in contenders.NAMES if name in (options.contenders or contenders.NAMES)]
    made = [_worker(options, folder, "floor", "Spark alone", [_task("nothing", folder, "a")])]
    made += _once_and_twice(options, folder, "floor", "plain Spark: copy", "copy")
    if "ours" in names:
        argv = [sys.executable, "-m", "quality", "run", str(folder / "orders.yml"), "--var", f"incoming={folder}"]
        argv += ["--root", str(folder / "root"), "--conf", f"spark.master=local[{options.cores}]"]
        argv += ["--conf", f"spark.driver.memory={options.memory}", "--batch", "a"]
        environment = peers.process_environment("ours", folder)
        # 1: rules failed, and the rest was published
        made.append(Command("quality run", argv, environment, codes=(0, 1)))
        made.append(Command("quality run, two batches", [*argv, "--batch", "b"], environment, codes=(0, 1)))
        two = [_task("quarantine", folder, batch) for batch in BATCHES]
        made.append(_worker(options, folder, "ours", "quality run", two, second=True))
        made += _once_and_twice(options, folder, "ours", "quality: checks", "checks")
    for name in names:
        if name not in ("floor", "ours"):
            made += _once_and_twice(options, folder, name, f"{contender(name).title}: checks", "checks")
    return made


def _once_and_twice(options: argparse.Namespace, folder: Path, name: str, title: str, workload: str) -> list[Command]:
    tasks = [_task(workload, folder, batch) for batch in BATCHES]
    once = _worker(options, folder, name, title, tasks[:1])
    return [once, _worker(options, folder, name, title, tasks, second=True)]


def _task(workload: str, folder: Path, batch: str) -> dict[str, Any]:
    return {"do": workload, "data": str(folder / f"{batch}.csv"), "folder": str(folder / "written")}


def _worker(
    options: argparse.Namespace,
    folder: Path,
    name: str,
    title: str,
    tasks: Sequence[dict[str, Any]],
    *,
    second: bool = False,
) -> Command:
    python = peers.environment(name, options.environments)
    lines = [peers.settings(name, options.cores, options.memory), *tasks]
    sent = "".join(json.dumps(line) + "\n" for line in lines)
    argv = [str(python), "-m", "contenders.worker", name]
    environment = peers.process_environment(name, folder)
    return Command(title, argv, environment, sent, name, tasks[0]["do"], second=second)


def run(command: Command, folder: Path, patience: float) -> tuple[meter.Spent, list[dict[str, Any]]]:
    """What a command took from its start to its end, or its second batch, where that is what counts; and its answers, one
    for each task. RuntimeError when it fails."""
    before, began = _children(), time.perf_counter()
    process = subprocess.Popen(
        command.argv, env=dict(command.environment), cwd=folder, start_new_session=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        output, errors = process.communicate(command.sent, timeout=patience)
    except BaseException as error:
        _end(process.pid, 0)
        process.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            raise RuntimeError(f"longer than {patience:.0f} s") from None
        raise
    wall = time.perf_counter() - began
    _end(process.pid, 30)
    answers = [json.loads(line) for line in output.splitlines()] if command.sent else []
    if process.returncode not in command.codes or any("error" in answer for answer in answers):
        raise RuntimeError(next((a["error"] for a in answers if "error" in a), "") or errors.strip()[-300:])
    if command.second:
        return meter.Spent(answers[-1]["wall"], answers[-1]["cpu"]), answers[1:]
    return meter.Spent(wall, _children() - before), answers[1:]


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _end(group: int, patience: float) -> None:
    """Wait for what the process left behind, so that its time is counted; what does not end is ended."""
    deadline = time.monotonic() + patience
    try:
        while True:
            if os.waitpid(-group, os.WNOHANG) == (0, 0):
                if time.monotonic() > deadline:
                    os.killpg(group, signal.SIGKILL)
                time.sleep(0.02)
    except (ChildProcessError, ProcessLookupError):
        pass


def table(found: list[dict[str, Any]]) -> str:
    """Medians of the rounds that count."""
    lines = [
        "| command | wall s | CPU s | wall, more than Spark alone | second batch, wall s | second batch, CPU s |",
        "|---|---|---|---|---|---|",
    ]

    def median(title: str, what: str, *, second: bool = False) -> float | None:
        rows = [row for row in found if (row["command"], row["second"]) == (title, second)]
        values = [row[what] for row in rows if row.get("round", 0) > 0]
        return statistics.median(values) if values else None

    alone = median("Spark alone", "wall")
    for title in dict.fromkeys(row["command"] for row in found):
        wall = median(title, "wall")
        more = wall - alone if wall is not None and alone is not None and title != "Spark alone" else None
        cells = [
            wall,
            median(title, "cpu"),
            more,
            median(title, "wall", second=True),
            median(title, "cpu", second=True),
        ]
        why = next((row["failed"] for row in found if row["command"] == title and "failed" in row), "")
        texts = ["" if value is None else f"{value:.2f}" for value in cells]
        lines.append(f"| {title}{f' ({_plain(why)})' if why else ''} | {' | '.join(texts)} |")
    told = dict.fromkeys(f"- {row['command']}: wrong in {words}." for row in found for words in row.get("wrong", ()))
    return "\n".join([*lines, "", *told])


def _plain(text: str) -> str:
    return re.sub(r"[|\s]+", " ", text)


if __name__ == "__main__":
    main()
