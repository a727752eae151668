"""Drivers that are killed, JVM and all, in the middle of runs on a directory. In full: python tests/kill_harness.py."""

from __future__ import annotations

import pytest

from tests.kill_harness import Moment, campaign, local_place

#: History is put in changes 1 to 3, result and report in 4 and 5, the commit is 6, the manifest 7.
MOMENTS = (
    Moment(0, word="splitting and writing rows"),
    Moment(0, change=2, when="during"),
    Moment(0, change=6, when="before"),
    Moment(0, change=6, when="after"),
    Moment(0, change=7, when="during"),
)


@pytest.mark.slow
def test_killed_drivers_lose_nothing_double_nothing_and_show_no_half(tmp_path):
    report = campaign(local_place(tmp_path / "place"), len(MOMENTS), 1, moments=MOMENTS, batches=("a", "b"))
    assert not report.found.texts, str(report)
    assert report.kills == len(MOMENTS)
    assert report.reached == {"not committed": 3, "committed": 2}
    assert report.reruns["unchanged"] >= 2
