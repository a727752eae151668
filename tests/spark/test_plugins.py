"""A rule type of another package, run."""

from __future__ import annotations

import sys

import pyarrow as pa
import pyarrow.parquet as pq

import quality
from quality.rule_types import REGISTRY
from quality.rulefile import plugins
from tests.plugin import install


def test_a_type_of_another_package_judges_rows(spark, tmp_path, rule_file, monkeypatch):
    monkeypatch.setattr(plugins, "_loaded", set())
    monkeypatch.syspath_prepend(str(install(tmp_path)))
    data = tmp_path / "data.parquet"
    pq.write_table(pa.table({"cents": [5, 7, None, 10]}), data)
    rules = f"version: 1\ndataset: coins\ninput: {{path: {data}}}\ncolumns:\n  cents: {{multiple_of: 5}}\n"
    try:
        result = quality.run(rule_file(rules), "1", spark=spark, root=str(tmp_path / "root"))
    finally:
        REGISTRY.pop("multiple_of", None)
        sys.modules.pop("acme_rules", None)
    (rule,) = result.data["rules"]
    assert (rule["id"], rule["failed_rows"], rule["rows_in_scope"]) == ("cents.multiple_of", 1, 4)
    assert "must be a multiple of 5" in rule["message"]
    assert result.data["rows"]["quarantined"] == 1
