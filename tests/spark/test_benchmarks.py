"""The benchmarks run, and write down what they measured; what it was is not looked at here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHAPES = (
    ((), {"read", "copy", "checks", "quarantine", "profile", "all"}),
    (("--growth", "rules"), {"copy", "run"}),
    (("--warm-up", "1000", "--workload", "copy"), {"copy"}),
)


def run(*words: str) -> str:
    done = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.full
@pytest.mark.parametrize(("words", "workloads"), SHAPES, ids=("workloads", "rules", "warm-up"))
def test_the_engine_is_measured(tmp_path, words, workloads):
    measured = tmp_path / "measured.json"
    table = run(
        "benchmarks/engine.py", "--rows", "3000", "--repeat", "1", "--memory", "1g", "--json", str(measured), *words
    )
    rows = json.loads(measured.read_text(encoding="utf-8"))
    assert {row["workload"] for row in rows} == workloads
    assert {row["round"] for row in rows} == {0, 1}
    assert all(row["wall"] > 0 for row in rows)
    first = 1000 if "--warm-up" in words else 3000
    assert {(row["round"], row["rows"]) for row in rows} == {(0, first), (1, 3000)}
    # a line for each workload and case of a round that counts, beside the head
    assert len(table.strip().splitlines()) == 2 + len({(row["workload"], row["case"]) for row in rows if row["round"]})


@pytest.mark.full
def test_a_flame_graph_is_drawn(tmp_path):
    picture = tmp_path / "flame.svg"
    run("benchmarks/flame.py", "--rows", "50000", "--memory", "1g", "-o", str(picture))
    assert "samples of threads that run tasks" in picture.read_text(encoding="utf-8")
