"""The passes over a batch, as a plan and a result tell them."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from quality.distributions import OwnAnalyzer

#: Rules that are named for a pass; the others are counted.
_SHOWN_RULES = 3


@dataclass(frozen=True)
class Pass:
    """One reading of the batch: `width` is wide when it may read all columns, narrow when only those of metrics or keys,
    kept when it reads none of the input but the rows that an earlier pass kept. `of` is the reference that is read instead.
    `rules` are the ids of those that force it, none when every run makes it."""

    width: str
    purpose: str
    rules: tuple[str, ...] = ()
    shuffles: int = 0
    of: str = ""


@dataclass(frozen=True)
class Passes:
    """Passes over the batch: wide ones read (nearly) all columns, narrow ones only keys."""

    wide: int
    narrow: int
    shuffles: int

    def to_dict(self) -> dict[str, int]:
        """As the result JSON has it."""
        return {"wide": self.wide, "narrow": self.narrow, "shuffles": self.shuffles}


@dataclass(frozen=True)
class OwnPass:
    """A pass that metrics need of their own, one for all that ask for the same: `kind` is the `source` of their analyzers,
    `form` what else tells two passes apart, `purpose` what it does, in words."""

    kind: str
    columns: tuple[str, ...]
    references: tuple[str, ...]
    scope: str
    form: Hashable
    purpose: str
    #: Readings and shuffles where a batch is more than one task; of a small one there is one reading.
    reads: int = 1
    shuffles: int = 1


def own_pass(analyzer: OwnAnalyzer, references: tuple[str, ...], scope: str) -> OwnPass:
    """The pass that a metric takes."""
    cost = (analyzer.reads, analyzer.shuffles)
    return OwnPass(analyzer.source, analyzer.columns, references, scope, analyzer.form, analyzer.purpose(), *cost)


def describe_pass(step: Pass) -> str:
    """A pass in one line: its width, what for, and the first of the rules that force it."""
    shown = ", ".join(step.rules[:_SHOWN_RULES]) + (
        f" and {more} more" if (more := len(step.rules) - _SHOWN_RULES) > 0 else ""
    )
    shuffle = ", one shuffle" if step.shuffles else ""
    of = f" of reference {step.of}" if step.of else ""
    return f"{step.width}: {step.purpose}{of}{shuffle}" + (f" (for {shown})" if shown else "")
