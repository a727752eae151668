"""What will be read to suggest rules, before anything is."""

from __future__ import annotations

from dataclasses import dataclass

#: Batches whose rows are looked at, and rows of each.
SAMPLED, SAMPLED_ROWS = 24, 20_000
#: What a pass is made for, as a result has it and in full.
PASSES = {
    "columns": "finding the columns",
    "types": "what the texts of the first batch look like",
    "profiles": "the profile of a batch",
    "a look at rows": f"a look at the first rows of a batch, {SAMPLED_ROWS:,} at most",
    "the key": "whether the key holds in the whole of the last batch, if one is found and not all its rows were looked at",
    "references": "the values of a reference",
}


@dataclass(frozen=True)
class Planned:
    """The passes that suggesting will make over batches and references: what for, and how often at most."""

    batches: tuple[str, ...] = ()
    passes: tuple[tuple[str, int], ...] = ()

    @property
    def most(self) -> int:
        """How many passes there will be at most."""
        return sum(count for _, count in self.passes)

    def __str__(self) -> str:
        ids = self.batches
        names = f", {ids[0]} to {ids[-1]}" if len(ids) > 1 else f", {ids[0]}" if ids else ""
        lines = [f"  {count:>5,}  {PASSES[purpose]}" for purpose, count in self.passes if count]
        head = f"{len(ids):,} batch{'es' * (len(ids) != 1)}{names}: {self.most:,} passes at most"
        return "\n".join([head, *lines])
