"""Messages of a real broker, judged micro-batch by micro-batch."""

from __future__ import annotations

from collections import Counter

import pytest

import quality
from quality.errors import UsageError
from tests.broker import Broker, Topic
from tests.stream_harness import Place, Witness, campaign, fate, parcel
from tests.written import Place as Written
from tests.written import records, rows


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    with Broker(tmp_path_factory.mktemp("broker") / "b") as started:
        yield started


@pytest.mark.full
def test_messages_get_the_verdicts_of_a_batch_run_and_a_broker_that_died_loses_none(tmp_path, quick, broker):
    made = Place(tmp_path, Topic(broker, "verdicts"))
    parcels = [parcel(number) for number in range(3)]
    made.feed.send(parcels[:2])
    first = quality.stream(made.rules, spark=quick, once=True)
    made.feed.disturb()
    made.feed.send(parcels[2:])
    second = quality.stream(made.rules, spark=quick, once=True)
    assert (first.exit_code, second.exit_code, second.stream) == (1, 1, first.stream)
    witness = Witness(made.root)
    seen, good, bad = witness.look()
    assert (witness.found.texts, seen) == ([], {0, 1, 2})
    assert first.batches + second.batches == len(witness.records())
    # the same lines as files
    folder = tmp_path / "files"
    folder.mkdir()
    for each in parcels:
        (folder / f"{each.number}.csv").write_text("\n".join(each.lines) + "\n")
    batch = quality.run(made.rules, "whole", spark=quick, root=str(tmp_path / "other"), input=f"{folder}/*.csv")
    (record,) = records(tmp_path / "other", "streamed", "whole")
    assert batch.data["rows"]["input"] == first.rows.input + second.rows.input
    assert good == Counter(
        (row["id"], row["amount"], row["name"]) for row in rows(tmp_path / "other", record, "passed")
    )
    assert bad == Counter(map(fate, rows(tmp_path / "other", record, "quarantine")))


def test_no_message_is_lost_whatever_is_in_it(tmp_path, quick, broker):
    values = [
        '{"id": 1, "name": "é\\u0000"}',
        '{"id": 2}\r\n{"id": "x"}',
        "",
        None,
        " \n",
        "[1]",
        '{"id": 3} no',
        "null",
    ]
    broker.send("odd", [(number % 2, value) for number, value in enumerate(values)])
    place = Written(tmp_path, quick)
    text = place.rules(input="table: t", top="columns: {id: {type: integer}, name: {}}").read_text()
    kafka = f"kafka: {{servers: '{broker.servers}', topic: odd}}\n  format: json"
    place.directory.joinpath("rules.yml").write_text(text.replace("table: t", kafka))
    result = quality.stream(place.directory / "rules.yml", spark=quick, once=True)
    assert (result.batches, result.rows.to_dict()) == (1, {"input": 9, "passed": 2, "quarantined": 7, "flagged": 0})
    (name,) = (path.name for path in (place.root / "commits" / "d").iterdir())
    assert place.passed("id", "name", batch=name) == [(1, "é\x00"), (2, None)]
    told = sorted(
        (f["rule"], f["value"]) for row in place.rows("quarantine", name) for f in row["_quality"]["failures"]
    )
    lines = ["", "", " \n", "[1]", "null", '{"id": 3} no']
    assert told == sorted([("id.type", "x"), *(("malformed", line) for line in lines)])


@pytest.mark.full
def test_a_hundred_messages_with_kills_of_streams_and_broker_in_between(tmp_path):
    with Broker(tmp_path / "broker") as own:
        report = campaign(Place(tmp_path, Topic(own, "parcels", 1)), 100, 25, 1)
    assert not report.found.texts, str(report)
    assert report.batches == 100
    assert report.kills > 10


def test_a_topic_has_no_batches(tmp_path):
    (tmp_path / "rules.yml").write_text(
        "version: 1\ndataset: d\ninput: {kafka: {servers: 's:1', topic: t}, format: json}\n"
    )
    with pytest.raises(UsageError, match="a topic has no batches; read it with: quality stream"):
        quality.run(tmp_path / "rules.yml", "b")
