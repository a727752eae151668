"""Executors in JVMs of their own get the classes of the tally from the driver, as on a cluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pyspark
import pytest

SCRIPT = """
import json, sys
import quality
from quality.backends.session import session
with session(master="local-cluster[2,1,1024]", extra={"spark.executor.memory": "1g"}) as own:
    own.spark.conf.set("spark.quality.smallBatchBytes", "0")
    result = quality.run(sys.argv[1], "b", spark=own.spark)
    numbers = result.profile.columns[0].tally.numbers
    print(json.dumps({"rows": result.data["rows"], "passes": result.data["passes"]["actual"], "mean": numbers.mean}))
"""


@pytest.mark.full
def test_executors_of_their_own_run_the_tally(tmp_path):
    (tmp_path / "in").mkdir()
    for part in range(4):
        texts = [f"A-{n}" if n % 10 else "?" for n in range(1000)]
        pq.write_table(
            pa.table({"n": range(1000 * part, 1000 * part + 1000), "t": texts}), tmp_path / "in" / f"{part}.parquet"
        )
    rules = tmp_path / "rules.yml"
    rules.write_text(
        f"version: 1\ndataset: d\nprofile: true\ninput: {{path: {tmp_path / 'in'}, format: parquet}}\n"
        f"outputs: {{root: {tmp_path / 'out'}}}\nrules:\n- unique: n\n- matches: {{column: t, pattern: 'A-[0-9]+'}}\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(rules)],
        env={**os.environ, "SPARK_HOME": str(Path(pyspark.__file__).parent)},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["rows"] == {"input": 4000, "passed": 3600, "quarantined": 400, "flagged": 0}
    assert (found["passes"]["wide"], found["passes"]["shuffles"]) == (1, 0)
    assert found["mean"] == 1999.5
