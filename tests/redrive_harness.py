"""Kills re-drives, JVM and all, before, in or after the n-th change they make in the store, and looks at what lies there as
a stranger would: records as JSON, files with pyarrow. After every kill each row is in exactly one place, and a re-drive
happened wholly or not at all; the next driver goes on.

    python tests/redrive_harness.py --runs 50
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
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parents[1]
#: One copy, the sides made tidy in three steps, the entry of the ledger, history 6 to 8, result and report, the commit, the
#: manifest.
CHANGES, COMMIT = 12, 11
ROWS = Counter({(1, 5): 1, (2, -3): 1, (3, -9): 1, (4, 7): 2, (5, 8): 1})
RULES = """\
version: 1
dataset: d
input: {path: "PLACE/in.csv", format: csv, options: {header: true}}
key: id
columns: {id: {type: integer}, amount: {type: integer, at_least: BOUND}}
hold: {quarantined_above: 100%}
outputs: {root: "PLACE/out"}
"""


def placed(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"{id},{amount}" for id, amount in ROWS.elements()]
    (folder / "in.csv").write_text("\n".join(["id,amount", *lines]) + "\n")
    for name, bound in (("strict", "0"), ("mild", "-5")):
        (folder / f"{name}.yml").write_text(RULES.replace("PLACE", str(folder)).replace("BOUND", bound))
    return folder


def records(folder: Path) -> list[dict[str, Any]]:
    found = sorted((folder / "out/commits/d/b").glob("[0-9]*.json"), key=lambda path: int(path.stem))
    return [json.loads(path.read_bytes()) for path in found]


def look(folder: Path) -> bool:
    """Whether the re-driven row is on the passed side; AssertionError when a row is nowhere, or in two places."""
    record = records(folder)[-1]
    sides: dict[str, Counter[Any]] = {}
    for side in ("passed", "quarantine"):
        tables = [pq.read_table(folder / "out" / file["path"], partitioning=None) for file in record[side]]
        sides[side] = Counter((row["id"], row["amount"]) for table in tables for row in table.to_pylist())
        assert [table.num_rows for table in tables] == [file["rows"] for file in record[side]]
    assert sides["passed"] + sides["quarantine"] == ROWS, sides
    back = record.get("action") == "redrive"
    wanted = Counter({(1, 5): 1, (5, 8): 1, **({(2, -3): 1} if back else {})})
    assert sides["passed"] == wanted, (back, sides)
    assert record["rows"] == {"input": 6, "passed": wanted.total(), "quarantined": 6 - wanted.total(), "flagged": 0}
    runs = pq.read_table(folder / "out" / next(k for k in record["history"] if "/runs/" in k)).to_pylist()
    assert [(r["run"], r["rows_passed"]) for r in runs] == [(record["run"], wanted.total())]
    entries = [json.loads(p.read_bytes()) for p in (folder / "out/quarantine/d/_ledger/b").glob("*.json")]
    assert [e["rows"] for e in entries if e["run"] == record["run"]] == ([{"redriven": 1}] if back else [])
    return back


def drive(folder: Path, moment: dict[str, Any] | None, renew: bool, seed: int = 0) -> list[dict[str, Any]]:
    """One driver: a run by strict rules when `renew`, then a re-drive by mild ones, in which it dies at the moment."""
    order = json.dumps({"folder": str(folder), "moment": moment, "renew": renew, "seed": seed})
    words = [sys.executable, str(Path(__file__).resolve()), "--worker", order]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        words, capture_output=True, text=True, cwd=ROOT, env=environment, start_new_session=True, check=False
    )
    assert done.returncode == (-signal.SIGKILL if moment else 0), f"{moment}: {done.returncode}: {done.stderr[-3000:]}"
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"event"')]


def campaign(folder: Path, moments: Sequence[dict[str, Any]], log: Any = None, spark: Any = None) -> Counter[str]:
    """Kill a driver at each moment; how many died before and after their commit. With `spark` the last one, that nobody kills, is
    here."""
    placed(folder)
    reached: Counter[str] = Counter()
    back, renew = False, True
    for number, moment in enumerate(moments):
        before = 0 if renew else len(records(folder))
        drive(folder, moment, renew, number)
        now = look(folder)
        reached["committed" if now else "not committed"] += 1
        assert renew or len(records(folder)) == before + (now and not back)
        back = renew = now
        if log:
            log(f"{number + 1}: {moment['when']} change {moment['change']}: {dict(reached)}")
    # what was interrupted is made whole, and then there is nothing more to do
    first, second = drive(folder, None, False) if spark is None else twice(folder, spark)
    assert (first["back"], second["back"]) == ({} if back else {"redriven": 1}, {})
    assert (look(folder), second["records"]) == (True, first["records"])
    manifest = folder / "out/passed/d/_symlink_format_manifest/batch=b/manifest"
    assert manifest.read_text().split() == [f"file://{folder}/out/{f['path']}" for f in records(folder)[-1]["passed"]]
    return reached


def twice(folder: Path, spark: Any) -> Iterator[dict[str, Any]]:
    """Re-drive by the mild rules, and once more."""
    from quality.redrive import redrive

    for _ in range(2):
        (done,) = redrive(folder / "mild.yml", spark=spark, by="ann")
        yield {"back": dict(done.back), "records": len(records(folder)), "message": done.message}


def worker(order: dict[str, Any]) -> None:
    from quality import run
    from quality.backends.session import session
    from quality.storage import store as local
    from tests.kill_harness import CHANGES as NAMES
    from tests.kill_harness import Suicide, tell

    folder, moment = Path(order["folder"]), order["moment"]
    settings = {"spark.driver.memory": "600m", "spark.sql.shuffle.partitions": "1"}
    with session(master="local[1]", extra=settings, needs=[]) as own:
        if order["renew"]:
            run(folder / "strict.yml", "b", spark=own.spark, force=True)
        suicide = Suicide(
            {"run": 0, "word": None, **(moment or {"change": 0, "when": ""})}, random.Random(order["seed"]), local
        )
        for name in (*NAMES, "copy"):
            suicide.watch(local.LocalStore, name)
        suicide.begin(0)
        for told in twice(folder, own.spark):
            tell(event="done", **told)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--runs", type=int, default=50, help="how many drivers to kill")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        worker(json.loads(options.worker))
        return 0
    folder = Path(tempfile.mkdtemp(prefix="redrives-"))
    from tests.kill_harness import say

    say(str(campaign(folder, drawn(options.runs, options.seed), say)))
    shutil.rmtree(folder, ignore_errors=True)
    return 0


def drawn(count: int, seed: int) -> list[dict[str, Any]]:
    draw = random.Random(seed)
    whens = ("before", "during", "after")
    return [{"change": draw.randint(1, CHANGES), "when": draw.choice(whens)} for _ in range(count)]


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
