"""What is asked of a batch, rule by rule, as SQL: verdicts on rows, metrics, keys, and groups of rows. Pure values."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from quality.analyzers import Analyzer
from quality.rule_types.rules import Rule
from quality.sensitive import Hiding


@dataclass(frozen=True)
class KeyPass:
    """A count of keys: one shuffle of the key columns of the rows in scope that have a key. `whole`: the key is one whole
    number, which is counted in two steps."""

    columns: tuple[str, ...]
    references: tuple[str, ...]
    scope: str
    whole: bool = False

    @property
    def any_part(self) -> str:
        """SQL: some part of the key is not NULL."""
        return " or ".join(f"{ref} is not null" for ref in self.references)

    @property
    def incomplete(self) -> str:
        """SQL: some part of the key is NULL."""
        return " or ".join(f"{ref} is null" for ref in self.references)


@dataclass(frozen=True)
class RowCheck:
    """A row rule as SQL. `scope` and `complies` are never NULL. For a key rule `complies` says only what the row tells
    by itself; `key` is the pass that finds its duplicates."""

    rule: Rule
    scope: str
    complies: str
    value: str
    analyzer: Analyzer
    key: KeyPass | None = None
    #: How the value is hidden in reasons.
    hiding: Hiding | None = None
    #: SQL of the columns whose values make the groups it is judged in.
    by: tuple[str, ...] = ()

    @property
    def fails(self) -> str:
        """SQL: the row is in scope and does not comply."""
        return f"({self.scope}) and not ({self.complies})" if self.scope != "true" else f"not ({self.complies})"


@dataclass(frozen=True)
class MetricCheck:
    """A rule that demands bounds of a metric, with the scope its rows are counted in."""

    rule: Rule
    analyzer: Analyzer
    scope: str
    references: tuple[str, ...]
    key: KeyPass | None = None
    #: The part of a column's tally that is the metric.
    tallied: str = ""
    #: Where bounds that come from earlier batches come from; why they do not apply yet, or cannot be told.
    origin: str = ""
    waiting: str = ""
    unsure: str = ""
    #: SQL of the columns whose values make the groups it is judged in.
    by: tuple[str, ...] = ()
    #: The rule that it is a part of; empty when it is one.
    part_of: str = ""


@dataclass(frozen=True)
class GroupPass:
    """What is measured in each group of some columns: one grouped aggregate for all rules that share them, and one count
    for each key."""

    columns: tuple[str, ...]
    by: tuple[str, ...]
    row_checks: tuple[RowCheck, ...] = ()
    metric_checks: tuple[MetricCheck, ...] = ()

    @property
    def rules(self) -> tuple[str, ...]:
        """The ids of its rules."""
        return (*ids(self.row_checks), *ids(self.metric_checks))

    @property
    def scopes(self) -> tuple[str, ...]:
        """The distinct scopes of its rules."""
        checks: tuple[RowCheck | MetricCheck, ...] = (*self.row_checks, *self.metric_checks)
        return tuple(dict.fromkeys(check.scope for check in checks))

    @property
    def key_passes(self) -> tuple[KeyPass, ...]:
        """The keys that are counted in each group."""
        return tuple(key for key in dict.fromkeys(check.key for check in self.metric_checks) if key)

    def only(self, wanted: Callable[[RowCheck | MetricCheck], bool]) -> GroupPass:
        """The pass for some of its rules."""
        return replace(
            self,
            row_checks=tuple(check for check in self.row_checks if wanted(check)),
            metric_checks=tuple(check for check in self.metric_checks if wanted(check)),
        )


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


def ids(checks: Iterable[RowCheck | MetricCheck]) -> tuple[str, ...]:
    """The ids of the rules of checks."""
    return tuple(check.rule.id for check in checks)
