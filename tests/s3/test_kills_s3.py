"""Drivers that are killed, JVM and all, in the middle of runs in a bucket. In full: python tests/kill_harness.py --s3."""

from __future__ import annotations

import pytest

from tests.kill_harness import Moment, campaign, s3_place
from tests.s3 import server as weed

#: History is put in changes 1 to 3, result and report in 4 and 5, the commit is 6, the manifest 7.
MOMENTS = (
    Moment(0, word="splitting and writing rows"),
    Moment(0, change=6, when="during"),
    Moment(0, change=6, when="after"),
)


@pytest.mark.slow
def test_killed_drivers_lose_nothing_double_nothing_and_show_no_half(server, environment, tmp_path):
    place = s3_place(tmp_path, weed.client(server), weed.BUCKET, "kills")
    report = campaign(place, len(MOMENTS), 1, weed.environment(server), moments=MOMENTS, batches=("a", "b"))
    assert not report.found.texts, str(report)
    assert report.kills == len(MOMENTS)
    assert report.reached["committed"] >= 1
