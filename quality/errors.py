"""Errors a user can act on. Each knows the exit code it ends a command with (2: usage, 3: engine or storage)."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


class QualityError(Exception):
    """A failure with one clear message. Anything else that escapes a command is a defect of the engine."""

    exit_code = 3


class UsageError(QualityError):
    """The command, an argument or a rule file is wrong: nothing was read, nothing was written."""

    exit_code = 2


class InputError(QualityError):
    """The batch is missing, unreadable, or changed while it was read."""


class NoColumnsError(InputError):
    """There is no row, and nothing says which columns there would be."""


class EngineError(QualityError):
    """Spark, Java or Deequ is missing or gave up."""


class StorageError(QualityError):
    """Results could not be kept: no permission, no space, or what was written does not add up."""


class LostRaceError(StorageError):
    """Another run of the same batch committed first; nothing of this run is visible."""


@dataclass(frozen=True, order=True)
class Problem:
    """One mistake in a rule file, with its place."""

    file: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


class RuleFileError(UsageError):
    """Every mistake found in a rule file, in the order of its lines."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class RuleDataError(Exception):
    """A rule cannot be judged against this batch (a column is missing, a type does not fit): it ends in status error."""


def did_you_mean(word: str, allowed: Iterable[str], noun: str = "allowed") -> str:
    """The second half of a message: the nearest allowed word, and all of them (at most 20)."""
    names = list(allowed)
    folded = {name.lower(): name for name in names}
    near = difflib.get_close_matches(str(word).lower(), folded, n=1, cutoff=0.6)
    listed = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
    hint = f"did you mean '{folded[near[0]]}'? " if near else ""
    return f"{hint}{noun}: {listed}" if names else f"{hint}{noun}: none"
