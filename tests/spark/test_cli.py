"""The command with Spark: run, plan, paths. A process of its own where what ends with it matters."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree as ET

import pytest

from quality.cli import run_command

ROOT = Path(__file__).parents[2]

RULES = """\
version: 1
dataset: orders
input: {path: "PLACE/{{ batch }}.csv", options: {header: true}}
columns: {id: {type: integer, required: true, unique: true}, amount: {type: integer}}
rules:
  - {name: not negative, that: amount >= 0, tolerance: 40%}
  - {name: kept, that: amount < 20, severity: warning}
  - {name: holds, that: amount < 1000, on_fail: hold}
  - {row_count: {at_least: 3}}
  - {mean: {column: amount, above: 0}, severity: warning}
"""
ROWS = "id,amount\n1,10\n2,-1\n3,5\n"


@pytest.fixture(scope="module")
def place(tmp_path_factory, spark):
    """A rule file and three batches: one that passes, one that is held, one that is not there."""
    path = tmp_path_factory.mktemp("cli")
    (path / "orders.yml").write_text(RULES.replace("PLACE", str(path)))
    (path / "good.csv").write_text(ROWS)
    (path / "few.csv").write_text("id,amount\n1,10\n")
    return SimpleNamespace(path=path, rules=str(path / "orders.yml"), root=str(path / "kept"), spark=spark)


@pytest.fixture(scope="module")
def alone(place):
    """What `quality run` does in a process of its own."""
    root = str(place.path / "alone")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "QUALITY_ROOT": root}
    words = ["run", place.rules, "--batch", "good", "--batch", "few", "--batch", "none", "--root", root, "--json"]
    words += ["--junit", str(place.path / "report.xml")]
    found = subprocess.run(
        [sys.executable, "-m", "quality", *words],
        env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    return SimpleNamespace(process=found, root=root, junit=place.path / "report.xml")


@pytest.fixture
def quality(capsys):
    """Runs the command in this process: exit code, standard output, standard error."""

    def run(*arguments):
        code = run_command([str(word) for word in arguments])
        found = capsys.readouterr()
        return code, found.out, found.err

    return run


# run


def test_a_run_ends_by_itself_with_the_gravest_exit_code(alone):
    assert alone.process.returncode == 3


def test_json_is_all_that_a_run_prints_on_standard_output(alone):
    whole = json.loads(alone.process.stdout)
    assert whole["schema"] == "quality.results/1"
    assert [(r["batch"], r["exit_code"]) for r in whole["results"]] == [("good", 0), ("few", 4), ("none", 3)]


def test_each_result_that_is_printed_is_the_one_that_is_stored(alone):
    for result in json.loads(alone.process.stdout)["results"]:
        stored = Path(alone.root) / "runs/orders" / result["batch"] / result["run"] / "result.json"
        assert json.loads(stored.read_text(encoding="utf-8")) == result


def test_no_escape_codes_and_no_progress_go_into_a_pipe(alone):
    assert "\x1b" not in alone.process.stdout + alone.process.stderr
    assert "\r" not in alone.process.stdout + alone.process.stderr
    assert "Traceback" not in alone.process.stderr


def test_junit_has_a_suite_for_each_batch_and_fails_where_the_exit_code_is_not_0(alone):
    suites = ET.parse(alone.junit).getroot().findall("testsuite")
    found = [(s.get("name"), int(s.get("failures", "")) + int(s.get("errors", ""))) for s in suites]
    assert [name for name, _ in found] == ["orders good", "orders few", "orders none"]
    assert [bool(count) for _, count in found] == [False, True, True]


def test_a_run_of_one_batch_prints_its_own_result(quality, place):
    code, out, err = quality("run", place.rules, "--batch", "good", "--root", place.root, "--json")
    data = json.loads(out)
    assert (code, err, data["schema"]) == (0, "", "quality.result/1")
    stored = Path(place.root) / "runs/orders/good" / data["run"] / "result.json"
    assert json.loads(stored.read_text(encoding="utf-8")) == data
    code, out, _ = quality("run", place.rules, "--batch", "good", "--root", place.root, "--json")
    assert json.loads(out) == {**data, "unchanged": True}


def test_a_run_for_people_says_how_it_ended_and_what_to_do(quality, place):
    code, out, _ = quality("run", place.rules, "--batch", "few", "--root", place.root)
    assert code == 4
    assert "orders few: failed, held" in out
    assert "held by row_count" in out
    assert f"{place.rules}:9" in out
    assert f"quality run {place.rules} --batch few" in out


def test_a_wrong_expression_is_a_mistake_of_the_rule_file(quality, place):
    (place.path / "wrong.yml").write_text(RULES.replace("PLACE", str(place.path)).replace("amount >= 0", "amount >= ("))
    code, out, err = quality("run", place.path / "wrong.yml", "--batch", "good", "--root", place.root)
    assert (code, out) == (2, "")
    assert "wrong.yml:6: 'that' cannot be used: '(' is not closed" in err


# plan


def jobs(spark, call):
    """Stages that Spark ran during a call, each with the number of its tasks."""
    tracker = spark.sparkContext.statusTracker()
    spark.sparkContext.setJobGroup("watched", "watched")
    try:
        found = call()
        ids = tracker.getJobIdsForGroup("watched")
        stages = [tracker.getStageInfo(stage) for job in ids for stage in tracker.getJobInfo(job).stageIds]
        return found, [stage.numTasks for stage in stages if stage]
    finally:
        spark.sparkContext.setLocalProperty("spark.jobGroup.id", None)


def test_a_plan_says_of_each_rule_where_its_rows_go_and_what_failing_does(quality, place):
    code, out, err = quality("plan", place.rules, "--batch", "good", "--root", place.root)
    assert (code, err) == (0, "")
    lines = {line.split()[0]: line for line in out.splitlines() if line.startswith("  ") and "[" in line}
    expected = {
        "malformed": "rows: quarantine; failing: the batch fails, and is published",
        "id.type": "rows: quarantine; failing: the batch fails, and is published",
        "id.required": "rows: quarantine; failing: the batch fails, and is published",
        "id.unique": "rows: quarantine; failing: the batch fails, and is published",
        "amount.type": "rows: quarantine; failing: the batch fails, and is published",
        "not-negative": "rows: quarantine; failing, more than 40%: the batch fails, and is published",
        "kept": "rows: stay in passed, counted; failing: a warning",
        "holds": "rows: quarantine; failing: the batch is held",
        "row_count": "failing: the batch is held",
        "amount.mean": "failing: a warning",
    }
    assert lines.keys() == expected.keys()
    assert {name for name, words in expected.items() if not lines[name].endswith(words)} == set()


def test_a_plan_as_json_has_every_rule(quality, place):
    _, out, _ = quality("plan", place.rules, "--batch", "good", "--root", place.root, "--json")
    data = json.loads(out)
    ids = [rule["id"] for part in ("row_rules", "metric_rules", "schema_rules") for rule in data[part]]
    assert sorted(ids) == sorted(
        ["malformed", "id.type", "id.required", "id.unique", "amount.type", "not-negative", "kept", "holds", "row_count", "amount.mean"]
    )  # fmt: skip
    assert set(data["passes"]) == {"wide", "narrow", "shuffles"}


def test_a_plan_reads_the_first_line_and_nothing_more(quality, place):
    # a gzip file that ends in the middle: whoever reads on, fails
    import gzip

    whole = gzip.compress(b"id,amount\n" + b"".join(b"%d,%d\n" % (n, n * 7919 % 100_003) for n in range(400_000)))
    (place.path / "cut.csv.gz").write_bytes(whole[: len(whole) // 2])
    words = ("plan", place.rules, "--batch", "cut", "--root", place.root, "--input", place.path / "cut.csv.gz")
    (code, out, err), tasks = jobs(place.spark, lambda: quality(*words))
    assert (code, err) == (0, "")
    assert "orders cut: 10 rules over 2 columns" in out
    assert sum(tasks) == 0
    assert quality("run", *words[1:])[0] == 3


def test_a_plan_of_a_batch_that_is_not_there_is_an_error_of_one_line(quality, place):
    code, out, err = quality("plan", place.rules, "--batch", "none", "--root", place.root)
    assert (code, out, err.count("\n")) == (3, "", 1)
    assert "none.csv" in err


def test_a_plan_tells_what_cannot_be_judged(quality, place):
    (place.path / "odd.yml").write_text(
        RULES.replace("PLACE", str(place.path)) + "  - {above: {column: amout, value: 1}}\n"
    )
    code, out, _ = quality("plan", place.path / "odd.yml", "--batch", "good", "--root", place.root)
    assert code == 0
    assert "amout.above: column 'amout' is not in the data; did you mean 'amount'?" in out


# paths


def test_paths_prints_the_live_files_one_a_line(quality, place):
    quality("run", place.rules, "--batch", "good", "--root", place.root)
    code, out, err = quality("paths", "orders", "--batch", "good", "--root", place.root)
    assert (code, err) == (0, "")
    files = out.splitlines()
    assert files
    assert all(Path(file.removeprefix("file://")).is_file() and "/passed/orders/_runs/good/" in file for file in files)
    code, out, _ = quality("paths", "orders", "--batch", "good", "--side", "quarantine", "--root", place.root)
    assert (code, len(out.splitlines())) == (0, 1)


def test_paths_of_a_batch_that_was_only_held_says_so(quality, place):
    _, out, _ = quality("run", place.rules, "--batch", "few", "--root", place.root, "--json", "--force")
    run = json.loads(out)["run"]
    code, out, err = quality("paths", "orders", "--batch", "few", "--root", place.root)
    assert (code, out) == (3, "")
    assert err == f"quality: batch 'few' of 'orders' was never published; its last run {run} is held\n"
    code, out, _ = quality("paths", "orders", "--run", run, "--root", place.root)
    assert (code, "/_runs/few/" in out) == (0, True)


@pytest.mark.parametrize(
    ("words", "message"),
    (
        (("orders", "--batch", "god"), "data set 'orders' has no batch 'god'; did you mean 'good'?"),
        (("ordres",), "has no data set 'ordres'; did you mean 'orders'?"),
        (("orders", "--run", "x"), "data set 'orders' has no committed run 'x'"),
    ),
)
def test_paths_of_what_is_not_known_says_what_is(quality, place, words, message):
    quality("run", place.rules, "--batch", "good", "--root", place.root)
    code, out, err = quality("paths", *words, "--root", place.root)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err


def test_a_terminal_is_told_what_is_going_on(tmp_path):
    (tmp_path / "a.csv").write_text("n\n1\n")
    (tmp_path / "rules.yml").write_text(
        f"version: 1\ndataset: d\ninput: {{path: {tmp_path}/a.csv, options: {{header: true}}}}\nrules: [row_count: {{above: 0}}]\n"
    )
    screen, terminal = pty.openpty()
    words = [sys.executable, "-m", "quality", "run", "rules.yml", "--batch", "b", "--root", "out"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(words, cwd=tmp_path, env=environment, stdout=terminal, stderr=terminal) as process:
        os.close(terminal)
        said = b"".join(iter(lambda: _read(screen), b"")).decode()
    os.close(screen)
    assert process.returncode == 0
    assert "starting Spark" in said
    assert "measuring" in said
    assert "Exception" not in said
    assert "published" in said


def _read(screen: int) -> bytes:
    try:
        return os.read(screen, 65_536)
    except OSError:  # the other end is closed
        return b""
