"""What a conversion could not keep."""

from __future__ import annotations

from dataclasses import dataclass

from quality.rulefile.dqdl.tree import Position


class Lost(ValueError):
    """A rule, or something of it, that the other language cannot say; the message says why."""


@dataclass(frozen=True)
class Loss:
    """One thing that did not carry over, with the reason. `kept`: it is there, but does not mean quite the same;
    `demand`: it asks something of the data, and is not only about the document."""

    file: str
    position: Position
    what: str
    why: str
    kept: bool = False
    demand: bool = True

    def __str__(self) -> str:
        verb = "carried over, but" if self.kept else "did not carry over:"
        return f"{self.file}:{self.position.line}: {self.what} {verb} {self.why}"


@dataclass(frozen=True)
class Converted:
    """The text of the other language, and what is not in it; `rules` of the `total` rules are. `places`: where in the
    original each entry of `rules:` comes from, when the text is a rule file."""

    text: str
    losses: tuple[Loss, ...]
    rules: int
    total: int
    places: tuple[Position, ...] = ()
