"""Drivers that are killed, JVM and all, in the middle of runs on a directory. In full: python tests/kill_harness.py."""

from __future__ import annotations

import pytest

from tests.kill_harness import Moment, campaign, local_place

#: History is put in changes 1 to 3, result and report in 4 and 5, the commit is 6, the manifest 7.
UNCOMMITTED = (Moment(0, word="splitting and writing rows"), Moment(0, change=2, when="during"))
COMMITTED = (Moment(0, change=6, when="after"),)
#: What test_commit_run.py kills a driver at too.
OTHERS = (Moment(0, change=6, when="before"), Moment(0, change=7, when="during"))


@pytest.mark.slow
def test_killed_drivers_lose_nothing_double_nothing_and_show_no_half(spark, tmp_path, request):
    others = OTHERS if request.config.getoption("--full") else ()
    moments = (*UNCOMMITTED, *others[:1], *COMMITTED, *others[1:])
    report = campaign(
        local_place(tmp_path / "place"), len(moments), 1, moments=moments, batches=("a", "b"), spark=spark
    )
    assert not report.found.texts, str(report)
    assert report.kills == len(moments)
    assert report.reached == {"not committed": 2 + bool(others), "committed": 1 + bool(others)}
    assert report.reruns["unchanged"] >= report.reached["committed"]
