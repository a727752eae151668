"""Re-drives that are killed in the middle. In full: python tests/redrive_harness.py."""

from __future__ import annotations

import pytest

from tests.redrive_harness import COMMIT, campaign, drawn

MOMENTS = (
    {"change": COMMIT, "when": "before"},
    {"change": COMMIT, "when": "after"},
)


@pytest.mark.slow
def test_a_killed_redrive_happened_wholly_or_not_at_all(spark, tmp_path):
    assert campaign(tmp_path / "place", MOMENTS, spark=spark) == {"not committed": 1, "committed": 1}


@pytest.mark.slow
@pytest.mark.full
def test_redrives_killed_at_any_change_of_the_store_lose_and_double_nothing(tmp_path):
    assert campaign(tmp_path / "place", drawn(40, 1)).total() == 40
