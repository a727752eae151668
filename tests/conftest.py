"""Shared by all tests: nothing here starts Spark."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="also the tests that take too long for every change")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--full"):
        return
    left_out = [item for item in items if any(_only_in_full(item, mark) for mark in item.iter_markers("full"))]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


def _only_in_full(item: pytest.Item, mark: pytest.Mark) -> bool:
    """`full` is about every case of a test, `full("delta")` about those with this parameter."""
    return not mark.args or any(f"[{name}" in item.name for name in mark.args)


@pytest.fixture
def rule_file(tmp_path: Path) -> Callable[..., Path]:
    """Writes a rule file and returns its path."""

    def write(text: str, name: str = "rules.yml") -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write
