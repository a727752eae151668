"""Quarantined rows that come back: once, to one place, by rules that see the whole batch, whatever happens meanwhile."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from quality.errors import QualityError
from quality.redrive import redrive
from quality.storage import ledger
from quality.storage.store import LocalStore
from tests.tables import at_once
from tests.written import Place, records, rows

CSV = "options: {header: true}"
LINES = "id,amount,day\n1,5,2024-01-01\n2,-3,2024-01-01\n3,x,2024-01-02\n4,-8,2024-01-03\n4,7,2024-01-03\n6\n7,9,2024-01-01\n"
TOP = "columns: {id: {type: integer}, amount: {type: integer, at_least: AT_LEAST}, day: {type: date}}\nkey: id"


@pytest.fixture
def place(spark, tmp_path):
    return Place(tmp_path, spark)


def top(at_least: int = 0) -> str:
    return TOP.replace("AT_LEAST", str(at_least))


def made(place: Place, at_least: int = 0, **more):
    place.put({"a.csv": LINES})
    return place.run(input=CSV, top=top(at_least), **more)


def again(place: Place, at_least: int = 0, **how):
    """Re-drive by a rule file with this bound."""
    file = place.rules(input=CSV, top=top(at_least))
    return redrive(file, spark=place.spark, by="ann", **how)


def held(place: Place, batch: str = "b") -> Counter[Any]:
    """Where each row is, by what it says: on exactly one side, as many as were read."""
    record = place.record(batch)
    found: Counter[Any] = Counter()
    for side in ("passed", "quarantine"):
        for row in rows(place.root, record, side):
            found[side, row["id"], row["amount"]] += 1
    told = record["rows"]
    assert told["input"] == told["passed"] + told["quarantined"] == sum(found.values())
    return found


def row_id(place: Place, id: int | None, amount: int | None) -> str:
    (found,) = [r for r in place.rows("quarantine") if (r["id"], r["amount"]) == (id, amount)]
    return str(found["_quality"]["row_id"])


def entries(place: Place):
    return ledger.entries(LocalStore(str(place.root)), "d", "b")


def corrections(place: Place, text: str) -> str:
    path = place.directory / "corrected.csv"
    path.write_text(text)
    return str(path)


def test_rows_pass_after_a_rule_was_fixed_and_a_second_redrive_changes_nothing(place):
    made(place)
    before = place.record()
    assert (before["rows"]["passed"], before["rows"]["quarantined"]) == (2, 5)
    (done,) = again(place, -5)
    assert done.message == (
        "batch 'b' of 'd': 1 of 5 quarantined rows pass and are live; 4 still fail: "
        "id.key (2), amount.at_least (1), amount.type (1)"
    )
    assert (done.exit_code, done.seq, dict(done.back)) == (0, 2, {"redriven": 1})
    found = held(place)
    assert found["passed", 2, -3] == 1
    assert sum(count for (side, *_), count in found.items() if side == "passed") == 3
    record = place.record()
    assert [record[k] for k in ("action", "of_seq", "by", "seq")] == ["redrive", 1, "ann", 2]
    # what stays is as it was, with its id, its run and its reasons
    stays = {r["_quality"]["row_id"]: r for r in rows(place.root, before, "quarantine") if r["id"] != 2}
    assert {r["_quality"]["row_id"]: r for r in place.rows("quarantine")} == stays
    # each file of the record is in the folder of its run: partitions and views read one folder
    assert {file["path"].split("/")[4] for side in ("passed", "quarantine") for file in record[side]} == {done.run}
    (entry,) = entries(place)
    assert (entry.run, dict(entry.rows), entry.by) == (done.run, {"redriven": 1}, "ann")
    manifest = place.root / "passed/d/_symlink_format_manifest/batch=b/manifest"
    manifest.unlink()
    (second,) = again(place, -5)
    # as after a kill between the record and the manifest
    assert manifest.read_text().split() == [f"file://{place.root}/{file['path']}" for file in record["passed"]]
    assert (second.exit_code, second.decision, dict(second.back)) == (0, "none", {})
    assert second.message == (
        "batch 'b' of 'd': none of 4 quarantined rows passes; 4 still fail: id.key (2), amount.at_least (1), amount.type (1)"
    )
    assert (len(records(place.root, "d", "b")), len(entries(place)), held(place)) == (2, 1, found)
    # the history and the result say what the record says
    run_row = place.spark.read.parquet(f"file://{place.root}/history/runs").where(f"run = '{done.run}'").collect()
    assert [(r.seq, r.rows_passed, r.rows_quarantined) for r in run_row] == [(2, 3, 4)]
    result = json.loads((place.root / record["result"]).read_text())
    assert (result["rows"]["passed"], result["redrive"]["redriven"], result["run"]) == (3, 1, done.run)


def test_a_full_run_passes_them_itself_and_the_redriven_ones_are_dropped(place):
    made(place)
    again(place, -5)
    place.run(input=CSV, top=top(-5))
    assert place.record()["seq"] == 3
    assert held(place)["passed", 2, -3] == 1
    # and by stricter rules the row is in quarantine again, and nowhere else
    place.run(input=CSV, top=top(0))
    assert held(place)["quarantine", 2, -3] == 1
    assert held(place)["passed", 2, -3] == 0


def test_a_corrected_row_passes_and_stays_corrected_in_later_runs(place):
    made(place)
    bad, typed, torn = row_id(place, 2, -3), row_id(place, 3, None), row_id(place, None, None)
    path = corrections(
        place, f"row_id,id,amount,day\n{bad},2,3,2024-01-01\n{typed},3,30,2024-01-02\n{torn},6,60,2024-02-02\n"
    )
    (done,) = again(place, corrected=path, batches=["b"], reason="asked the sender")
    assert dict(done.back) == {"corrected": 3}
    found = held(place)
    assert [found["passed", id, amount] for id, amount in ((2, 3), (3, 30), (6, 60), (1, 5), (7, 9))] == [1] * 5
    (second,) = again(place, corrected=path, batches=["b"])
    assert second.message == (
        "batch 'b' of 'd': nothing to re-drive: none of the 3 corrected rows is an open row of the quarantine (of 2)"
    )
    # nothing changed since: the run has nothing to do, and the corrections are there
    assert place.run(input=CSV, top=top()).unchanged
    result = place.run(input=CSV, top=top(), force=True)
    assert (result.unchanged, result.data["corrected"]) == (False, 3)
    assert held(place) == found
    # a rule that lets the row pass as it was does not bring it back beside its correction
    result = place.run(input=CSV, top=top(-5))
    now = held(place)
    assert (now["passed", 2, 3], now["passed", 2, -3], now["quarantine", 2, -3]) == (1, 0, 0)
    # the sender corrected the file: what was corrected by hand has nothing to stand for any more
    place.put({"a.csv": LINES.replace("2,-3", "2,33")})
    place.run(input=CSV, top=top(0))
    now = held(place)
    assert (now["passed", 2, 33], now["passed", 2, 3], now["passed", 3, 30]) == (1, 0, 1)


def test_a_key_sees_the_passed_rows_of_the_batch_and_those_that_stay(place):
    made(place)
    torn, first, second = row_id(place, None, None), row_id(place, 4, -8), row_id(place, 4, 7)
    # 1 is there among the passed rows; 4 among the quarantined ones
    path = corrections(place, f"row_id,id,amount\n{torn},1,5\n{second},4,7\n")
    (done,) = again(place, corrected=path, batches=["b"])
    assert dict(done.back) == {}
    assert done.message.endswith("none of 2 quarantined rows passes; 2 still fail: id.key (2)")
    # of a pair that is told apart both may pass, the other too as it is
    path = corrections(place, f"row_id,id\n{second},44\n")
    (done,) = again(place, corrected=path, batches=["b"])
    assert held(place)["passed", 44, 7] == 1
    (done,) = again(place, -9, rule="id.key")
    assert dict(done.back) == {"redriven": 1}
    assert held(place)["passed", 4, -8] == 1
    # the first correction was of a batch that is live no more than by this one: all three are one chain
    assert [dict(entry.rows) for entry in entries(place)] == [{"corrected": 1}, {"redriven": 1}]
    assert first != second
    place.run(input=CSV, top=top(-9), force=True)
    now = held(place)
    assert (now["passed", 44, 7], now["passed", 4, -8], now["passed", 4, 7]) == (1, 1, 0)


def test_a_metric_that_holds_is_judged_over_the_whole_batch_and_holds_the_redrive(place):
    place.put({"a.csv": LINES})
    rules = "- row_count: {at_least: 6}"
    place.run(rules, input=CSV, top=top(0))
    file = place.rules("- row_count: {at_least: 7}", input=CSV, top=top(-5))
    (done,) = redrive(file, spark=place.spark)
    assert (done.exit_code, done.decision) == (4, "held")
    assert done.message.startswith("batch 'b' of 'd': held, nothing was changed: a rule that holds the batch failed (")
    assert (place.record()["seq"], entries(place)) == (1, [])
    assert not list((place.root / "quarantine/d/_ledger").rglob("*.parquet"))
    (done,) = redrive(place.rules(rules, input=CSV, top=top(-5)), spark=place.spark)
    assert dict(done.back) == {"redriven": 1}


def test_of_two_at_once_one_wins_and_each_row_is_in_one_place(place):
    made(place)
    found: list[Any] = []
    at_once(*[lambda: found.extend(again(place, -5)) for _ in range(2)])
    assert sorted(dict(one.back).get("redriven", 0) for one in found) in ([0, 1], [1, 1])
    assert sum(one.decision == "published" for one in found) == 1
    for one in found:
        assert one.decision == "published" or one.exit_code in (0, 3)
    assert [r["seq"] for r in records(place.root, "d", "b")] == [1, 2]
    assert held(place)["passed", 2, -3] == 1
    store = LocalStore(str(place.root))
    from quality.storage import commit

    back = ledger.came_back(entries(place), commit.records(store, "d", "b"))
    assert [dict(entry.rows) for entry in back] == [{"redriven": 1}]


def test_a_rollback_takes_a_redrive_back_with_its_rows_and_its_corrections(place):
    from quality import versions

    made(place)
    path = corrections(place, f"row_id,amount\n{row_id(place, 2, -3)},3\n")
    again(place, corrected=path, batches=["b"])
    versions.rollback("d", "b", root=str(place.root), by="ann")
    assert held(place)["quarantine", 2, -3] == 1
    result = made(place, force=True)
    assert "corrected" not in result.data
    assert held(place)["quarantine", 2, -3] == 1


def test_accepted_rows_are_left_alone_until_they_are_opened_again(place, capsys):
    made(place)
    from quality import quarantine
    from quality.quarantine import Selection

    store = LocalStore(str(place.root))
    said = quarantine.say(
        place.spark, store, "d", "accept", Selection(rule="amount.at_least"), by="ann", reason="known", dry_run=False
    )
    assert said.message == "'d', batch 'b': 2 rows are accepted, by ann"
    (line,) = quarantine.listed(place.spark, store, "d")
    assert [line[k] for k in ("quarantined", "open", "accepted", "expired", "redriven", "corrected")] == [
        5,
        3,
        2,
        0,
        0,
        0,
    ]
    (done,) = again(place, -9)
    assert dict(done.back) == {}
    shown = quarantine.shown(place.spark, store, "d", Selection(states=("accepted",)), 10)
    assert {(r["row"]["id"], r["by"], r["reason"]) for r in shown} == {(2, "ann", "known"), (4, "ann", "known")}
    # accepted twice is accepted once
    said = quarantine.say(place.spark, store, "d", "accept", Selection(rule="amount.at_least"), by="bob")
    assert said.message == "'d': no such rows; nothing was changed"
    quarantine.say(place.spark, store, "d", "reopen", Selection(batches=("b",)), by="bob")
    (done,) = again(place, -9)
    assert dict(done.back) == {"redriven": 1}
    (line,) = quarantine.listed(place.spark, store, "d")
    assert [line[k] for k in ("quarantined", "open", "accepted", "redriven")] == [4, 4, 0, 1]
    counts = quarantine.stats(place.spark, store, "d", Selection())
    assert counts["rows"] == 4
    assert {r["rule"]: r["rows"] for r in counts["rule"]} == {
        "id.key": 2,
        "amount.at_least": 1,
        "amount.type": 1,
        "malformed": 1,
    }
    assert {r["column"]: r["rows"] for r in counts["column"]} == {"id": 2, "amount": 2, "": 1}
    assert {"rule": "amount.type", "value": "x", "rows": 1} in counts["value"]


@pytest.mark.parametrize(
    ("how", "message"),
    (
        ({"corrected": "x.csv"}, "--corrected goes with one --batch: a row id says which row of a batch is meant"),
        ({"since": "yesterday"}, "--since takes a date or time such as 2024-01-31, got 'yesterday'"),
        ({"batches": ["bb"]}, "data set 'd' has no batch 'bb'; did you mean 'b'? batches: b"),
        ({"corrected": "PLACE/no.csv", "batches": ["b"]}, "PLACE/no.csv: cannot be read: PATH_NOT_FOUND"),
        ({"corrected": "PLACE/c.xls", "batches": ["b"]}, "PLACE/c.xls: corrected rows are read from .csv, .json, .jsonl or .parquet"),
        ({"text": "id,amount\n1,2\n"}, "PLACE/corrected.csv: must have a column 'row_id'; columns: id, amount"),
        ({"text": "row_id,amout\nx,2\n"}, "PLACE/corrected.csv: column 'amout' is not in the data; did you mean 'amount'? columns: id, amount, day"),
        ({"text": "row_id,amount\nx,2\nx,3\n"}, "PLACE/corrected.csv: row 'x' is there more than once; a row has one correction"),
        ({"text": "row_id,amount\nx,two\n"}, "PLACE/corrected.csv: row 'x': the value of 'amount' is no int"),
        ({"text": "row_id,amount\n"}, "PLACE/corrected.csv: has no rows"),
    ),
)  # fmt: skip
def test_a_mistake_is_one_message(place, how, message):
    made(place)
    how = {k: v.replace("PLACE", str(place.directory)) if isinstance(v, str) else v for k, v in how.items()}
    if "text" in how:
        how = {"corrected": corrections(place, how["text"]), "batches": ["b"]}
    with pytest.raises(QualityError) as error:
        again(place, **how)
    assert str(error.value).startswith(message.replace("PLACE", str(place.directory)))
    assert place.record()["seq"] == 1


def test_columns_of_another_type_by_now_ask_for_a_run(place):
    made(place)
    file = place.rules(input=CSV, top=top().replace("amount: {type: integer", "amount: {type: double"))
    (done,) = redrive(file, spark=place.spark)
    assert done.exit_code == 3
    assert done.message.startswith(
        "batch 'b': column 'amount' is int in the live run and double by today's rules, so its rows"
    )
