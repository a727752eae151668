"""A bucket behind a bad network: what is bounded is survived with exact results, what is not ends in one clear line."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone

import pytest
from botocore.config import Config

from quality.errors import LostRaceError, StorageError
from quality.model import BatchStatus, Decision
from quality.storage import commit, s3
from quality.storage.commit import CommitRecord
from quality.storage.s3 import S3Store
from tests.s3 import server as weed
from tests.s3.proxy import EXPIRED, FAULTS, Proxy, Request, proxied


@pytest.fixture
def proxy(server, environment):
    """The way to the server for everything the test does through the environment."""
    sleep = time.sleep
    # botocore waits longer and longer between its attempts
    environment.setattr(time, "sleep", lambda seconds: sleep(seconds / 20))
    with proxied(server) as between:
        between.patience = 1.3
        environment.setenv("AWS_ENDPOINT_URL_S3", between.url)
        yield between


@pytest.fixture
def hasty(monkeypatch):
    """A client that does not wait a minute for an answer."""

    def config(endpoint: str | None) -> Config:
        return real(endpoint).merge(Config(read_timeout=1, connect_timeout=5))

    real = s3._config
    monkeypatch.setattr(s3, "_config", config)


def only(fault: str, *numbers: int, method: str = "PUT"):
    """This fault to these requests of each path, counted from 0."""

    def plan(request: Request) -> str | None:
        return fault if request.method == method and request.before in numbers else None

    return plan


def test_without_a_plan_everything_passes_as_it_is(proxy, root, server):
    store = S3Store(root)
    for key in ("a", "d +%/ü", "e/" + "x" * 200):
        store.put(key, key.encode() * 1000)
        assert store.read(key) == key.encode() * 1000
    assert store.put_if_absent("b", b"")
    assert not store.put_if_absent("b", b"x")
    assert [entry.key for entry in S3Store(root, endpoint_url=server).list()] == [e.key for e in store.list()]
    store.delete(["a"])
    assert not store.exists("a")


@pytest.mark.parametrize("fault", FAULTS)
def test_one_fault_of_any_kind_is_not_noticed(proxy, hasty, root, fault):
    store = S3Store(root)
    for method in ("PUT", "GET", "HEAD", "POST"):
        proxy.plan = only(fault, 0, method=method)
        key = f"{method}/k"
        store.put(key, b"first " * 1000)
        store.put(key, b"whole " * 1000)
        assert store.read(key) == b"whole " * 1000
        assert [entry.key for entry in store.list(method)] == [key]
        assert store.exists(key)
        store.delete([key])
        assert not store.exists(key)


@pytest.mark.parametrize(("fault", "times"), [(fault, times) for fault in FAULTS for times in (1, 4) if (fault, times) != ("stall", 4)])  # fmt: skip
def test_a_put_if_absent_is_not_lost_against_itself(proxy, hasty, root, fault, times):
    proxy.plan = only(fault, *range(times))
    assert S3Store(root).put_if_absent("commits/1.json", b"ours")
    proxy.plan = lambda _: None
    assert S3Store(root).read("commits/1.json") == b"ours"
    assert not S3Store(root).put_if_absent("commits/1.json", b"theirs")


@pytest.mark.parametrize("fault", ("cut", "lose", "refuse"))
def test_a_put_if_absent_that_was_too_late_is_lost_also_behind_faults(proxy, root, fault):
    S3Store(root).put_if_absent("1.json", b"theirs")
    proxy.plan = only(fault, 1, 2)
    assert not S3Store(root).put_if_absent("1.json", b"ours")
    assert S3Store(root).read("1.json") == b"theirs"


def record(run: str) -> CommitRecord:
    moment = datetime(2013, 1, 1, tzinfo=timezone.utc)
    return CommitRecord("d", "b", moment, 1, run, moment, BatchStatus.PASSED, Decision.PUBLISHED, 0, "r")


def test_of_many_that_commit_behind_a_bad_network_one_wins_and_knows_it(proxy, root):
    proxy.sometimes(0.3, seed=7, faults=("cut", "lose", "refuse", "halve"))
    stores = [S3Store(root) for _ in range(4)]

    def drive(number: int) -> str | None:
        try:
            commit.commit(stores[number % 4], record(f"run {number}"))
        except LostRaceError:
            return None
        return f"run {number}"

    with ThreadPoolExecutor(16) as pool:
        winners = [run for run in pool.map(drive, range(32)) if run]
    proxy.plan = lambda _: None
    assert [found.run for found in commit.records(stores[0], "d", "b")] == winners
    assert sum(proxy.seen[fault] for fault in FAULTS) > 5


@pytest.mark.parametrize("seed", range(3))
def test_whatever_is_done_behind_a_bad_network_comes_out_exactly(proxy, root, seed, server):
    proxy.sometimes(0.3, seed, ("cut", "lose", "refuse", "halve"))
    store, clear = S3Store(root), S3Store(root, endpoint_url=server)
    for number in range(25):
        store.put(f"a/{number:02}", f"content {number} ".encode() * 500)
    store.move("a/00", "b/00")
    store.delete([f"a/{number:02}" for number in range(1, 5)])
    expected = {f"a/{number:02}": f"content {number} ".encode() * 500 for number in range(5, 25)}
    expected["b/00"] = b"content 0 " * 500
    assert {entry.key: store.read(entry.key) for entry in store.list()} == expected
    assert {entry.key: clear.read(entry.key) for entry in clear.list()} == expected


CALLS = {
    "read": lambda store: store.read("a"),
    "write": lambda store: store.put("b", b"x"),
    "list": lambda store: store.list(),
    "look at": lambda store: store.exists("a"),
    "delete": lambda store: store.delete(["a"]),
}


@pytest.mark.parametrize("fault", ("cut", "refuse"))
@pytest.mark.parametrize("action", CALLS)
def test_what_does_not_end_is_one_clear_line(proxy, root, environment, fault, action):
    environment.setenv("AWS_MAX_ATTEMPTS", "2")
    proxy.plan = lambda _: fault
    with pytest.raises(StorageError) as caught:
        CALLS[action](S3Store(root))
    text = str(caught.value)
    assert text.startswith(root)
    assert f": cannot {action}: " in text
    assert "\n" not in text
    assert weed.SECRET not in text


def test_a_put_if_absent_whose_outcome_nobody_can_know_says_so(proxy, root, environment, server):
    environment.setenv("AWS_MAX_ATTEMPTS", "1")
    proxy.plan = lambda request: "lose" if request.method == "PUT" else "cut"
    with pytest.raises(StorageError, match=r"1.json: cannot write: .*; whether it was stored is not known; run again"):
        S3Store(root).put_if_absent("1.json", b"ours")
    # it was: who runs again finds it
    assert S3Store(root, endpoint_url=server).read("1.json") == b"ours"


def test_expired_credentials_are_told_at_once(proxy: Proxy, root):
    proxy.refusal = EXPIRED
    proxy.plan = lambda _: "refuse"
    for action, call in CALLS.items():
        if action != "look at":  # a HEAD has no room for the reason
            with pytest.raises(StorageError, match="the AWS credentials have expired; renew them and run again"):
                call(S3Store(root))
    with pytest.raises(StorageError, match="expired credentials and a wrong region look like this"):
        S3Store(root).exists("a")
    assert max(count for key, count in proxy.seen.items() if " " in key) <= 2
