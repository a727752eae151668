"""Tells of which input file a failing row is, without another pass over the batch.

Quarantined rows are staged in one folder for each *group* of input files, of which there are few (`GROUPS`), however many files there
are. Where a group is one file, its rows say how many of them fail. Of a larger group that has most of the failing rows of a
rule, its files alone are read again: a file cannot have more of them than its group. Rows that fail and stay are not staged so:
the passed side would be in many small files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from zlib import crc32

from quality.sql import quote

#: More would be more files that a task has open at once.
GROUPS = 6
#: Of more files none is told: their addresses alone take seconds.
MOST_FILES = 5_000
#: Groups are made of hashes; of so many ways to hash that one is taken which spreads the files best.
_SALTS = 32


@dataclass(frozen=True)
class FileGroups:
    """The input files by group, by the addresses that Spark gives for the file of a row."""

    salt: int
    members: Mapping[int, tuple[str, ...]]

    @classmethod
    def of(cls, files: Sequence[str]) -> FileGroups:
        """Groups as even as can be."""
        return min(
            (_grouped(files, salt) for salt in range(_SALTS)), key=lambda one: max(map(len, one.members.values()))
        )

    def number(self, column: str) -> str:
        """SQL: the group of the file in a column, a whole number; that of no file is none of `members`."""
        hashed = f"cast(pmod(crc32(concat('{self.salt}:', {quote(column)})), {GROUPS}) as int)"
        return f"if(coalesce({quote(column)}, '') = '', {GROUPS}, {hashed})"


def _grouped(files: Sequence[str], salt: int) -> FileGroups:
    members: dict[int, list[str]] = {}
    for file in sorted(files):
        members.setdefault(crc32(f"{salt}:{file}".encode()) % GROUPS, []).append(file)
    return FileGroups(salt, {group: tuple(found) for group, found in sorted(members.items())})
