"""What every target is."""

from __future__ import annotations

from typing import Protocol


class Target(Protocol):
    """A place readers look at that follows the commit records of one data set."""

    #: In messages: `the symlink manifest`, `table lake.sales.orders`.
    name: str

    def follow(self, batch: str) -> None:
        """Bring what readers see of the batch in line with its live record, in one atomic step where the place has one.

        Asks for the record itself, so that of two callers the last has seen the last record. A second call changes
        nothing. Raises StorageError; the record stays in force, and the next call catches up.
        """
