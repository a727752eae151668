"""Shared by all tests: nothing here starts Spark."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

#: Files that take longest, begun first: with several processes none is left alone with one at the end. The first starts a Spark
#: that keeps its classes, with which all others start sooner.
FIRST = (
    "spark/test_cli.py", "spark/test_oracle.py", "spark/test_reading.py", "s3/test_run_s3.py", "spark/test_kills.py",
    "spark/test_dqdl_catalogue.py", "spark/test_job.py", "spark/test_deequ_parity.py", "spark/test_stream.py",
    "spark/test_table_formats.py", "spark/test_passes.py", "spark/test_session.py", "spark/test_hostile_files.py",
    "spark/test_redrive.py", "spark/test_matrix.py", "spark/test_references.py", "spark/test_outcomes.py", "spark/test_slices.py",
    "spark/test_catalog.py", "spark/test_commit_run.py", "s3/test_kills_s3.py", "spark/test_mutation.py", "spark/test_profile.py",
    "unit/test_anomaly.py", "unit/test_convert.py", "unit/test_recurring.py",
)  # fmt: skip


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="also the tests that take too long for every change")


def pytest_configure(config: pytest.Config) -> None:
    """Drawn examples are the same ones each time, and none is too slow on a busy machine; with --full they are new ones."""
    drawn = not config.getoption("--full")
    settings.register_profile("ours", deadline=None, derandomize=drawn, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("ours")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    turns = {Path(__file__).parent / name: turn for turn, name in enumerate(FIRST)}
    items.sort(key=lambda item: turns.get(item.path, len(turns)))
    if config.getoption("--full"):
        return
    left_out = [item for item in items if any(_only_in_full(item, mark) for mark in item.iter_markers("full"))]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


def _only_in_full(item: pytest.Item, mark: pytest.Mark) -> bool:
    """`full` is about every case of a test, `full("delta")` about those with this parameter."""
    return not mark.args or any(f"[{name}" in item.name for name in mark.args)


@pytest.fixture(scope="session", autouse=True)
def unsynced():
    """What a power cut would do is asked in test_store.py alone; to wait for the disk would be a tenth of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda _: None)
        yield


@pytest.fixture
def rule_file(tmp_path: Path) -> Callable[..., Path]:
    """Writes a rule file and returns its path."""

    def write(text: str, name: str = "rules.yml") -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write
