"""A run that judges its batch by the history: what an anomaly does to the batch."""

from __future__ import annotations

import json

import numpy as np
import pytest

import quality
from quality import history_reader
from quality.storage.store import LocalStore
from tests.past import add

RULES = """
version: 1
dataset: d
input: {path: %s, format: parquet}
columns: {price: {required: {severity: info}}}
anomalies: {severity: %s}
profile: false
outputs: {root: %s}
"""


@pytest.fixture
def root(tmp_path):
    store, rng = LocalStore(str(tmp_path / "root")), np.random.default_rng(1)
    for n in range(20):
        add(store, n, 50 + rng.normal())
    return store


def run(spark, tmp_path, root, severity, nulls):
    frame = spark.range(1005).selectExpr(f"IF(id < {nulls}, NULL, id) AS price")
    frame.coalesce(1).write.mode("overwrite").parquet(str(tmp_path / "in"))
    rules = tmp_path / "rules.yml"
    rules.write_text(RULES % (tmp_path / "in", severity, root.root))
    return quality.run(rules, "2024-01-21", spark=spark)


def test_an_anomaly_is_a_warning_or_holds_the_batch(spark, tmp_path, root, monkeypatch):
    found = run(spark, tmp_path, root, "error", nulls=300)
    assert (found.status, found.decision, found.exit_code) == ("failed", "held", 4)
    # without pyarrow Spark reads the history
    monkeypatch.setattr(history_reader, "_has_pyarrow", lambda: False)
    found = run(spark, tmp_path, root, "warning", nulls=300)
    assert (found.status, found.decision, found.exit_code) == ("warning", "published", 0)
    entry = found.data["anomalies"][0]
    assert (entry["metric"], entry["instance"], entry["since"]) == ("Completeness", "price", "2024-01-21")
    assert json.loads(found.to_json())["anomalies"] == found.data["anomalies"]


def test_a_good_batch_passes(spark, tmp_path, root):
    found = run(spark, tmp_path, root, "error", nulls=0)
    assert (found.status, found.data["anomalies"]) == ("passed", [])
