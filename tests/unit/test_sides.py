"""When one pass can write every side of a batch."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from quality.model import Column
from quality.sides import writes_together
from quality.storage.store import open_store

ASKS = SimpleNamespace(rule=SimpleNamespace(check=SimpleNamespace(questions=lambda: ("which?",))))
ASKS_NOT = SimpleNamespace(rule=SimpleNamespace(check=SimpleNamespace(questions=tuple)))
#: What keeps the sides apart: the root, the key of the quarantine, and what is said of batch, plan and engine.
CASES: dict[str, tuple[str, str, dict[str, Any], bool]] = {
    "a disk": ("out", "", {}, True),
    "a bucket": ("s3://b/out", "", {}, True),
    "a bucket, by the scheme of S3A": ("s3a://b/out", "", {}, True),
    "quarantine has a key of its own": ("s3://b/out", "arn:aws:kms:key", {}, False),
    "text": ("out", "", {"text": True}, False),
    "a small batch": ("out", "", {"small": True}, False),
    "a rule asks for the file": ("out", "", {"needs_file": True}, False),
    "Deequ's own runner": ("out", "", {"by_runner": True}, False),
    "a rule asks a reference": ("out", "", {"checks": (ASKS_NOT, ASKS)}, False),
    "no rule about rows": ("out", "", {"checks": ()}, False),
    "names that differ by case alone": ("out", "", {"names": ("a", "A")}, False),
}


@pytest.mark.parametrize(("root", "key", "more", "together"), CASES.values(), ids=CASES)
def test_one_pass_writes_all_sides_where_rows_can_be_read_back_and_files_moved(
    tmp_path, monkeypatch, root, key, more, together
):
    monkeypatch.chdir(tmp_path)
    given: dict[str, Any] = {
        "text": False,
        "small": False,
        "needs_file": False,
        "by_runner": False,
        "checks": (ASKS_NOT,),
        "names": "ab",
    }
    given |= more
    columns = tuple(Column(name, "int") for name in given["names"])
    batch: Any = SimpleNamespace(columns=columns, text=given["text"], small=given["small"])
    outputs = SimpleNamespace(quarantine_kms_key=key)
    plan: Any = SimpleNamespace(row_checks=given["checks"], rule_set=SimpleNamespace(outputs=outputs))
    found = writes_together(batch, open_store(root), plan, needs_file=given["needs_file"], by_runner=given["by_runner"])
    assert found is together
