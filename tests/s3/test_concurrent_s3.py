"""The same crowds as on a directory, in a bucket; and what a collector removes there."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from quality.storage import collect, commit, layout
from quality.storage.collect import DEAD, SUPERSEDED, UNFINISHED, find
from quality.storage.commit import collected_at
from quality.storage.s3 import S3Store
from quality.storage.store import TEMPORARY
from tests.kept import DAY, NOW, Kept
from tests.s3 import server as weed
from tests.unit.test_concurrent import WRITERS, assert_complete, race, write_history


@pytest.fixture
def kept(root):
    return Kept(S3Store(root), random.Random(1))


def test_fifty_writers_of_one_history_lose_nothing(root):
    runs = [layout.new_run_id() for _ in range(WRITERS)]
    stores = [S3Store(root) for _ in range(5)]
    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(lambda number: write_history(stores[number % 5], runs[number]), range(WRITERS)))
    assert_complete(stores[0], runs)


def test_of_two_drivers_that_race_fifty_times_one_wins_and_no_reader_sees_half(root):
    race([S3Store(root) for _ in range(3)], 50)


def test_what_is_garbage_goes_from_a_bucket_with_all_that_no_listing_shows(kept, server):
    old, before, live = (kept.published(NOW + number * DAY) for number in range(3))
    dead = kept.run(NOW)
    probe = f"{TEMPORARY}probe"
    kept.store.put(probe, b"")
    marks = [f"passed/d/_runs/b/{run}/" for run in (old, dead)]
    owner, prefix = weed.client(server), kept.store.root.split("/", 3)[3]
    for mark in marks:
        owner.put_object(Bucket=weed.BUCKET, Key=f"{prefix}/{mark}", Body=b"")
    found = find(kept.store, moment=NOW + 99 * DAY)
    assert [(item.kind, item.run) for item in found] == [(SUPERSEDED, old), (DEAD, dead), (UNFINISHED, "")]
    assert collect.collect(kept.store, found) == found
    assert (kept.of(old), kept.of(dead)) == ({"runs", "history"}, set())
    assert [kept.of(run) for run in (before, live)] == [{"passed", "quarantine", "runs", "history"}] * 2
    pages = owner.get_paginator("list_objects_v2").paginate(Bucket=weed.BUCKET, Prefix=prefix)
    names = [item["Key"] for page in pages for item in page.get("Contents", ())]
    assert not [name for name in names if dead in name or probe in name]
    assert find(kept.store, moment=NOW + 99 * DAY) == []
    assert kept.readable()


def test_two_collectors_of_one_bucket_do_what_one_does(kept):
    runs = [kept.published(NOW + number * DAY) for number in range(5)]
    with ThreadPoolExecutor(2) as pool:
        removed = list(
            pool.map(lambda _: collect.collect(kept.store, find(kept.store, moment=NOW + 99 * DAY)), range(2))
        )
    assert {item.run for items in removed for item in items} == set(runs[:3])
    assert [bool({"passed", "quarantine"} & kept.of(run)) for run in runs] == [False, False, False, True, True]
    first = commit.records(kept.store, "d", "b")[0]
    assert collected_at(kept.store, first) is not None
    assert kept.readable()
