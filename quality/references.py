"""Asks references: whether each row's key is one of theirs.

The distinct keys of a reference are collected once, as the type of the batch's columns, so that a join finds at most one
for each row and no row is multiplied or lost. Few keys are broadcast and the batch is not shuffled; more are joined. The
answer is a helper column beside the row, which rules see as any other. A reference that cannot be asked is told to the
rules that ask it, alone.
"""

from __future__ import annotations

from dataclasses import replace
from functools import reduce

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from quality.analyzers import FRACTIONAL, TEXTUAL, base_type
from quality.backends.pinning import PinnedFile, pinned_digest
from quality.backends.reading import Batch, Reader, reason
from quality.casts import text_as
from quality.engine import Engine
from quality.errors import InputError, QualityError, RuleDataError
from quality.rule_types.base import MALFORMED, Link, Row
from quality.rule_types.rules import Reference, RuleSet, digest
from quality.rule_types.values import castable
from quality.sql import conjunction
from quality.storage import commit
from quality.storage.store import Store

#: Up to so many distinct keys are sent to every executor.
BROADCAST_KEYS = 1_000_000


class References:
    """The references that rules of one rule set ask. Those that no rule asks are never looked at."""

    def __init__(self, engine: Engine, store: Store, rule_set: RuleSet) -> None:
        self.engine, self.store = engine, store
        self.links = tuple(dict.fromkeys(link for rule in rule_set.rules for link in rule.check.links()))
        names = {link.reference for link in self.links}
        self.asked = tuple(reference for reference in rule_set.references if reference.name in names)
        self.wrong: dict[str, str] = {}
        self.files: dict[str, tuple[PinnedFile, ...]] = {}
        self._found: dict[str, Batch] = {}

    def pin(self) -> None:
        """Note the files of each, or the snapshot of a table. One that is missing is noted as well."""
        for reference in self.asked:
            try:
                self.files[reference.name] = self._reader(reference).pin()
                if reference.input.table:
                    self.files[reference.name] = self._read(reference).files
            except QualityError as error:
                self.wrong[reference.name] = f"reference '{reference.name}': {error}"

    def fingerprint(self, run: str) -> str:
        """Of what they stand on; that of this run alone when it cannot be told of one, which is then asked again."""
        prints = [[r.name, pinned_digest(self.files.get(r.name, ()))] for r in self.asked]
        unsure = self.wrong or any(batch.snapshot for batch in self._found.values())
        return digest([*prints, run]) if unsure else digest(prints)

    def refuse_moved(self) -> None:
        """Raise InputError when one is not what it was at the start. Files of a data set of ours are written once, and a
        snapshot of a table stays."""
        for reference in self.asked:
            found = self._found.get(reference.name)
            if found is None or reference.dataset or found.snapshot:
                continue
            if self._reader(reference).pinned_now(found) != found.files:
                raise InputError(f"reference '{reference.name}' changed while it was read; run again")

    def _reader(self, reference: Reference) -> Reader:
        source = reference.input
        if reference.dataset:
            records = commit.live_records(self.store, reference.dataset)
            paths = tuple(self.store.uri(file.path) for record in records for file in record.passed)
            if not paths:
                raise InputError(f"no batch of data set '{reference.dataset}' is published in {self.store.uri('')}")
            source = replace(source, path=paths)
        return Reader(self.engine.spark, source, {})

    def _read(self, reference: Reference) -> Batch:
        if reference.name not in self._found:
            self._found[reference.name] = self._reader(reference).read(self.files[reference.name])
        return self._found[reference.name]

    def attach(self, batch: Batch, *, counting: bool = True) -> Batch:
        """The batch with an answer for every link. A pass over each reference and columns of it; none without
        `counting`, for a plan."""
        frame, unlinked = batch.frame, dict[Link, str]()
        for link in self.links:
            try:
                frame = self._joined(frame, batch, link, counting=counting)
            except (RuleDataError, InputError) as error:
                unlinked[link] = str(error)
            except (PySparkException, Py4JJavaError) as error:
                unlinked[link] = f"reference '{link.reference}' cannot be read: {reason(error)}"
        return replace(batch, frame=frame, row=replace(batch.row, unlinked=unlinked))

    def _joined(self, frame: DataFrame, batch: Batch, link: Link, *, counting: bool) -> DataFrame:
        if link.reference in self.wrong:
            raise InputError(self.wrong[link.reference])
        names = [f"{link.marker}_{index}" for index in range(len(link.columns))]
        keys = self._keys(batch.row, link, names)
        if counting:
            keys = keys.persist()
            self.engine.kept.append(keys)
            self.engine.launched.narrow += 1
            self.engine.launched.shuffles += 1
            if keys.count() <= BROADCAST_KEYS:
                keys = F.broadcast(keys)
        matches = [
            F.expr(batch.row.ref(column)) == F.col(name) for column, name in zip(link.columns, names, strict=True)
        ]
        keys = keys.withColumn(link.marker, F.lit(True))
        return frame.join(keys, reduce(lambda one, other: one & other, matches), "left").drop(*names)

    def _keys(self, row: Row, link: Link, names: list[str]) -> DataFrame:
        reference = next(reference for reference in self.asked if reference.name == link.reference)
        found = self._read(reference)
        texts = []
        for ours, theirs, name in zip(link.columns, link.reference_columns, names, strict=True):
            kind = row.type(ours)
            try:
                texts.append(f"{_as_type(found.row, theirs, kind, reference.input.timezone)} as {name}")
            except RuleDataError as error:
                raise RuleDataError(f"reference '{link.reference}': {error}") from None
        values = (found.frame.where(f"not {MALFORMED}") if found.text else found.frame).selectExpr(*texts)
        kinds = [base_type(row.type(ours)) for ours in link.columns]
        # NULL and NaN equal nothing
        tests = [f"{name} is not null" for name in names]
        tests += [f"not isnan({name})" for name, kind in zip(names, kinds, strict=True) if kind in FRACTIONAL]
        return values.where(conjunction(tests)).distinct()


def _as_type(row: Row, column: str, wanted: str, timezone: str) -> str:
    """SQL: a column of the reference as the type of the batch's, NULL for a value that is none of it."""
    actual, ref = row.type(column), row.ref(column)
    if "map<" in wanted or "map<" in actual:
        raise RuleDataError(f"column '{column}' is {actual}: maps cannot be compared")
    if actual == wanted:
        return ref
    if base_type(wanted) in TEXTUAL:
        return f"cast({ref} as string)"
    if base_type(actual) in TEXTUAL:
        return text_as(ref, wanted, timezone)
    if {base_type(actual), base_type(wanted)} & {"array", "struct", "binary", "boolean"}:
        raise RuleDataError(f"column '{column}' is {actual}, which cannot be compared with {wanted}")
    return f"if({castable(ref, actual, wanted)}, try_cast({ref} as {wanted}), null)"
