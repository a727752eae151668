"""A run that lasts says that it is alive, and is never ended by failing to say so."""

from __future__ import annotations

import logging
import threading
from datetime import datetime, timedelta, timezone

import pytest

from quality.errors import StorageError
from quality.storage.commit import DataFile
from quality.storage.layout import lease_key, new_run_id, run_began
from quality.storage.leases import GRACE, Lease, renewed
from quality.storage.store import LocalStore

START = datetime(2026, 1, 1, tzinfo=timezone.utc)
FILES = (DataFile("passed/d/_runs/b/r/part-0.parquet", 1, 4),)


@pytest.fixture
def store(tmp_path):
    return LocalStore(str(tmp_path))


class Clock:
    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    def __call__(self) -> datetime:
        return self.moment


class Refusing(LocalStore):
    """A store that takes nothing."""

    def put(self, key: str, data: bytes) -> None:
        raise StorageError(f"{key}: no room")


def test_a_run_that_ends_soon_writes_nothing(store):
    with Lease(store, "d", "b", new_run_id()) as lease:
        lease.confirm(FILES)
    assert store.list() == []


def test_a_run_that_lasts_renews_its_lease_until_it_ends(store):
    run, renewals = new_run_id(), threading.Semaphore(0)

    class Watched(LocalStore):
        def put(self, key: str, data: bytes) -> None:
            super().put(key, data)
            renewals.release()

    began = datetime.now(timezone.utc)
    with Lease(Watched(store.root), "d", "b+1", run, interval=timedelta(milliseconds=1)):
        for _ in range(3):
            assert renewals.acquire(timeout=60)
        at = renewed(store, "d", "b+1", run)
        assert at is not None
        assert began <= at <= datetime.now(timezone.utc)
        assert [entry.key for entry in store.list()] == [lease_key("d", "b+1", run)]
    assert store.list() == []


@pytest.mark.parametrize("error", (StorageError("no room"), RuntimeError("Spark is gone"), OSError("no")))
def test_a_renewal_that_fails_is_logged_and_nothing_else(store, monkeypatch, caplog, error):
    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(store, "put", refuse)
    lease = Lease(store, "d", "b", new_run_id())
    with caplog.at_level(logging.WARNING, logger="quality"), lease:
        lease.renew()
    (record,) = caplog.records
    assert "could not be renewed" in record.getMessage()


def test_a_release_that_fails_does_not_hide_what_the_run_ended_with(store, monkeypatch, caplog):
    lease = Lease(store, "d", "b", new_run_id())

    def refuse(_: object) -> None:
        raise StorageError("no way")

    monkeypatch.setattr(store, "delete", refuse)
    lease.renew()
    with pytest.raises(KeyError, match="the run's own"), lease:
        raise KeyError("the run's own")
    assert "could not be released" in caplog.text


@pytest.mark.parametrize("text", (b"", b"{", b"[]", b"{}", b'{"renewed": 3}', b'{"renewed": "soon"}'))
def test_half_a_lease_is_none(store, text):
    store.put(lease_key("d", "b", "r"), text)
    assert renewed(store, "d", "b", "r") is None
    assert renewed(store, "d", "b", "other") is None


def slept(store: LocalStore, silent: timedelta) -> Lease:
    run = new_run_id()
    began = run_began(run)
    assert began is not None
    return Lease(store, "d", "b", run, clock=Clock(began + silent))


def test_a_driver_that_slept_may_commit_what_is_still_there(store):
    store.put(FILES[0].path, b"rows")
    lease = slept(store, GRACE * 3)
    lease.confirm(FILES)
    assert store.exists(lease.key)


def test_a_driver_that_slept_may_not_commit_what_was_collected(store):
    with pytest.raises(StorageError, match=r"part-0.parquet: is gone: run .* was silent for 72 hours .* run again"):
        slept(store, GRACE * 3).confirm(FILES)


def test_a_driver_whose_renewals_failed_all_the_time_may_commit_what_is_still_there(store):
    store.put(FILES[0].path, b"rows")
    slept(Refusing(store.root), GRACE * 3).confirm(FILES)


def test_a_run_id_tells_when_the_run_began():
    before = datetime.now(timezone.utc)
    began = run_began(new_run_id())
    assert began is not None
    # to the millisecond; ids made before may have been ahead of the clock
    assert before - timedelta(milliseconds=1) <= began <= datetime.now(timezone.utc) + timedelta(seconds=5)


@pytest.mark.parametrize("text", ("", "r1", "_temporary", "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "{01a20514-86c2-7d0b-a651-611a417a6a63}"))  # fmt: skip
def test_what_is_no_run_id_has_no_beginning(text):
    assert run_began(text) is None
