"""Shared by all tests: nothing here starts Spark."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def rule_file(tmp_path: Path) -> Callable[..., Path]:
    """Writes a rule file and returns its path."""

    def write(text: str, name: str = "rules.yml") -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write
