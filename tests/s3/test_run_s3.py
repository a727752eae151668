"""Whole runs with input and results in a bucket, rows by Spark's S3A: the demo's days, a bad network, bad credentials."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections import Counter
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow.parquet as pq
import pytest

from quality.demo_data import poison, write_batches
from tests.s3 import server as weed
from tests.s3.driver import Driver
from tests.s3.proxy import EXPIRED, proxied

RULES = Path(__file__).resolve().parents[2] / "rules" / "flights.yml"
SMALL = """\
version: 1
dataset: small
input: {path: "s3://BUCKET/NAME/in/{{ batch }}.csv", options: {header: true}}
columns: {n: {type: integer, at_least: 0}}
hold: {quarantined_above: 100%}
outputs: {root: "s3://BUCKET/NAME/out"}
"""
LINES = "n\n" + "".join(f"{number}\n" for number in range(-20, 200)) + "x\n"


@pytest.fixture(scope="module")
def owner(server):
    return weed.client(server)


@pytest.fixture(scope="module")
def driver(server, tmp_path_factory):
    settings = weed.environment(server)
    # the credentials come with each order
    keys = {
        name: value for name, value in settings.items() if name not in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    }
    one = Driver(tmp_path_factory.mktemp("driver"), keys)
    yield one
    one.close()


@pytest.fixture
def place(owner, server, driver, tmp_path, request):
    """A prefix with one small batch, and a way to run it."""
    name = f"small-{abs(hash(request.node.nodeid)):x}"
    owner.put_object(Bucket=weed.BUCKET, Key=f"{name}/in/1.csv", Body=LINES.encode())
    (tmp_path / "rules.yml").write_text(SMALL.replace("BUCKET", weed.BUCKET).replace("NAME", name))

    def run(url: str = server, key: str = weed.KEY, secret: str = weed.SECRET, **more: Any) -> Any:
        given = {"AWS_MAX_ATTEMPTS": "4", **weed.environment(url, key, secret)}
        data, log = driver.run(tmp_path / "rules.yml", "1", given, **more)
        return SimpleNamespace(**data, log=log, text=json.dumps(data))

    return SimpleNamespace(name=name, run=run, kept=Kept(owner, f"{name}/out"), rules=tmp_path / "rules.yml")


class Kept:
    """What lies in the bucket, looked at without the engine."""

    def __init__(self, owner: Any, prefix: str) -> None:
        self.owner, self.prefix = owner, prefix

    def names(self, below: str = "") -> list[str]:
        pages = self.owner.get_paginator("list_objects_v2").paginate(
            Bucket=weed.BUCKET, Prefix=f"{self.prefix}/{below}"
        )
        found = [item["Key"] for page in pages for item in page.get("Contents", ())]
        return sorted(key[len(self.prefix) + 1 :] for key in found if not key.endswith("/"))

    def read(self, name: str) -> bytes:
        return bytes(self.owner.get_object(Bucket=weed.BUCKET, Key=f"{self.prefix}/{name}")["Body"].read())

    def records(self, dataset: str, batch: str) -> list[dict[str, Any]]:
        return [json.loads(self.read(name)) for name in self.names(f"commits/{dataset}/{batch}/")]

    def rows(self, record: dict[str, Any], side: str) -> list[dict[str, Any]]:
        found = []
        for file in record[side]:
            data = self.read(file["path"])
            table = pq.read_table(io.BytesIO(data))
            assert (len(data), table.num_rows) == (file["size"], file["rows"])
            found += table.to_pylist()
        return found

    def manifest(self, dataset: str, batch: str) -> list[str]:
        return self.read(f"passed/{dataset}/_symlink_format_manifest/batch={batch}/manifest").decode().split()

    def exact(self) -> None:
        """The small batch is here, once and whole."""
        (record,) = self.records("small", "1")
        assert Counter(row["n"] for row in self.rows(record, "passed")) == Counter(range(200))
        reasons = Counter((row["n"], row["_quality"]["failures"][0]["rule"]) for row in self.rows(record, "quarantine"))
        assert reasons == Counter([*((n, "n.at_least") for n in range(-20, 0)), (None, "n.type")])
        assert self.manifest("small", "1") == [
            f"s3://{weed.BUCKET}/{self.prefix}/{f['path']}" for f in record["passed"]
        ]
        for table in ("metrics", "results", "runs"):
            assert [record["run"] in name for name in self.names(f"history/{table}/dataset=small/")] == [True]


def test_the_demo_days_run_in_a_bucket(owner, server, driver, tmp_path):
    days = write_batches(tmp_path / "incoming", date(2013, 1, 1), 2)
    clean = shutil.copy(days[-1], tmp_path / "clean.csv")
    planted = poison(Path(clean), days[-1])
    for day in days:
        owner.upload_file(str(day), weed.BUCKET, f"demo/incoming/flights/{day.name}")
    kept = Kept(owner, "demo/out")
    given = {
        "variables": {"incoming": f"s3://{weed.BUCKET}/demo/incoming"},
        "root": f"s3://{weed.BUCKET}/demo/out",
    }
    for day in days:
        data, log = driver.run(RULES, day.stem, weed.environment(server), **given)
        (record,) = kept.records("flights", day.stem)
        lines = len(day.read_text().splitlines()) - 1
        counts = [len(kept.rows(record, side)) for side in ("passed", "quarantine")]
        assert sum(counts) == lines == data["rows"]["input"]
        assert kept.manifest("flights", day.stem) == [
            f"s3://{weed.BUCKET}/demo/out/{file['path']}" for file in record["passed"]
        ]
        assert (data["exit_code"], data["decision"]) == (1 if day is days[-1] else 0, "published")
        # a repeated row makes both rows fail; the rest of the damage is a row each
        bad = sum(planted.values()) + planted["duplicates"] if day is days[-1] else 0
        assert counts[1] == bad
        assert weed.SECRET not in log
    assert {name.partition("/")[0] for name in kept.names()} == {"commits", "history", "passed", "quarantine", "runs"}
    again, _ = driver.run(RULES, days[-1].stem, weed.environment(server), **given)
    assert (again["unchanged"], again["run"]) == (True, record["run"])


def test_a_run_behind_a_bad_network_comes_out_exactly(place, server):
    with proxied(server) as proxy:
        proxy.sometimes(0.15, 1, ("cut", "lose", "refuse", "halve"))
        result = place.run(proxy.url)
    assert (result.exit_code, result.decision) == (1, "published"), result.message
    assert sum(proxy.seen[fault] for fault in ("cut", "lose", "refuse", "halve")) > 3
    place.kept.exact()


def test_a_commit_whose_answer_is_lost_is_not_lost_against_itself(place, server):
    with proxied(server) as proxy:
        proxy.plan = lambda r: "lose" if r.method == "PUT" and "/commits/" in r.path and r.before == 0 else None
        result = place.run(proxy.url)
    assert (result.exit_code, proxy.seen["lose"]) == (1, 1)
    place.kept.exact()


@pytest.mark.parametrize(
    ("fault", "place_of_fault"),
    (
        pytest.param("cut", "passed/", marks=pytest.mark.full),
        pytest.param("refuse", "history/", marks=pytest.mark.full),
        ("cut", "commits/"),
    ),
)
def test_a_fault_that_does_not_end_is_exit_code_3_with_one_line_and_nothing_visible(
    place, server, fault, place_of_fault
):
    with proxied(server) as proxy:
        proxy.plan = lambda r: fault if r.method in ("PUT", "POST") and f"/out/{place_of_fault}" in r.path else None
        result = place.run(proxy.url)
    assert (result.exit_code, result.status, result.decision) == (3, "error", "none")
    assert "\n" not in result.message
    assert f"{place.name}/out/" in result.message
    assert place.kept.names("commits/") == []
    assert place.kept.names("passed/small/_symlink") == []


# credentials


def refused(place: Any, result: Any, *words: str) -> None:
    assert (result.exit_code, result.status, result.decision) == (3, "error", "none")
    assert "\n" not in result.message
    for word in words:
        assert word in result.message
    everything = result.text + result.log + "".join(
        place.kept.read(name).decode(errors="replace") for name in place.kept.names("runs/")
    )  # fmt: skip
    for secret in (weed.SECRET, weed.READER_SECRET, "wrong-secret"):
        assert secret not in everything
    assert place.kept.names("commits/") == []


@pytest.mark.parametrize(
    ("key", "secret", "words"),
    (
        (weed.KEY, "wrong-secret", "the secret key is not that of the access key"),
        ("TESTACCESSKEY0000009", "wrong-secret", "the server does not know the access key"),
        (weed.READER_KEY, weed.READER_SECRET, ""),
    ),
    ids=("wrong secret", "unknown key", "may only read"),
)
def test_credentials_that_do_not_suffice_are_exit_code_3_and_shown_nowhere(place, key, secret, words):
    result = place.run(key=key, secret=secret)
    refused(place, result, words, place.name)
    assert place.kept.names() == []


def test_credentials_that_expire_in_the_middle_are_told_and_nothing_is_visible(place, server):
    with proxied(server) as proxy:
        proxy.refusal = EXPIRED
        written: list[str] = []

        def plan(request: Any) -> str | None:
            if request.method == "PUT" and "/history/" in request.path:
                written.append(request.path)
            return "refuse" if written else None

        proxy.plan = plan
        result = place.run(proxy.url)
    refused(place, result, "the AWS credentials have expired; renew them and run again")
    again = place.run()
    assert (again.exit_code, again.unchanged) == (1, False)


def test_a_bucket_that_is_not_there_is_exit_code_3(place):
    result = place.run(root="s3://no-such-bucket-here/x")
    assert (result.exit_code, "there is no bucket 'no-such-bucket-here'" in result.message) == (3, True)
    result = place.run(input="s3://no-such-bucket-here/x/*.csv")
    assert (result.exit_code, "no-such-bucket-here" in result.message, "\n" in result.message) == (3, True, False)


def test_rows_come_back_in_a_bucket_once(place, server, driver):
    assert place.run().exit_code == 1
    mild = place.rules.with_name("mild.yml")
    mild.write_text(place.rules.read_text().replace("at_least: 0", "at_least: -5"))
    ((done,), _) = driver.redrive(mild, weed.environment(server))
    assert (done["exit_code"], done["rows"]) == (0, {"judged": 21, "redriven": 5, "corrected": 0})
    first, second = place.kept.records("small", "1")
    assert Counter(row["n"] for row in place.kept.rows(second, "passed")) == Counter(range(-5, 200))
    assert len(place.kept.rows(second, "quarantine")) == 16
    assert {file["path"] for file in first["passed"]}.isdisjoint(file["path"] for file in second["passed"])
    ((again,), _) = driver.redrive(mild, weed.environment(server))
    assert (again["decision"], again["rows"]["redriven"]) == ("none", 0)
    assert len(place.kept.records("small", "1")) == 2


def test_only_quarantined_rows_ask_for_their_key_and_where_it_is_refused_nothing_is_published(place, server):
    # the client sends nothing that is to be encrypted over plain HTTP, which is all this server has
    key = "arn:aws:kms:us-east-1:111122223333:key/quarantine"
    place.rules.write_text(place.rules.read_text().replace('/out"}', f'/out", quarantine_kms_key: "{key}"}}'))
    with proxied(server) as proxy:
        result = place.run(proxy.url)
    assert (result.exit_code, result.decision) == (3, "none")
    assert "/out/quarantine/" in result.message
    assert "HTTPS must be used" in result.message
    assert place.kept.names("commits") == []
    puts = [request for request in proxy.passed if request.method == "PUT" and ".parquet" in request.path]
    asked = {request.headers.get("x-amz-server-side-encryption") for request in puts if "/passed/" in request.path}
    assert asked == {None}
    assert not [request for request in puts if "/quarantine/" in request.path]


def test_rules_about_files_look_into_the_bucket(place, owner):
    body, folder = LINES.encode(), f"s3://{weed.BUCKET}/{place.name}/copy"
    for name, content in (("1.csv", body), ("2.csv", body), ("3.csv", b"n\n1\n")):
        owner.put_object(Bucket=weed.BUCKET, Key=f"{place.name}/copy/{name}", Body=content)
    rules = f"""\
rules:
- file_size: {{equals: {len(body)}}}
- file_freshness: {{path: "{folder}", at_least: now - 1 hour}}
- file_count: {{path: "{folder}/*.csv", equals: 3}}
- file_match: {{hashes: [{hashlib.sha256(body).hexdigest()}]}}
- {{file_match: {{path: "{folder}", with: "{folder}/1.csv"}}, id: odd, severity: warning}}
- {{file_uniqueness: {{path: "{folder}", equals: 1}}, severity: warning}}
"""
    place.rules.write_text(place.rules.read_text() + rules)
    result = place.run()
    found = {rule["id"]: (rule["status"], rule["metric"]["value"]) for rule in result.rules if "file" in rule["type"]}
    assert found == {
        "file_size": ("passed", 1), "file_freshness": ("passed", 1), "file_count": ("passed", 3), "file_match": ("passed", 1),
        "odd": ("failed", pytest.approx(1 / 3)), "file_uniqueness": ("failed", pytest.approx(1 / 3)),
    }  # fmt: skip
    assert place.run().unchanged
    owner.put_object(Bucket=weed.BUCKET, Key=f"{place.name}/copy/4.csv", Body=b"n\n")
    assert not place.run().unchanged
