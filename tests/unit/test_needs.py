"""What a Spark of ours is started with, by what rule files name and what the user configures."""

import pytest

from quality import jars
from quality.backends import needs as module
from quality.backends.needs import merged, needs, settings
from quality.rulefile import load


@pytest.mark.parametrize(
    ("places", "conf", "expected"),
    (
        ("input: {path: a.csv}", {}, set()),
        ("input: {path: 's3://b/a.csv'}", {}, {"s3"}),
        ("input: {path: a.csv}\noutputs: {root: 's3a://b/q'}", {}, {"s3"}),
        ("input: {path: a.csv}\noutputs: {format: iceberg, table: lake.db.t}", {}, {"iceberg"}),
        ("input: {path: a.csv}\noutputs: {format: delta, table: 's3://b/t'}", {}, {"delta", "s3"}),
        ("input: {table: lake.db.t}", {}, set()),
        ("input: {table: lake.db.t}", {"spark.sql.catalog.lake": "org.apache.iceberg.spark.SparkCatalog"}, {"iceberg"}),
        ("input: {table: /data/t}", {}, {"delta"}),
        ("input: {table: t}", {"spark.sql.catalog.lake.warehouse": "s3://b/lake"}, {"s3"}),
    ),
)
def test_needs_are_read_from_rule_files_and_settings(rule_file, places, conf, expected):
    path = rule_file(f"version: 1\ndataset: d\n{places}\nrules:\n- row_count: {{at_least: 1}}\n")
    assert needs([load(path, batch="b")], conf) == expected


@pytest.mark.parametrize(
    ("sizes", "place", "batches", "hasty"),
    (
        ((100, 200), "*.csv", 1, True),
        ((100, 200), "", 4, True),
        ((100, 200), "", 5, False),
        ((100, 9 * 2**20), "*.csv", 1, False),
        ((100, 9 * 2**20), "0.csv", 1, True),
        ((), "*.csv", 1, False),
    ),
    ids=("files", "a directory", "many batches", "large", "one of them is small", "no file"),
)
def test_a_few_small_batches_of_this_machine_are_done_in_haste(rule_file, tmp_path, sizes, place, batches, hasty):
    (tmp_path / "in").mkdir()
    for index, size in enumerate(sizes):
        with (tmp_path / "in" / f"{index}.csv").open("wb") as file:
            file.truncate(size)
    text = f"version: 1\ndataset: d\ninput: {{path: '{tmp_path}/in/{place}', format: csv}}\nrules:\n- row_count: {{at_least: 1}}\n"
    path = rule_file(text)
    found = needs([load(path, batch=str(number)) for number in range(batches)])
    assert found == ({"haste"} if hasty else set())
    assert ("spark.driver.extraJavaOptions" in settings(found)) is hasty


def test_lists_of_several_needs_are_joined_and_the_users_settings_win(monkeypatch, tmp_path):
    monkeypatch.setattr(jars, "fetch_format", lambda name: [tmp_path / f"{name}.jar"])
    found = merged(settings(["delta", "s3", "iceberg"]), {"spark.sql.extensions": "my.Extension", "spark.x": "1,1"})
    assert [name.rpartition("/")[2] for name in found["spark.jars"].split(",")] == [
        "s3.jar",
        "iceberg.jar",
        "delta.jar",
    ]
    assert found["spark.sql.extensions"] == "io.delta.sql.DeltaSparkSessionExtension,my.Extension"
    assert found["spark.x"] == "1,1"


def test_comet_gets_its_jar_and_memory(monkeypatch, tmp_path):
    monkeypatch.setattr(jars, "fetch_format", lambda name: [tmp_path / f"{name}.jar"])
    found = settings(needs([], {"spark.plugins": jars.COMET_PLUGIN}))
    assert found["spark.jars"].endswith("comet.jar")
    assert found["spark.memory.offHeap.enabled"] == "true"


def test_every_need_has_jars():
    assert set(module.NEEDS) == set(jars.FORMATS)
