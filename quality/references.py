"""Asks references what rules want to know: whether each row's key is one of theirs, how many rows they have, which rows are
others there.

The distinct keys of a reference are collected once, as the type of the batch's columns, so that a join finds at most one
for each row and no row is multiplied or lost. Few keys are broadcast and the batch is not shuffled; more are joined. The
answer is a helper column beside the row, which rules see as any other. A reference that cannot be asked is told to the
rules that ask it, alone. Rules about the order of rows ask the batch itself, in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.errors import AnalysisException, PySparkException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from quality import comparing, ordering, queries, totals
from quality.analyzers import FRACTIONAL, base_type
from quality.backends import jdbc
from quality.backends.pinning import PinnedFile, pinned_digest
from quality.backends.reading import Batch, Reader, reason, with_file
from quality.backends.sizing import BROADCAST_BYTES, extent
from quality.checks import reads
from quality.comparing import Side, as_type
from quality.engine import Engine, in_words
from quality.errors import InputError, QualityError, RuleDataError
from quality.matches import Compared, Shaped
from quality.rule_types.base import Row
from quality.rule_types.questions import (
    Link,
    Order,
    Pairs,
    Question,
    Relation,
    Repeated,
    Returned,
    Shape,
    Spread,
    Told,
    Total,
)
from quality.rule_types.rules import Reference, RuleSet, digest
from quality.sql import conjunction, quote
from quality.storage import commit
from quality.storage.store import Store
from quality.totals import well_formed

#: Up to so many distinct keys are sent to every executor.
BROADCAST_KEYS = 1_000_000


class References:
    """The references that rules of one rule set ask. Those that no rule asks are never looked at. `within` are helper columns of
    a frame that holds several batches: each is told of itself. Not `ask_rows`: queries for rows of the batch are not asked, as
    it is none."""

    def __init__(
        self,
        engine: Engine,
        store: Store,
        rule_set: RuleSet,
        *,
        within: Sequence[str] = (),
        ask_rows: bool = True,
    ) -> None:
        self.engine, self.store, self.within, self.ask_rows = engine, store, within, ask_rows
        self.sensitive = rule_set.sensitive
        self.questions = tuple(
            dict.fromkeys(question for rule in rule_set.rules for question in rule.check.questions(rule.where))
        )
        names = {question.reference for question in self.questions}
        self.asked = tuple(reference for reference in rule_set.references if reference.name in names)
        self.wrong: dict[str, str] = {}
        self.files: dict[str, tuple[PinnedFile, ...]] = {}
        self._found: dict[str, Batch] = {}

    def pin(self) -> None:
        """Note the files of each, or the snapshot of a table. One that is missing is noted as well."""
        for reference in self.asked:
            try:
                self.files[reference.name] = () if reference.jdbc else self._reader(reference).pin()
                if reference.input.table or reference.jdbc:
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
                raise InputError(f"no batch of data set '{reference.dataset}' is published in {self.store.root}")
            source = replace(source, path=paths)
        return Reader(self.engine.spark, source, {})

    def _read(self, reference: Reference) -> Batch:
        if reference.jdbc and reference.name not in self._found:
            source = reference.input
            self._found[reference.name] = jdbc.read(self.engine.spark, reference.jdbc, source.where, source.timezone)
        if reference.name not in self._found:
            self._found[reference.name] = self._reader(reference).read(self.files[reference.name])
        return self._found[reference.name]

    def attach(self, batch: Batch, *, counting: bool = True) -> Batch:
        """The batch with an answer to every question. A pass over each reference and columns of it, for rows that are compared
        one over the batch as well; none without `counting`, for a plan."""
        beside = any(isinstance(question, Order | Repeated | Returned | Link) for question in self.questions)
        # once rows are joined with anything Spark no longer tells their files
        frame = with_file(batch).frame if beside and len(batch.files) > 1 and not batch.snapshot else batch.frame
        answers, unanswered = dict[Question, Any](), dict[Question, str]()
        for question in self.questions:
            try:
                if isinstance(question, Order | Repeated | Returned | Link):
                    # what a query reads was asked for before
                    asking = replace(batch, row=replace(batch.row, answers=answers, unanswered=unanswered))
                    frame, answers[question] = self._beside(frame, asking, question, counting=counting)
                elif isinstance(question, Shape):
                    answers[question] = shaped(batch, self._asked(question), types=question.types)
                elif isinstance(question, Relation):
                    answers[question] = _relation(self._asked(question))
                elif isinstance(question, Pairs):
                    answers[question] = self._compared(batch, question, counting=counting)
                else:
                    totals.asked(batch, self._asked(question), question)
            except (RuleDataError, InputError) as error:
                unanswered[question] = str(error)
            except (PySparkException, Py4JJavaError) as error:
                unanswered[question] = self._why(batch, question, error)
        every = [q for q in self.questions if isinstance(q, Total | Spread) and q not in unanswered] if counting else []
        for name in dict.fromkeys(question.reference for question in every):
            asked = [question for question in every if question.reference == name]
            try:
                answers.update(self._totals(batch, asked, unanswered))
            except (PySparkException, Py4JJavaError) as error:
                unanswered |= dict.fromkeys(asked, self._unreadable(name, error))
        return replace(batch, frame=frame, row=replace(batch.row, answers=answers, unanswered=unanswered))

    def _why(self, batch: Batch, question: Question, error: PySparkException | Py4JJavaError) -> str:
        """Why a question has no answer: its reference cannot be read, or what asks the batch itself does not fit it."""
        if question.reference:
            return self._unreadable(question.reference, error)
        if isinstance(error, AnalysisException):
            return in_words(error, [column.name for column in batch.columns])
        return reason(error)

    def _unreadable(self, name: str, error: BaseException) -> str:
        source = next((reference.jdbc for reference in self.asked if reference.name == name), None)
        return f"reference '{name}' cannot be read: {jdbc.told(source, error) if source else reason(error)}"

    def _asked(self, question: Question) -> Batch:
        if question.reference in self.wrong:
            raise InputError(self.wrong[question.reference])
        try:
            return self._read(next(reference for reference in self.asked if reference.name == question.reference))
        except InputError as error:
            raise InputError(f"reference '{question.reference}': {error}") from None

    def _totals(
        self, batch: Batch, asked: list[Total | Spread], unanswered: dict[Question, str]
    ) -> dict[Question, Any]:
        """All that is aggregated of one reference, in one pass."""
        found = self._asked(asked[0])
        self.engine.launched.narrow += 1
        questions = [totals.asked(batch, found, question) for question in asked]
        said, wrong = totals.answers(found, questions, batch, self.sensitive)
        unanswered.update(wrong)
        return said

    def _compared(self, batch: Batch, pairs: Pairs, *, counting: bool) -> Compared | None:
        found = self._asked(pairs)
        try:
            here = well_formed(batch)
            here = here.where(f"coalesce(({pairs.where}), false)") if pairs.where else here
        except AnalysisException as error:
            raise RuleDataError(in_words(error, batch.frame.columns)) from None
        sides = (
            Side(here, replace(batch.row, columns=batch.columns)),
            Side(well_formed(found), found.row, found.row.timezone),
        )
        differing, columns = comparing.groups(*sides, pairs)
        if not counting:
            return None
        self.engine.launched.narrow += 2
        self.engine.launched.shuffles += 1
        self.engine.kept.append(differing.persist())
        return comparing.summary(differing, columns, pairs, self.sensitive)

    def _beside(
        self, frame: DataFrame, batch: Batch, question: Order | Repeated | Returned | Link, *, counting: bool
    ) -> tuple[DataFrame, Told | None]:
        """The frame with the answer for each row."""
        if isinstance(question, Returned):
            return self._returned(frame, batch, question, counting=counting)
        if isinstance(question, Order):
            return self._ordered(frame, batch, question, counting=counting), None
        return self._joined(frame, batch, question, counting=counting), None

    def _joined(self, frame: DataFrame, batch: Batch, link: Link | Repeated, *, counting: bool) -> DataFrame:
        names = [f"{link.marker}_{index}" for index in range(len(link.columns))]
        keys = self._repeated(batch, link, names) if isinstance(link, Repeated) else self._keys(batch.row, link, names)
        if counting:
            keys = keys.persist()
            self.engine.kept.append(keys)
            self.engine.launched.narrow += 1
            self.engine.launched.shuffles += 1
            keys = _sent(keys)
        matches = [
            F.expr(batch.row.ref(column)) == F.col(name) for column, name in zip(link.columns, names, strict=True)
        ]
        return _marked(frame, keys, matches, link.marker)

    def _returned(
        self, frame: DataFrame, batch: Batch, question: Returned, *, counting: bool
    ) -> tuple[DataFrame, Told]:
        if not self.ask_rows:
            raise RuleDataError("it asks a query of the whole batch, which is not done here")
        told, keys = queries.returned(batch, question)
        if keys is None:
            return frame, told
        if counting:
            keys = keys.persist()
            self.engine.kept.append(keys)
            times, others = reads(question.query)
            self.engine.launched.narrow += times + len(others)
            self.engine.launched.shuffles += 1
            keys = _sent(keys)
        matches = [
            F.expr(batch.row.ref(column)).eqNullSafe(F.col(name))
            for column, name in zip(told.columns, keys.columns, strict=True)
        ]
        return _marked(frame, keys, matches, question.marker), told

    def _ordered(self, frame: DataFrame, batch: Batch, order: Order, *, counting: bool) -> DataFrame:
        # over the batch as it was read: answers to other questions would be joined again for this one
        rows = well_formed(batch)
        kept = self.engine.kept if counting else []
        keys = ordering.broken(rows, batch.row, order, self.within, kept.append)
        unbroken = frame.withColumn(order.marker, F.lit(None).cast("boolean"))
        if not counting:
            return unbroken
        self.engine.launched.narrow += order.reads
        self.engine.launched.shuffles += order.shuffles
        keys = keys.persist()
        kept.append(keys)
        count, size = extent(keys)
        few = count <= ordering.BROADCAST_PLACES and size <= BROADCAST_BYTES
        return ordering.marked(frame, batch.row, order, self.within, keys, few=few) if count else unbroken

    def _repeated(self, batch: Batch, question: Repeated, names: list[str]) -> DataFrame:
        """The keys that several rows of the batch have."""
        if not self.ask_rows:
            raise RuleDataError("a key in it is one of the whole batch, which is not looked at here")
        references = [batch.row.ref(name) for name in question.columns]
        for name in question.columns:
            if "map<" in batch.row.type(name):
                why = f"column '{name}' is {batch.row.type(name)}: maps cannot be compared, so they are no key"
                raise RuleDataError(why)
        try:
            rows = well_formed(batch)
            rows = rows.where(f"coalesce(({question.where}), false)") if question.where else rows
            there = rows.where(conjunction([f"{reference} is not null" for reference in references]))
            keys = there.selectExpr(*(f"{ref} as {name}" for ref, name in zip(references, names, strict=True)))
        except AnalysisException as error:
            raise RuleDataError(in_words(error, batch.frame.columns)) from None
        return keys.groupBy(*names).count().where("count > 1").drop("count")

    def _keys(self, row: Row, link: Link, names: list[str]) -> DataFrame:
        found = self._asked(link)
        texts = []
        for ours, theirs, name in zip(link.columns, link.reference_columns, names, strict=True):
            kind = row.type(ours)
            try:
                texts.append(f"{as_type(found.row, theirs, kind, found.row.timezone)} as {name}")
            except RuleDataError as error:
                raise RuleDataError(f"reference '{link.reference}': {error}") from None
        kinds = [base_type(row.type(ours)) for ours in link.columns]
        # NULL and NaN equal nothing
        tests = [f"{name} is not null" for name in names]
        tests += [f"not isnan({name})" for name, kind in zip(names, kinds, strict=True) if kind in FRACTIONAL]
        return well_formed(found).selectExpr(*texts).where(conjunction(tests)).distinct()


def _sent(keys: DataFrame) -> DataFrame:
    """Keys as they are joined: sent to every executor where they are few and not too long."""
    rows, size = extent(keys)
    return F.broadcast(keys) if rows <= BROADCAST_KEYS and size <= BROADCAST_BYTES else keys


def _marked(frame: DataFrame, keys: DataFrame, matches: Sequence[Column], marker: str) -> DataFrame:
    """The rows, each once, with a marker where they match one of the keys, which are distinct."""
    found = keys.withColumn(marker, F.lit(True))
    return frame.join(found, reduce(lambda one, other: one & other, matches), "left").drop(*keys.columns)


def _relation(found: Batch) -> DataFrame:
    return well_formed(found).selectExpr(*(quote(column.name) for column in found.columns))


def shaped(batch: Batch, found: Batch, *, types: bool) -> Shaped:
    """The columns of both, side by side."""
    ours = {column.name.lower(): column for column in batch.columns}
    theirs = {column.name.lower(): column for column in found.columns}
    types = types and not batch.text and not found.text
    other = [name for name in ours if types and name in theirs and ours[name].type != theirs[name].type]
    differences = [f"column '{ours[name].name}' is {ours[name].type} here, {theirs[name].type} there" for name in other]
    differences += [f"column '{theirs[name].name}' is missing here" for name in theirs if name not in ours]
    differences += [f"column '{ours[name].name}' is missing there" for name in ours if name not in theirs]
    return Shaped(len(ours.keys() & theirs.keys()) - len(other), len(ours.keys() | theirs.keys()), differences)
