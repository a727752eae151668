"""The history read without Spark: what is live, as tables, charts and anomalies."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest

import quality
from quality import anomalies, cli, history_reader
from quality.anomaly.values import Batch, Point, Series
from quality.errors import EngineError, StorageError, UsageError
from quality.model import BatchStatus, Decision, RuleStatus, Severity
from quality.rule_types.rules import AnomalySettings
from quality.sensitive import NOTHING
from quality.storage import backfills, commit, layout
from quality.storage.store import LocalStore
from tests.past import START, add


@pytest.fixture
def root(tmp_path):
    store, rng = LocalStore(str(tmp_path)), np.random.default_rng(1)
    for n in range(20):
        add(store, n, 50 + rng.normal())
    return store


HELD = {"decision": Decision.HELD, "status": BatchStatus.FAILED, "exit_code": 4}


def test_tables_hold_what_is_live(root):
    add(root, 3, 77.0)
    add(root, 25, 99.0, **HELD)
    history = quality.History(root.root, "d")
    rows = history.metrics().to_pylist()
    assert len(rows) == 40
    assert [row["value"] for row in rows if row["name"] == "Mean"][3] == 77.0
    assert rows[0]["dataset"] == "d"
    assert len(history.metrics(include_held=True)) == 42
    assert len(history.frame("metrics")) == 40


def test_batches_are_what_the_detector_takes(root):
    batch = quality.History(root.root, "d").batches()[2]
    assert (batch.id, batch.rows) == ("2024-01-03", 1002)
    assert {str(series): point.denominator for series, point in batch.points.items()} == {
        "Mean(price)": None,
        "Completeness(price)": 1002,
        "Size(*)": None,
    }


def test_a_strategy_looks_at_a_number_that_goes_with_a_sketch_only_when_told(root, monkeypatch):
    values, mean = Series("Histogram", "c"), Series("Mean", "c")
    days = [Batch(str(n), START + timedelta(days=n), 9, {values: Point(5.0), mean: Point(5.0)}) for n in range(20)]
    monkeypatch.setattr(history_reader, "batches", lambda *_given: days)
    tested = Batch("today", START + timedelta(days=30), 9, {values: Point(500.0), mean: Point(5.0)})
    settings = AnomalySettings(strategy="SimpleThreshold", arguments=(("upper", 100.0),))
    assert anomalies.judged(root, "d", tested, settings).anomalies == ()
    named = anomalies.judged(root, "d", tested, replace(settings, metrics=("Histogram",)))
    assert [one.series for one in named.anomalies] == [values]


def test_an_unknown_data_set_or_table_is_told(root):
    with pytest.raises(UsageError, match="data sets: d"):
        quality.History(root.root, "e")
    with pytest.raises(UsageError, match="did you mean 'metrics'"):
        quality.History(root.root, "d").table("metric")


def test_a_damaged_or_lost_file_is_named(root):
    key = layout.history_file("metrics", "d", "run-0-0")
    root.put(key, b"not parquet")
    with pytest.raises(StorageError, match="is no Parquet file of the history"):
        quality.History(root.root, "d").metrics()
    sink = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"x": [1]}), sink)
    root.put(key, sink.getvalue())
    for read in (quality.History(root.root, "d").metrics, quality.History(root.root, "d").batches):
        with pytest.raises(StorageError, match="is no Parquet file of the history: it has no column 'run'"):
            read()
    root.delete([key])
    with pytest.raises(StorageError, match="and it is gone"):
        quality.History(root.root, "d").metrics()


def test_without_pyarrow_it_says_what_to_install(root, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(EngineError, match=r"needs pyarrow: pip install 'quality-engine\[history\]'"):
        quality.History(root.root, "d").metrics()


def out(capsys, *words, code=0):
    assert cli.run_command(list(words)) == code
    captured = capsys.readouterr()
    return captured.err if code else captured.out


def test_the_newest_batch_is_judged_by_hand(root, capsys):
    assert "by 19 batches before it: nothing unusual" in out(capsys, "anomalies", "d", "--root", root.root)
    bad = add(root, 20, 50.0, nulls=200)
    text = out(capsys, "anomalies", "d", "--root", root.root)
    assert text.startswith(f"{bad} of d, by 20 batches before it:")
    assert "Completeness(price) is 0.8" in text
    found = json.loads(out(capsys, "anomalies", "d", "--root", root.root, "--json"))
    assert (found["judged"], found["anomalies"][0]["metric"]) == (True, "Completeness")
    assert "nothing unusual" in out(capsys, "anomalies", "d", "--root", root.root, "--metric", "Size")


def test_a_held_batch_is_judged_when_it_is_named(root, capsys):
    bad = add(root, 20, 50.0, nulls=200, **HELD)
    assert "Completeness(price)" in out(capsys, "anomalies", "d", "--root", root.root, "--batch", bad)
    assert "nothing unusual" in out(capsys, "anomalies", "d", "--root", root.root)


def test_a_batch_that_is_held_counts_once_it_is_published(root, capsys):
    bad = add(root, 20, 90.0, **HELD)
    words = ("anomalies", "accept", "d", "--root", root.root, "--batch", bad)
    assert "no part of the history before it is published" in out(capsys, *words)
    add(root, 21, 90.5)
    assert "Mean(price) is 90.5" in out(capsys, "anomalies", "d", "--root", root.root)
    add(root, 20, 90.0)
    assert "published" not in out(capsys, *words)
    assert "nothing unusual" in out(capsys, "anomalies", "d", "--root", root.root)


def test_a_past_that_was_measured_alone_is_judged_and_accepted(tmp_path, capsys):
    store, runs = LocalStore(str(tmp_path)), LocalStore(str(tmp_path / "runs"))
    rng = np.random.default_rng(1)
    for n in range(22):
        batch = add(runs, n, (90 if n > 19 else 50) + rng.normal())
        record = commit.latest(runs, "d", batch)
        assert record is not None
        store.put(record.history[0], runs.read(record.history[0]))
        backfills.add(store, replace(record, decision=Decision.NONE))
    assert "2024-01-22 of d, by 21 batches" in (text := out(capsys, "anomalies", "d", "--root", store.root))
    assert "Mean(price) is" in text
    accepted = out(capsys, "anomalies", "accept", "d", "--root", store.root, "--batch", "2024-01-21")
    assert "published" not in accepted
    assert "nothing unusual" in out(capsys, "anomalies", "d", "--root", store.root)
    assert "has no batch '2024-01-33'" in out(
        capsys, "anomalies", "d", "--root", store.root, "--batch", "2024-01-33", code=2
    )


def test_early_batches_are_not_judged(root, capsys):
    text = out(capsys, "anomalies", "d", "--root", root.root, "--batch", "2024-01-03")
    assert "not judged: 2 earlier batches, 7 are needed" in text


def test_a_new_normal_is_accepted_and_kept(root, capsys):
    bad = add(root, 20, 90.0)
    add(root, 21, 90.5)
    assert "Mean(price)" in out(capsys, "anomalies", "d", "--root", root.root)
    words = ("anomalies", "accept", "d", "--root", root.root, "--batch", bad, "--metric", "Mean(price)")
    assert "is the new normal for Mean(price)" in out(capsys, *words, "--by", "ann", "--reason", "new prices")
    assert "nothing unusual" in out(capsys, "anomalies", "d", "--root", root.root)
    (note,) = [json.loads(root.read(entry.key)) for entry in root.list(layout.accepted_dir("d"))]
    assert (note["by"], note["reason"], note["metrics"]) == ("ann", "new prices", ["Mean(price)"])


def test_a_rule_file_tells_where_and_how(root, capsys, rule_file):
    add(root, 20, 90.0)
    head = f"version: 1\ndataset: d\ninput: {{path: a.csv}}\nrules: [row_count: {{at_least: 1}}]\noutputs: {{root: {root.root}}}\n"
    asked = str(rule_file(f"{head}anomalies: {{metrics: [Mean]}}\n"))
    assert "1 of 1 metrics is unusual" in out(capsys, "anomalies", "d", "--rules", asked)
    assert "has no data set 'd'" in out(capsys, "anomalies", "d", "--rules", asked, "--root", "nowhere", code=2)
    none = str(rule_file(head, "none.yml"))
    assert "none.yml: has no section 'anomalies'" in out(capsys, "anomalies", "d", "--rules", none, code=2)


@pytest.mark.parametrize(
    ("words", "message"),
    (
        (("accept", "d"), "--batch is missing"),
        (("accept", "d", "--batch", "2024-01-40"), "has no batch '2024-01-40'; did you mean"),
        (("accept", "d", "--batch", "2024-01-02", "--metric", "Maen(price)"), "did you mean 'Mean(price)'?"),
        (("d", "e"), "takes DATASET or accept DATASET"),
        (("d", "--season", "weakly"), "--season must be one of auto, daily, weekly, none"),
        (("d", "--false-alarms", "2"), "--false-alarms must be between 0 and 1"),
        (("d", "--metric", "row_count"), "here it is 'Size'"),
        (("d", "--metric", "Size", "--metric", "Siez"), "no batch has a metric 'Siez'; did you mean 'Size'?"),
        (("d", "--metric", "Mean(prise)"), "no batch has a metric 'Mean(prise)'; did you mean 'Mean(price)'?"),
    ),
)
def test_mistakes_are_told(root, capsys, words, message):
    assert message in out(capsys, "anomalies", *words, "--root", root.root, code=2)


def test_a_run_warns_of_a_metric_that_no_batch_has(root):
    asked = AnomalySettings(metrics=("Size", "Siez"))
    rule_set = SimpleNamespace(anomalies=asked, sensitive=NOTHING)
    day = {"batch": "2024-01-21", "batch_time": START + timedelta(days=20)}
    context: Any = SimpleNamespace(rule_set=rule_set, store=root, dataset="d", spark=None, **day)
    (verdict,) = anomalies.of_run(context, (), 1003).verdicts
    assert (verdict.status, verdict.severity) == (RuleStatus.ERROR, Severity.WARNING)
    assert "no batch has a metric 'Siez'; did you mean 'Size'?" in verdict.message
    rule_set.anomalies = AnomalySettings(metrics=("Size",))
    assert anomalies.of_run(context, (), 1003).verdicts == ()


def test_a_note_that_is_none_is_named(root):
    root.put(f"{layout.accepted_dir('d')}/x.json", b"{}")
    with pytest.raises(StorageError, match="is no note of an accepted batch"):
        anomalies.judge_stored(root, "d", None, AnomalySettings())


def test_deequs_strategies_judge_a_stored_batch(root):
    add(root, 20, 99.0)
    settings = AnomalySettings(strategy="BatchNormal", metrics=("Mean(price)",))
    _, found = anomalies.judge_stored(root, "d", None, settings)
    assert [str(one.series) for one in found.anomalies] == ["Mean(price)"]


def test_the_history_is_listed_shown_and_exported(root, capsys, tmp_path):
    assert "5 of 20 batches" in out(capsys, "history", "list", "d", "--root", root.root, "--last", "5")
    assert len(json.loads(out(capsys, "history", "list", "d", "--root", root.root, "--json"))) == 20
    chart = out(capsys, "history", "show", "Size", "--dataset", "d", "--root", root.root)
    assert chart.splitlines()[0] == "Size(*)"
    assert chart.count("●") == 20
    for name in ("m.csv", "m.parquet", "m.jsonl"):
        text = out(capsys, "history", "export", "d", "--root", root.root, "-o", str(tmp_path / name))
        assert text.startswith("40 rows of metrics written to ")
    assert len((tmp_path / "m.csv").read_text().splitlines()) == 41
    assert json.loads((tmp_path / "m.jsonl").read_text().splitlines()[0])["dataset"] == "d"


def test_a_metric_is_shown_by_the_batches_asked_for_alone(root, capsys):
    shown = ("history", "show", "Mean", "--dataset", "d", "--root", root.root, "--last", "3")
    before = out(capsys, *shown)
    for n in range(17):
        root.delete([layout.history_file("metrics", "d", f"run-{n}-{2 * n}")])
    assert out(capsys, *shown) == before
    with pytest.raises(StorageError, match="and it is gone"):
        quality.History(root.root, "d").batches()


def test_a_metric_of_earlier_batches_is_known(root, capsys):
    add(root, 20, 1.0, columns_then=5)
    for n in range(21, 24):
        add(root, n, 1.0)
    text = out(capsys, "history", "show", "ColumnCount", "--dataset", "d", "--root", root.root, "--last", "2")
    assert [line.split() for line in text.splitlines()] == [
        ["ColumnCount(*)"],
        ["2024-01-23", "-"],
        ["2024-01-24", "-"],
    ]


def test_what_cannot_be_shown_is_told(root, capsys):
    place = ("--dataset", "d", "--root", root.root)
    results = out(capsys, "history", "export", "d", "--table", "results", "--root", root.root, "-o", "a.csv", code=3)
    assert "has no results of a live run yet; those of held runs: --include-held" in results
    assert "did you mean 'Mean(price)'?" in out(capsys, "history", "show", "Mean(prise)", *place, code=2)
    assert "must be one of .csv" in out(capsys, "history", "export", "d", "--root", root.root, "-o", "a.xls", code=2)
