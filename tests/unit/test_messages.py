"""What a steward is told of a broken rule file: where, what is wrong, what is allowed or was meant, all at once.

Each file in tests/broken has its messages beside it (`.txt`), one a line. After a message was changed on purpose, write
what `quality lint <file>` prints there, and read it as someone who does not know the engine. `<rule types>` stands for their
list, which grows.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from quality.cli import run_command
from quality.rule_types import REGISTRY
from quality.rulefile.ruleforms import MODIFIERS

BROKEN = sorted((Path(__file__).parents[1] / "broken").glob("*.yml"))


def without_types(message):
    """The message without the list of rule types that ends it."""
    found = re.search(r": ((?:\w+, )+)\.\.\.$", message)
    listed = {*found[1].split(", ")} - {""} if found else set()
    return f"{message[: found.start()]}: <rule types>" if found and listed <= {*REGISTRY, *MODIFIERS} else message


def told(path, capsys, monkeypatch):
    monkeypatch.chdir(path.parent)
    assert run_command(["lint", path.name]) == 2
    return capsys.readouterr().err.splitlines()


def test_there_are_enough_ways_to_be_wrong():
    assert len(BROKEN) >= 20


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_a_broken_file_is_told_its_mistakes(path, capsys, monkeypatch):
    expected = path.with_suffix(".txt").read_text(encoding="utf-8").splitlines()
    count = f"{len(expected)} mistake{'s' if len(expected) > 1 else ''}"
    assert [without_types(line) for line in told(path, capsys, monkeypatch)] == [*expected, count]


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_every_message_has_a_place_and_the_manners_of_the_house(path, capsys, monkeypatch):
    lines = len(path.read_text(encoding="utf-8").splitlines())
    *messages, _ = told(path, capsys, monkeypatch)
    for message in messages:
        place = re.match(r"(?P<file>[^:]+):(?P<line>\d+): \S", message)
        assert place, message
        assert place["file"] == path.name
        assert 1 <= int(place["line"]) <= max(lines, 1)
        assert not re.search(r"!$|\bplease\b|Error|Exception|Traceback|<class|object at 0x|None\b", message), message
        assert len(message) < 420


def test_messages_come_in_the_order_of_the_lines(capsys, monkeypatch):
    path = next(path for path in BROKEN if path.stem == "wrong_values")
    numbers = [int(line.split(":")[1]) for line in told(path, capsys, monkeypatch)[:-1]]
    assert numbers == sorted(numbers)
    assert len(set(numbers)) >= 6


def test_mistakes_of_several_files_come_together(capsys):
    names = [str(path) for path in BROKEN if path.stem in ("twice", "no_version")]
    assert run_command(["lint", *names]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == "2 mistakes"
