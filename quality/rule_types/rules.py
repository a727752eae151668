"""Rules and rule sets: what a rule file says, as values."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from quality.analyzers import NUMERIC, TEMPORAL, TEXTUAL, base_type
from quality.model import Bounds, Column, Location, Nulls, OnFail, Severity, Tolerance
from quality.rule_types.base import RowRule, RuleType
from quality.sensitive import NOTHING, Sensitive

#: What columns can be chosen by, beside the names of Spark's types.
KINDS: Mapping[str, tuple[str, ...]] = {
    "numeric": NUMERIC, "string": TEXTUAL, "temporal": TEMPORAL, "date": ("date",), "boolean": ("boolean",),
    "timestamp": ("timestamp", "timestamp_ntz"),
}  # fmt: skip


@dataclass(frozen=True)
class Selector:
    """Columns of a batch, chosen by a glob, by a regular expression over the whole name, or by the kind of their type. Names
    compare without case."""

    glob: str = ""
    matching: str = ""
    type: str = ""

    def select(self, columns: Iterable[Column]) -> list[str]:
        """The names, in the order of the batch."""
        return [column.name for column in columns if self._takes(column)]

    def _takes(self, column: Column) -> bool:
        if self.type and base_type(column.type) not in KINDS[self.type]:
            return False
        if self.type and not self.matching:
            return True
        if self.matching:
            return re.fullmatch(self.matching, column.name, re.IGNORECASE) is not None
        return fnmatchcase(column.name.lower(), self.glob.lower())

    def __str__(self) -> str:
        said = [f"matching {self.matching}"] if self.matching else []
        return self.glob or " of ".join([*said, *([f"type {self.type}"] if self.type else [])])


#: What an example can be of: rows that comply, rows that do not, rows that are out of the rule's scope.
EXPECTED = ("pass", "fail", "skip")


@dataclass(frozen=True)
class Example:
    """Rows, and what a rule must say of them: one of `EXPECTED`. A column that a row does not name is NULL in it. `lines`
    are the places of the values, for messages."""

    expected: str
    rows: tuple[Mapping[str, Any], ...]
    location: Location
    lines: tuple[Mapping[str, int], ...] = ()


@dataclass(frozen=True)
class Rule:
    """A demand on a batch, with everything a rule can carry. `canonical` is its text form for fingerprints."""

    id: str
    check: RuleType
    location: Location
    name: str = ""
    where: str = ""
    tolerance: Tolerance = Tolerance()
    severity: Severity = Severity.ERROR
    on_fail: OnFail = OnFail.QUARANTINE
    nulls: Nulls = Nulls.PASS
    nan_passes: bool = False
    #: How many earlier batches its bounds need, None for all that they ask for.
    min_history: int | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    canonical: Mapping[str, Any] = field(default_factory=dict)
    over: Selector | None = None
    examples: tuple[Example, ...] = ()
    #: The columns whose values make the groups it is judged in.
    group_by: tuple[str, ...] = ()

    def of_column(self, name: str) -> Rule:
        """One of the rules that a rule over many columns stands for."""
        own = self.id == default_id(self.check)
        check = replace(self.check, column=name)  # type: ignore[type-var]
        return replace(self, check=check, id=default_id(check) if own else f"{self.id}.{name}", over=None)

    @property
    def is_row_rule(self) -> bool:
        """Whether it gives each row a verdict."""
        return isinstance(self.check, RowRule)

    @property
    def quarantines(self) -> bool:
        """Whether failing rows leave the passed side."""
        return self.is_row_rule and self.on_fail != OnFail.KEEP

    @property
    def column(self) -> str:
        """The columns the rule names, as one text."""
        return ",".join(self.check.columns())


def default_id(check: RuleType) -> str:
    """`<column>.<type>` for one column, `<type>(<columns>)` for several, `<type>` for none."""
    columns = check.columns()
    if len(columns) == 1:
        return f"{columns[0]}.{check.type}"
    return f"{check.type}({','.join(columns)})" if columns else check.type


def batches_asked(check: RuleType) -> int:
    """How many earlier batches a rule or its bounds ask for."""
    parts = [part for part in check.metrics() if part is not check]
    if parts:
        return max(map(batches_asked, parts))
    bounds = getattr(check, "bounds", None)
    return max(getattr(check, "batches", 0), bounds.batches if isinstance(bounds, Bounds) else 0)


def default_on_fail(check: RuleType, severity: Severity) -> OnFail:
    """Severity only chooses the default: below error nothing happens to the data."""
    if isinstance(check, RowRule) and check.always_quarantines:
        return OnFail.QUARANTINE
    if severity != Severity.ERROR:
        return OnFail.KEEP
    return OnFail.QUARANTINE if isinstance(check, RowRule) else OnFail.HOLD


@dataclass(frozen=True)
class Kafka:
    """A topic, which only a stream reads. `start`: where a new stream begins, `earliest` or `latest`. `options` are those of
    Spark's source, secrets among them: they stand in no message."""

    servers: str = ""
    topic: str = ""
    start: str = "earliest"
    options: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Input:
    """Where a batch comes from and how it is read."""

    path: tuple[str, ...] = ()
    table: str = ""
    kafka: Kafka | None = None
    where: str = ""
    format: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    timezone: str = "UTC"
    batch_time: str = ""
    allow_empty: bool = False
    schema: tuple[tuple[str, str], ...] = ()
    #: Where `where` stands.
    filtered_at: Location = field(default=Location("", 1), compare=False)

    @property
    def is_text(self) -> bool:
        """Whether values arrive as text (CSV, JSON lines)."""
        return self.format in ("csv", "json")


@dataclass(frozen=True)
class Jdbc:
    """A table of a database, or a query that it answers. The password and the options, which may hold secrets, stand in no
    message."""

    url: str
    table: str = ""
    query: str = ""
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    driver: str = ""
    options: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def database(self) -> str:
        """Which kind of database: the word after `jdbc:`."""
        return self.url.partition(":")[2].partition(":")[0].lower()


@dataclass(frozen=True)
class Reference:
    """Another data set that rules point at: files or a table, read as an input is, a table of a database, or what is live of a
    data set of ours."""

    name: str
    input: Input
    dataset: str = ""
    location: Location = Location("", 0)
    jdbc: Jdbc | None = None


class Filter(NamedTuple):
    """A condition on the rows of the input or of a reference: what it is called, and where it stands."""

    words: str
    location: Location
    text: str


@dataclass(frozen=True)
class StreamSettings:
    """How a stream goes on: how often a micro-batch begins, how much one takes at most, what a held one means (`stop` or
    `continue`), where Spark keeps what was read (empty: below the root), and how many micro-batches or how much time a
    window of metrics spans (None: there are no windows)."""

    trigger: timedelta = timedelta(seconds=10)
    max_files: int = 1_000
    max_messages: int = 1_000_000
    on_held: str = "stop"
    checkpoint: str = ""
    window: timedelta | int | None = None


@dataclass(frozen=True)
class Outputs:
    """Where results go. `root` holds everything; the rest follows its commit records: `table` and `quarantine_table` get
    the live rows in `format`, `mirror` copies them to a plain directory, `views` is a file of views to switch. `quarantine_kms_key` encrypts what holds
    quarantined rows in a bucket."""

    root: str = "quality-data"
    format: str = "parquet"
    table: str = ""
    quarantine_table: str = ""
    mirror: bool = False
    views: str = ""
    flags: bool = False
    quarantine_kms_key: str = ""


@dataclass(frozen=True)
class AnomalySettings:
    """What is asked of the anomaly detector: which metrics (none is all), what season they have, the share of good batches
    that may be flagged, and what an anomaly does to the batch. `calendar` is a file; `strategy` one of Deequ's, by name."""

    location: Location = Location("", 0)
    metrics: tuple[str, ...] = ()
    season: str = "auto"
    false_alarms: float = 0.01
    severity: Severity = Severity.WARNING
    on_fail: OnFail = OnFail.KEEP
    calendar: str = ""
    strategy: str = ""
    arguments: tuple[tuple[str, Any], ...] = ()

    @property
    def canonical(self) -> dict[str, Any]:
        """What it changes about the judgement, as plain data."""
        return {name: value for name, value in vars(self).items() if name not in ("location", "calendar")}


@dataclass(frozen=True)
class RuleSet:
    """Everything a rule file says, templates rendered for one batch."""

    file: str
    dataset: str
    input: Input
    rules: tuple[Rule, ...]
    columns: tuple[tuple[str, str], ...] = ()
    outputs: Outputs = Outputs()
    stream: StreamSettings = StreamSettings()
    quarantined_above: float = 0.5
    profile: bool = False
    anomalies: AnomalySettings | None = None
    references: tuple[Reference, ...] = ()
    vars: Mapping[str, Any] = field(default_factory=dict)
    batch: str = ""
    description: str = ""
    owner: str = ""
    canonical: Mapping[str, Any] = field(default_factory=dict)
    sensitive: Sensitive = NOTHING

    @property
    def fingerprint(self) -> str:
        """sha256 of what the rules demand: not of their order, comments, descriptions, owners, tags, outputs, nor of the
        values of `batch` and `env()`."""
        rules = sorted((dict(rule.canonical) for rule in self.rules), key=lambda rule: str(rule["id"]))
        return digest({"rules": rules, **self.canonical})

    @property
    def filters(self) -> tuple[Filter, ...]:
        """What says which rows are read, of the batch and of references."""
        found = [Filter("'where' of 'input'", self.input.filtered_at, self.input.where)]
        found += [
            Filter(f"'where' of reference '{one.name}'", one.input.filtered_at, one.input.where)
            for one in self.references
        ]
        return tuple(one for one in found if one.text)

    @property
    def declared_types(self) -> dict[str, str]:
        """Column types by lower-case name: `input.schema` over `columns.*.type`."""
        return {name.lower(): kind for name, kind in (*self.columns, *self.input.schema) if kind}


def digest(value: Any) -> str:
    """sha256 of the canonical JSON of plain data."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()
