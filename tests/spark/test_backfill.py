"""Past batches in the history: measured in the order of their times, once, and seen by who looks back but by no reader of rows."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

import quality
from quality import cli, compaction
from quality.backends.session import session
from quality.backfill import FAILED, JUDGED, KNOWN, MEASURED, backfill
from quality.errors import InputError, UsageError
from quality.storage import backfills, collect, commit
from quality.storage.leases import now
from quality.storage.store import LocalStore
from tests.written import Place

RULES = """\
- {mean: {column: x, at_most: '2 * mean(last 3)'}, id: steady}
- {required: x}
- {unique: k}
"""
DAYS = ("2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04")


def lines(n: int) -> str:
    return "k,x\n" + "".join(f"{row},{row + n}\n" for row in range(10)) + "10,\n"


@pytest.fixture(scope="module")
def place(spark, tmp_path_factory):
    place = Place(tmp_path_factory.mktemp("backfill"), spark)
    place.put({f"{day}.csv": lines(n) for n, day in enumerate(DAYS)})
    return place


def rules(place: Place, top: str = ""):
    return place.rules(
        RULES, path="{{ batch }}.csv", input="options: {header: true}\nschema: {k: int, x: double}", top=top
    )


def measured(place: Place, *batches: str, **more) -> dict[str, str]:
    return {one.batch: one.state for one in backfill(rules(place), batches, spark=place.spark, **more)}


def test_a_backfill_from_first_to_last(place):
    """One story: late days, days again, a run that looks back, a day that a run takes over, a day that cannot be read."""
    store, root = LocalStore(str(place.root)), str(place.root)
    found = backfill(rules(place), ["2024-01-03", "2024-01-01"], spark=place.spark)
    assert [(one.batch, one.state, one.rows) for one in found] == [
        ("2024-01-01", MEASURED, 11),
        ("2024-01-03", MEASURED, 11),
    ]
    # the metrics and the profile, the keys
    assert [one.passes for one in found] == [(2, 2)] * 2
    # the day between comes late, and the others are known
    assert measured(place, until="2024-01-03") == {DAYS[0]: KNOWN, DAYS[1]: MEASURED, DAYS[2]: KNOWN}
    before = {path.name for path in place.root.rglob("*.parquet")}
    assert set(measured(place, *DAYS[:3]).values()) == {KNOWN}
    assert {path.name for path in place.root.rglob("*.parquet")} == before
    assert len(before) == 3
    # no reader of rows knows of it
    assert commit.datasets(store) == []
    assert not list(place.root.glob("passed")) + list(place.root.glob("quarantine")) + list(place.root.glob("commits"))
    with pytest.raises(UsageError):
        quality.read(place.spark, root, "d")
    history = quality.History(root, "d")
    means = [row["value"] for row in history.metrics().to_pylist() if (row["name"], row["instance"]) == ("Mean", "x")]
    assert means == [4.5, 5.5, 6.5]
    assert [(batch.id, batch.rows) for batch in history.batches()] == [(day, 11) for day in DAYS[:3]]
    names = {row["name"] for row in history.metrics().to_pylist()}
    assert {"Completeness", "ApproxQuantiles", "Histogram", "Size"} <= names
    # neither collected nor lost in a pack
    assert collect.find(store, moment=now() + timedelta(days=999)) == []
    compaction.compact(store)
    compaction.compact(store, keep=timedelta(0))
    assert len(list(place.root.rglob("*.parquet"))) == 1
    # a run looks back at it, and counts in its place
    result = quality.run(rules(place), DAYS[3], spark=place.spark)
    (steady,) = [rule for rule in result.data["rules"] if rule["id"] == "steady"]
    assert steady["status"] == "passed"
    assert "mean(last 3) = 5.5" in steady["expected"]
    assert quality.run(rules(place), DAYS[3], spark=place.spark).unchanged
    quality.run(rules(place), DAYS[1], spark=place.spark)
    assert measured(place, *DAYS) == {DAYS[0]: KNOWN, DAYS[1]: JUDGED, DAYS[2]: KNOWN, DAYS[3]: JUDGED}
    assert [batch.id for batch in quality.History(root, "d").batches()] == list(DAYS)
    # what was read anew replaces what was measured; what cannot be read keeps nothing else back
    place.put({f"{DAYS[0]}.csv": lines(100)})
    assert measured(place, DAYS[0], "2024-01-09") == {DAYS[0]: MEASURED, "2024-01-09": FAILED}
    assert [record.seq for record in backfills.records(store, "d")] == [2, 1, 1]
    (first, *_) = quality.History(root, "d").batches()
    assert {str(s): p.value for s, p in first.points.items()}["Mean(x)"] == 104.5


def test_a_backfill_that_is_killed_before_its_record_counts_for_nothing(place, monkeypatch):
    root = place.directory / "other"

    def killed(_store, _record):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("quality.storage.backfills.add", killed)
        with pytest.raises(KeyboardInterrupt):
            measured(place, DAYS[0], root=str(root))
    assert len(list(root.rglob("*.parquet"))) == 1
    assert measured(place, DAYS[0], root=str(root)) == {DAYS[0]: MEASURED}
    assert len(quality.History(str(root), "d").batches()) == 1
    (dead,) = collect.find(LocalStore(str(root)), moment=now() + timedelta(days=99))
    assert (dead.kind, dead.files) == ("dead run", 1)


@pytest.mark.parametrize(
    ("path", "batches", "error", "message"),
    (
        ("*.csv", (), UsageError, "needs '{{ batch }}' in 'input.path'"),
        ("{{ batch }}.csv", ("a b",), UsageError, "batch id 'a b' is not allowed"),
        ("{{ batch }}.csv", ("one",), UsageError, "batch 'one' is no date or time; 'input.batch_time' says"),
        ("{{ batch }}.json", (), InputError, "no file matches"),
    ),
)
def test_mistakes_are_told(place, path, batches, error, message):
    with pytest.raises(error, match=message):
        backfill(place.rules(path=path), batches, spark=place.spark)


def test_a_reference_that_is_missing_is_told_of_every_batch_and_keeps_nothing_else_back(place):
    gone = f"references: {{gone: {{path: {place.directory}/gone.csv, options: {{header: true}}}}}}"
    file = place.rules(
        "- row_count_match: {reference: gone}\n- exists_in: {columns: k, reference: gone}\n- mean: {column: x, above: 0}",
        path="{{ batch }}.csv", input="options: {header: true}\nschema: {k: int, x: double}", top=gone,
    )  # fmt: skip
    # what was measured without it is measured again once it is there
    for _ in range(2):
        found = backfill(file, DAYS[:2], root=str(place.directory / "fourth"), spark=place.spark)
        assert [(one.state, one.rows) for one in found] == [(MEASURED, 11)] * 2
        assert all(one.message.startswith("not all is measured: reference 'gone': no file matches") for one in found)
        assert all(one.message.count("gone'") == 1 for one in found)
    assert {row["name"] for row in quality.History(str(place.directory / "fourth"), "d").metrics().to_pylist()} >= {
        "Mean"
    }


def test_the_command_tells_every_batch(place, capsys, monkeypatch):
    monkeypatch.setattr("quality.backfill.session", lambda *_given, **_more: session(place.spark))
    words = ["history", "backfill", str(rules(place)), "--root", str(place.directory / "third"), "--since", DAYS[3]]
    assert cli.run_command([*words, "--until", DAYS[3]]) == 0
    assert f"{DAYS[3]}                2024-01-04 00:00:00  measured: 11 rows, " in capsys.readouterr().out
    assert cli.run_command([*words, "--json", "--batches", DAYS[3]]) == 0
    assert json.loads(capsys.readouterr().out)["batches"][0]["state"] == KNOWN
    assert cli.run_command(["history", "list", "d", "--root", str(place.directory / "third")]) == 0
    assert "backfilled  -" in capsys.readouterr().out
