"""Drivers that are killed, JVM and all, in the middle of runs in a bucket. In full: python tests/kill_harness.py --s3."""

from __future__ import annotations

import pytest

from tests.kill_harness import Moment, campaign, s3_place
from tests.s3 import server as weed

#: The rows that pass are moved to their place in changes 1 and 2, history, result and report are put in the next; the commit is 11.
MOMENTS = (Moment(0, change=1, when="during"), Moment(0, change=11, when="after"))
BEFORE = Moment(0, word="explaining failing rows")


@pytest.mark.slow
def test_killed_drivers_lose_nothing_double_nothing_and_show_no_half(server, environment, tmp_path, request):
    moments = (BEFORE, *MOMENTS) if request.config.getoption("--full") else MOMENTS
    place = s3_place(tmp_path, weed.client(server), weed.BUCKET, "kills", columnar=True)
    report = campaign(place, len(moments), 1, weed.environment(server), moments=moments, batches=("a", "b"))
    assert not report.found.texts, str(report)
    assert report.kills == len(moments)
    assert report.reached["committed"] >= 1
