"""Which run readers see: two at once, one after another, held ones, and drivers that die."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import quality
from quality.errors import InputError, StorageError, UsageError
from tests.written import Place, records, rows

CSV = "options: {header: true}"
TYPED = "columns: {n: {type: integer}}"
RULE = "- above: {column: n, value: 5}"


@pytest.fixture
def place(spark, tmp_path):
    return Place(tmp_path, spark)


def live(place: Place, side: str = "passed", batch: str = "b") -> list[int]:
    """What a reader gets, and proof that every way to read says the same."""
    found = sorted(row.n for row in quality.read(place.spark, str(place.root), "d", batch, side).collect())
    files = quality.paths(str(place.root), "d", batch, side)
    if side == "passed":
        manifest = place.root / "passed" / "d" / "_symlink_format_manifest" / f"batch={batch}" / "manifest"
        assert manifest.read_text().split() == files
    direct = place.spark.read.parquet(*files).select("n").collect() if files else []
    assert sorted(row.n for row in direct) == found
    return found


def snapshot(root: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in root.rglob("*") if path.is_file()}


def test_of_two_drivers_racing_on_a_batch_one_wins_and_nothing_of_the_other_is_visible(place):
    place.put({"a.csv": "n\n1\n7\n8\n"})
    file = place.rules(RULE, input=CSV, top=TYPED)
    # both have looked for the last commit when either writes one
    both_there = threading.Barrier(2, timeout=300)
    found: list[Any] = [None, None]

    def drive(number: int) -> None:
        def told(words: str) -> None:
            if words.endswith("keeping the results"):
                both_there.wait()

        found[number] = quality.run(file, "b", spark=place.spark, force=True, progress=told)

    drivers = [threading.Thread(target=drive, args=(number,)) for number in range(2)]
    for driver in drivers:
        driver.start()
    for driver in drivers:
        driver.join()
    winner, loser = sorted(found, key=lambda result: result.exit_code)
    assert (winner.exit_code, loser.exit_code) == (1, 3)
    assert f"run {winner.data['run']} committed first" in loser.data["message"]
    (record,) = records(place.root, "d", "b")
    assert record["run"] == winner.data["run"]
    for side in ("passed", "quarantine"):
        assert all(winner.data["run"] in path for path in quality.paths(str(place.root), "d", side=side))
    assert live(place) == [7, 8]
    with pytest.raises(UsageError, match=loser.data["run"]):
        quality.paths(str(place.root), "d", run=loser.data["run"])
    # the result that was stored is the one that was told
    for result in (winner, loser):
        (stored,) = place.root.glob(f"runs/d/b/{result.data['run']}/result.json")
        assert json.loads(stored.read_text())["exit_code"] == result.exit_code


def test_a_run_that_supersedes_another_takes_its_place_for_all_readers(place):
    place.put({"a.csv": "n\n1\n7\n8\n"})
    first = place.run(RULE, input=CSV, top=TYPED)
    assert (live(place), live(place, "quarantine")) == ([7, 8], [1])
    runs = [first.data["run"]]

    forced = place.run(RULE, input=CSV, top=TYPED, force=True)
    runs.append(forced.data["run"])
    assert (live(place), live(place, "quarantine")) == ([7, 8], [1])

    runs.append(place.run("- above: {column: n, value: 7}", input=CSV, top=TYPED).data["run"])
    assert (live(place), live(place, "quarantine")) == ([8], [1, 7])

    place.put({"b.csv": "n\n9\n"})
    runs.append(place.run("- above: {column: n, value: 7}", input=CSV, top=TYPED).data["run"])
    assert (live(place), live(place, "quarantine")) == ([8, 9], [1, 7])

    kept = records(place.root, "d", "b")
    assert [(record["seq"], record["run"]) for record in kept] == list(enumerate(runs, start=1))
    # what was superseded can still be read by its run
    assert [len(rows(place.root, record, "passed")) for record in kept] == [2, 2, 1, 2]
    assert all(runs[0] in path for path in quality.paths(str(place.root), "d", run=runs[0]))


def test_a_held_run_leaves_the_one_before_it_to_the_readers(place):
    place.put({"a.csv": "n\n1\n7\n8\n"})
    place.run(RULE, input=CSV, top=TYPED)
    held = place.run(f"{RULE}\n- row_count: {{at_least: 9}}", input=CSV, top=TYPED)
    assert (held.exit_code, held.data["decision"]) == (4, "held")
    assert live(place) == [7, 8]
    assert all(held.data["run"] not in path for path in quality.paths(str(place.root), "d"))
    assert records(place.root, "d", "b")[-1]["run"] == held.data["run"]


def test_a_batch_that_was_only_held_has_no_reader(place):
    place.put({"a.csv": "n\n1\n"})
    rules, how = "- row_count: {at_least: 9}", {"input": CSV, "top": TYPED}
    held = place.run(rules, **how)
    with pytest.raises(InputError, match="was never published"):
        quality.paths(str(place.root), "d", "b")
    assert not (place.root / "passed" / "d" / "_symlink_format_manifest").exists()
    again = place.run(rules, **how)
    assert (again.unchanged, again.exit_code, again.data["run"]) == (True, 4, held.data["run"])


@pytest.mark.parametrize(("rules", "exit_code"), ((RULE, 1), ("- required: n", 0)))
def test_nothing_to_do_writes_nothing_and_gives_the_stored_result(place, rules, exit_code):
    place.put({"a.csv": "n\n1\n7\n8\n"})
    first = place.run(rules, input=CSV, top=TYPED)
    before = snapshot(place.root)
    again = place.run(rules, input=CSV, top=TYPED)
    assert again.data == {**first.data, "unchanged": True}
    assert (first.unchanged, again.exit_code) == (False, exit_code)
    assert snapshot(place.root) == before


def test_a_root_that_cannot_be_written_is_said_in_one_line(place):
    place.put({"a.csv": "n\n1\n"})
    (place.directory / "file").write_text("no directory")
    root = place.directory / "file" / "out"
    result = place.run(RULE, input=CSV, top=f'{TYPED}\noutputs: {{root: "{root}"}}')
    assert result.exit_code == 3
    assert str(root) in result.data["message"]
    assert "\n" not in result.data["message"]


# drivers that die

DRIVER = """
import os, signal, sys
from quality import run
from quality.backends.session import session
from quality.storage import commit, readers

rules, moment = sys.argv[1:]


def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)


def told(words):
    if words.endswith(moment):
        die()


if moment == "commit":
    commit.commit = die
if moment == "manifest":
    readers.write_manifest = die
with session(master="local[1]", extra={"spark.driver.memory": "700m", "spark.sql.shuffle.partitions": "1"}) as own:
    run(rules, "b", spark=own.spark, force=True, progress=told)
raise SystemExit("was not killed")
"""


def drive_and_kill(place: Place, moment: str) -> None:
    driver = place.directory / "driver.py"
    driver.write_text(DRIVER)
    words = [sys.executable, str(driver), str(place.directory / "rules.yml"), moment]
    done = subprocess.run(
        words,
        cwd=Path(quality.__file__).parents[1],
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(quality.__file__).parents[1])}


def content(place: Place, record: dict[str, Any]) -> dict[str, Any]:
    """What two runs over the same input must have in common."""
    quarantined = rows(place.root, record, "quarantine")
    for row in quarantined:
        row["_quality"].pop("run")
    passed = rows(place.root, record, "passed")
    return {
        "passed": sorted(map(str, passed)),
        "quarantine": sorted(map(str, quarantined)),
        **{name: record[name] for name in ("status", "decision", "exit_code", "rows", "columns", "fingerprints")},
    }


def test_what_fails_after_the_commit_does_not_undo_it(place, monkeypatch):
    place.put({"a.csv": "n\n7\n8\n"})

    def refuse(*_arguments: object) -> None:
        raise StorageError("no room")

    with monkeypatch.context() as patched:
        patched.setattr("quality.storage.readers.write_manifest", refuse)
        first = place.run(RULE, input=CSV, top=TYPED)
    again = place.run(RULE, input=CSV, top=TYPED)
    assert (first.exit_code, again.exit_code, again.unchanged) == (0, 0, True)
    assert len(live(place)) == 2
    assert list(place.root.rglob("manifest"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "moment",
    (
        pytest.param("splitting and writing rows", marks=pytest.mark.full),
        pytest.param("keeping the results", marks=pytest.mark.full),
        "commit",
        "manifest",
    ),
)
def test_a_driver_that_is_killed_leaves_readers_what_they_had_and_its_batch_can_be_run_again(place, moment):
    place.put({"a.csv": "n\n" + "\n".join(str(number % 50) for number in range(200)) + "\nx\n"})
    undisturbed = place.run(RULE, input=CSV, top=TYPED)
    expected = content(place, place.record())
    drive_and_kill(place, moment)
    committed = moment == "manifest"
    assert len(records(place.root, "d", "b")) == (2 if committed else 1)
    # the record decides, whatever the manifest says
    visible = quality.paths(str(place.root), "d", "b")
    assert all((undisturbed.data["run"] in path) is not committed for path in visible)
    place.conserves(201)
    again = place.run(RULE, input=CSV, top=TYPED, force=not committed)
    # a run that was committed and died stands: what it did not come to is made up for
    assert again.unchanged is committed
    assert again.exit_code == undisturbed.exit_code
    assert content(place, place.record()) == expected
    place.conserves(201)
    assert len(live(place)) == 176
    assert not [path for path in place.root.rglob("*") if path.name.startswith(".quality-tmp")]
