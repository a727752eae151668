"""What others read, pinned: the result JSON and the history tables of one small batch.

`tests/golden` holds what a run must leave, with what differs between runs replaced (`<run>`, `<time>`, `<seconds>`, ...).
After a change that is meant, renew the files and read the difference against the contracts before it is committed:

    QUALITY_RENEW_GOLDEN=1 python -m pytest tests/spark/test_golden.py
"""

from __future__ import annotations

import json
import os
import re
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pyarrow as pa
import pyarrow.dataset as pads
import pytest

import quality
from quality.history import SCHEMAS

GOLDEN = Path(__file__).parents[1] / "golden"

RULES = """\
version: 1
dataset: orders
owner: sales@example.com
input:
  path: PLACE/orders-{{ batch }}.csv
  options: {header: true}
  timezone: Europe/Berlin
columns:
  id: {type: integer, required: true}
  amount: {type: 'decimal(20,2)', at_least: 0}
  share: {type: double}
  day: {type: date}
key: id
rules:
  - name: shipped after it was ordered
    that: "shipped >= day"
    where: "shipped is not null"
    severity: warning
    tolerance: 50%
    owner: shipping@example.com
    tags: [shipping, time]
    dimension: consistency
  - {row_count: {between: [5, 10]}}
  - {row_count: {at_least: 1}, where: "amount > 1000000", name: rich orders, on_fail: keep}
  - {sum: {column: amount, at_most: 1000}, severity: info}
  - {max: {column: day, below: '2024-01-03'}, severity: info}
  - {mean: {column: share, at_least: 0}, severity: info}
  - {completeness: {column: shipped, at_least: 0.9}, severity: warning}
  - {distinct_count: {column: id, equals: 6}, severity: warning}
  - {quantile: {column: amount, q: 0.5, at_most: 100}}
  - {above: {column: nope, value: 0}, severity: warning}
  - {schema: {missing: fail}}
hold: {quarantined_above: 80%}
"""

ROWS = """\
id,amount,share,day,shipped
1,10.50,0.5,2024-01-01,2024-01-02
2,90071992547409.93,NaN,2024-01-01,2024-01-01
3,-1.00,0.25,2024-01-02,2024-01-01
4,3.00,,2024-01-02,
5,four,0.1,2024-01-02,
5,5.00,0.2,2024-01-02,2024-01-02
too,many,fields,in,this,line
"""


@pytest.fixture(scope="module")
def left(spark, tmp_path_factory):
    """The result of the batch, and where it was kept."""
    place = tmp_path_factory.mktemp("orders")
    (place / "orders-2024-01-02.csv").write_text(ROWS)
    rules = place / "orders.yml"
    rules.write_text(RULES.replace("path: PLACE/orders-{{ batch }}.csv", f'path: "{place}/orders-{{{{ batch }}}}.csv"'))
    result = quality.run(rules, "2024-01-02", root=str(place / "kept"), spark=spark)
    return SimpleNamespace(place=place, root=place / "kept", result=result, run=result.data["run"])


VERSIONS = ("engine_version", "spark_version", "deequ_version", "quality", "spark", "deequ")


def steady(value, left, name=""):
    """The value with what differs between runs and machines replaced."""
    if isinstance(value, dict):
        return {key: steady(entry, left, key) for key, entry in value.items()}
    if isinstance(value, list):
        return [steady(entry, left) for entry in value]
    if name in ("run_time", *VERSIONS):
        return f"<{name}>"
    if name in left.result.data["timings"] or name == "seconds":
        return "<seconds>"
    if name in ("jobs", "shuffle_bytes"):
        assert value > 0 or name == "shuffle_bytes"
        return f"<{name}>"
    return value.replace(str(left.place), "<place>").replace(left.run, "<run>") if isinstance(value, str) else value


def compared(name, found):
    """Compare with the golden file, or renew it."""
    path = GOLDEN / name
    text = json.dumps(found, ensure_ascii=False, indent=1) + "\n"
    if os.environ.get("QUALITY_RENEW_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert json.loads(text) == json.loads(path.read_text(encoding="utf-8")), f"{path}: see the head of {__file__}"


def test_the_result_is_as_others_read_it(left):
    stored = json.loads((left.root / "runs/orders/2024-01-02" / left.run / "result.json").read_text(encoding="utf-8"))
    assert stored == left.result.data
    compared("result.json", steady(stored, left))


def test_the_keys_of_the_result_are_those_of_the_contract(left):
    data = left.result.data
    promised = [
        "schema", "dataset", "batch", "batch_time", "run", "unchanged", "rule_file", "rule_set", "status", "decision",
        "rows", "rules", "anomalies", "outputs", "passes", "timings", "versions",
    ]  # fmt: skip
    assert [key for key in data if key in promised] == promised
    assert set(data) - set(promised) == {"exit_code", "message"}
    assert list(data["rows"]) == ["input", "passed", "quarantined", "flagged"]
    rule = (
        "id name type column severity on_fail status metric expected rows_in_scope failed_rows groups message location"
    )
    # one about which the file says something to people has that, too
    about = {"shipped-after-it-was-ordered": ["metadata"]}
    assert all(list(entry) == [*rule.split(), *about.get(entry["id"], [])] for entry in data["rules"])
    metric = ["name", "instance", "value", "value_text"]
    assert all(list(entry["metric"]) == metric for entry in data["rules"] if entry["metric"])
    assert list(data["outputs"]) == ["passed", "quarantine", "history", "report"]
    assert {"wide", "narrow", "shuffles"} == set(data["passes"]["planned"])
    assert {"wide", "narrow", "shuffles", "jobs", "shuffle_bytes"} == set(data["passes"]["actual"])
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", data["run"])


def test_the_result_holds_no_number_that_is_none(left):
    json.dumps(left.result.data, allow_nan=False)
    by_id = {rule["id"]: rule for rule in left.result.data["rules"]}
    assert by_id["share.mean"]["metric"] == {"name": "Mean", "instance": "share", "value": None, "value_text": "NaN"}
    # 10.50 + 90,071,992,547,409.93 - 1 + 3 + 5, one digit more than a double holds
    assert by_id["amount.sum"]["metric"]["value_text"] == "90071992547427.43"


# the history

TEXT, MOMENT, COUNT, DOUBLE = pa.string(), pa.timestamp("us", tz="UTC"), pa.int64(), pa.float64()
SEGMENT = pa.map_(TEXT, TEXT)

COLUMNS = {
    "metrics": {
        "dataset": TEXT, "batch": TEXT, "batch_time": MOMENT, "run": TEXT, "run_time": MOMENT, "entity": TEXT,
        "name": TEXT, "instance": TEXT, "filter": TEXT, "segment": SEGMENT, "parameters": TEXT, "value": DOUBLE,
        "exact": TEXT, "numerator": COUNT, "denominator": COUNT,
        "sketch": pa.struct([("format", TEXT), ("version", pa.int32()), ("bytes", pa.binary())]),
        "rule_set": TEXT, "engine_version": TEXT,
    },
    "results": {
        "dataset": TEXT, "batch": TEXT, "batch_time": MOMENT, "run": TEXT, "run_time": MOMENT, "rule_id": TEXT,
        "rule_name": TEXT, "type": TEXT, "column": TEXT, "severity": TEXT, "on_fail": TEXT, "status": TEXT,
        "metric": TEXT, "observed": DOUBLE, "observed_text": TEXT, "expected": TEXT, "filter": TEXT,
        "segment": SEGMENT, "rows_in_scope": COUNT, "failed_rows": COUNT, "message": TEXT, "owner": TEXT,
        "tags": pa.list_(TEXT), "dimension": TEXT, "rule_set": TEXT,
    },
    "runs": {
        "dataset": TEXT, "batch": TEXT, "batch_time": MOMENT, "run": TEXT, "seq": COUNT, "run_time": MOMENT,
        "rule_file": TEXT, "rule_set": TEXT, "status": TEXT, "decision": TEXT, "rows_input": COUNT,
        "rows_passed": COUNT, "rows_quarantined": COUNT, "rows_flagged": COUNT, "input_files": COUNT,
        "input_bytes": COUNT, "wide_scans": COUNT, "narrow_scans": COUNT, "jobs": COUNT, "shuffle_bytes": COUNT,
        "seconds": DOUBLE, "engine": TEXT, "engine_version": TEXT, "spark_version": TEXT, "deequ_version": TEXT,
    },
}  # fmt: skip


def type_text(kind):
    """The type without the names that writers give to what is inside lists and maps."""
    if pa.types.is_map(kind):
        return f"map<{type_text(kind.key_type)}, {type_text(kind.item_type)}>"
    if pa.types.is_list(kind):
        return f"list<{type_text(kind.value_type)}>"
    if pa.types.is_struct(kind):
        return f"struct<{', '.join(f'{field.name}: {type_text(field.type)}' for field in kind)}>"
    return str(kind)


def table(left, name):
    return pads.dataset(left.root / "history" / name, partitioning="hive").to_table()


@pytest.mark.parametrize("name", COLUMNS)
def test_a_history_table_has_the_columns_and_types_of_the_contract(left, name):
    found = {field.name: type_text(field.type) for field in table(left, name).schema}
    assert found == {column: type_text(kind) for column, kind in COLUMNS[name].items()}
    inside = [column for column in COLUMNS[name] if column != "dataset"]
    assert [column for column in found if column != "dataset"] == inside


@pytest.mark.parametrize("name", COLUMNS)
def test_a_history_table_opens_in_pandas_with_its_data_set(left, name):
    frame = pd.read_parquet(left.root / "history" / name)
    assert set(frame.columns) == set(COLUMNS[name])
    assert set(frame["dataset"].astype(str)) == {"orders"}
    assert [str(path.parent.name) for path in (left.root / "history" / name).rglob("*.parquet")] == ["dataset=orders"]


@pytest.mark.parametrize("name", COLUMNS)
def test_the_rows_of_a_history_table_are_as_others_read_them(left, name):
    found = table(left, name)
    rows = [steady({key: _readable(value) for key, value in row.items()}, left) for row in found.to_pylist()]
    schema = {field.name: type_text(field.type) for field in found.schema}
    compared(f"history_{name}.json", {"schema": schema, "rows": rows})


def _readable(value):
    return value.isoformat() if isinstance(value, datetime) else value


def test_every_table_of_the_history_is_pinned_here():
    assert set(SCHEMAS) == set(COLUMNS)
