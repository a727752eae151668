"""The batch as it stands, to be judged again: its passed rows, and its quarantined rows as they are or as somebody corrected
them.

In text formats rules also ask for the text of a value. Of a quarantined value that could not be cast the reason has it; of
one that was cast, the text of the value stands for what was written (`7` for `007`). A text that a reason cut at 256
characters is no value of a type again.
"""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from quality import quarantine
from quality.backends.pinning import PinnedFile
from quality.backends.reading import Batch
from quality.backends.schemas import literal_path
from quality.casts import text_as
from quality.corrections import Corrected, read_file, typed
from quality.model import Column
from quality.rows import ROW_ID, VALUE_LENGTH
from quality.rule_types.base import MALFORMED, MALFORMED_LINE, RESERVED_PREFIX, Row
from quality.rule_types.rules import Input
from quality.rule_types.schema import Malformed
from quality.sensitive import HASHED, MASKED
from quality.sql import literal, quote
from quality.storage import ledger, readers
from quality.storage.commit import CommitRecord
from quality.storage.ledger import CORRECTED, OPEN, REDRIVEN
from quality.storage.store import Store

#: Columns of the batch beside the data: whether the row was asked for, and the state it has when it passes.
SELECTED = f"{RESERVED_PREFIX}selected"
BACK = f"{RESERVED_PREFIX}back"
_RAW = f"{RESERVED_PREFIX}was_"


class Standing:
    """A live batch as frames. `supplied` are the corrected rows, once the batch was made."""

    def __init__(self, spark: SparkSession, store: Store, live: CommitRecord, source: Input) -> None:
        self.spark, self.store, self.live, self.source = spark, store, live, source
        self.columns = live.columns
        self.supplied: Corrected | None = None

    def batch(self, rule: str, corrected: str) -> Batch:
        """All rows, with ROW_ID for those of the quarantine, SELECTED and BACK. Asked for are the open ones that failed
        `rule`, or those in the file `corrected`. UsageError for a file that cannot be meant."""
        text = self.source.is_text
        helped = {c.name: f"{_RAW}{n}" for n, c in enumerate(self.columns) if c.type != "string"} if text else {}
        passed = self.frame("passed").selectExpr(*self._as_passed(helped, text))
        bad = self._quarantined(rule, corrected).selectExpr(*self._as_quarantined(helped, text))
        lines = {MALFORMED_LINE: quote(MALFORMED_LINE)} if text else {}
        row = Row(self.columns, {**helped, **lines}, self.source.timezone)
        files = tuple(
            PinnedFile(self.store.uri(f.path), f.size, "") for f in (*self.live.passed, *self.live.quarantine)
        )
        return Batch(passed.union(bad), self.columns, row, text, files)

    def frame(self, side: str) -> DataFrame:
        """The rows of a side as they are stored."""
        ddl = ", ".join(f"{quote(c.name)} {c.type}" for c in readers.columns_of_side(self.live, side))
        files = [literal_path(self.store.uri(file.path)) for file in self.live.files(side)]
        return self.spark.read.schema(ddl).parquet(*files) if files else self.spark.createDataFrame([], ddl)

    def _as_passed(self, helped: Mapping[str, str], text: bool) -> list[str]:
        raw = [f"cast({quote(name)} as string) as {helper}" for name, helper in helped.items()]
        lines = [f"false as {MALFORMED}", f"cast(null as string) as {quote(MALFORMED_LINE)}"] if text else []
        return [*(quote(c.name) for c in self.columns), *raw, *lines, *_marks("null", "false", "null")]

    def _quarantined(self, rule: str, corrected: str) -> DataFrame:
        """The quarantined rows, with the corrected values of those that were asked for."""
        found = ledger.entries(self.store, self.live.dataset, self.live.batch)
        rows = quarantine.rows_of(self.spark, self.store, self.live, found)
        chosen = f"{quarantine.STATE} = {literal(OPEN)}"
        chosen += f" and {quarantine.failed(rule)}" if rule else ""
        if not corrected:
            return rows.selectExpr("*", f"{chosen} as {SELECTED}")
        self.supplied = read_file(self.spark, corrected, self.columns)
        rows = rows.join(self.supplied.frame, F.expr(f"_quality.row_id = {ROW_ID}"), "left")
        return rows.selectExpr("*", f"{chosen} and {ROW_ID} is not null as {SELECTED}").drop(ROW_ID)

    def _as_quarantined(self, helped: Mapping[str, str], text: bool) -> list[str]:
        zone, supplied = self.source.timezone, self.supplied
        values, raws = [], []
        for column in self.columns:
            new = supplied.name(column) if supplied else None
            was = _was(column) if column.name in helped else ""
            now = f"coalesce({quote(column.name)}, {_recast(was, column, zone)})" if was else quote(column.name)
            if new and supplied:
                now = f"if({SELECTED}, {typed(supplied, column, zone)}, {now})"
                was = f"if({SELECTED}, cast({new} as string), {was})" if was else ""
            values.append(f"{now} as {quote(column.name)}")
            raws += [f"{was} as {helped[column.name]}"] if was else []
        return [*values, *raws, *(_line(supplied is not None) if text else []), *self._own_marks()]

    def _own_marks(self) -> list[str]:
        state = CORRECTED if self.supplied else REDRIVEN
        return _marks("_quality.row_id", SELECTED, f"if({SELECTED}, {literal(state)}, null)")


def _marks(row_id: str, selected: str, back: str) -> list[str]:
    return [f"cast({row_id} as string) as {ROW_ID}", f"{selected} as {SELECTED}", f"cast({back} as string) as {BACK}"]


def _was(column: Column) -> str:
    """SQL: the text that stood in the input. What could not be cast is told by the reason, unless it is hidden there; what was
    cast is as good as the value."""
    same = f"lower(f.column) = {literal(column.name.lower())} and f.value is not null"
    told = f"element_at(filter(_quality.failures, f -> {same}), 1).value"
    own = f"cast({quote(column.name)} as string)"
    # of a value that is hidden the value itself tells; of one that could not be cast no more than that it could not
    shown = f"if({told} = {literal(MASKED)} or startswith({told}, {literal(HASHED)}), null, {told})"
    return f"coalesce({shown}, {own}, {told})"


def _recast(was: str, column: Column, zone: str) -> str:
    return f"if(char_length({was}) < {VALUE_LENGTH}, {text_as(was, column.type, zone)}, null)"


def _line(corrected: bool) -> list[str]:
    broken = f"f.message = {literal(Malformed().requirement())}"
    found = f"exists(_quality.failures, f -> {broken})"
    found = f"({found}) and not {SELECTED}" if corrected else found
    line = f"if({found}, element_at(filter(_quality.failures, f -> {broken}), 1).value, null)"
    return [f"{found} as {MALFORMED}", f"{line} as {quote(MALFORMED_LINE)}"]
