"""Messages of a topic as rows: the value of a message is text, read as a file with this content would be."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import Any

from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from quality.backends.json_lines import JsonLines
from quality.backends.pinning import PinnedFile
from quality.backends.reading import MARKED, Batch, Reader, input_errors, strings
from quality.backends.session import adopt
from quality.backends.streaming import MicroBatch
from quality.rule_types.base import MALFORMED_LINE
from quality.rule_types.rules import Input
from quality.sql import literal

#: Something that is no blank, as the readers of files see it.
_SOMETHING = {"csv": r"[^\x00-\x20]", "json": r"[^ \t\r\n]"}


class MessagesOfMicroBatch(Reader):
    """Reads the messages of a micro-batch. Each line of a message is a row; a message without any (NULL, blank) is a row that
    cannot be read, so that no message is lost."""

    def __init__(self, spark: SparkSession, source: Input, types: Mapping[str, str], batch: MicroBatch) -> None:
        super().__init__(spark, source, types)
        assert source.kafka is not None
        self.topic = source.kafka.topic
        decoded = f"decode(value, {literal(self._encoding)})" if self._encoding else "cast(value as string)"
        found = adopt(spark, batch.frame).selectExpr("topic", "partition", "offset", f"{decoded} as value")
        self.messages = found.persist(StorageLevel.MEMORY_AND_DISK)
        self._ranges: tuple[PinnedFile, ...] | None = None

    def pin(self) -> tuple[PinnedFile, ...]:
        """The offsets of each partition, as files: how many bytes, and from where to where. A pass over the messages."""
        if self._ranges is None:
            with input_errors(f"topic '{self.topic}'"):
                sums = ("min(offset) as low", "max(offset) as high", "sum(octet_length(value)) as bytes")
                ranges = self.messages.groupBy("topic", "partition").agg(*map(F.expr, sums)).collect()
                self._ranges = tuple(
                    sorted(
                        PinnedFile(f"kafka:{row.topic}/{row.partition}", row.bytes or 0, f"{row.low}-{row.high}")
                        for row in ranges
                    )
                )
        return self._ranges

    def identity(self, files: tuple[PinnedFile, ...]) -> list[Any]:
        """What stays the same however often the micro-batch is handed over."""
        return [[file.path, file.version] for file in files]

    def close(self) -> None:
        """Let Spark forget the messages."""
        self.messages.unpersist()

    def read(self, files: tuple[PinnedFile, ...]) -> Batch:
        """The batch. Raises InputError when the messages cannot be read."""
        with input_errors(f"topic '{self.topic}'"):
            value = F.col("value")
            something = F.coalesce(value.rlike(_SOMETHING[self.source.format]), F.lit(False))
            texts = self.messages.where(something).select(value)
            rows, scans = self._csv(texts) if self.source.format == "csv" else self._json(texts)
            blank = self.messages.where(~something).selectExpr(f"coalesce(value, '') as {MALFORMED_LINE}")
            raw = reduce(lambda left, right: left.unionByName(right, allowMissingColumns=True), [*rows, blank])
            if not rows:
                raw = self._empty().unionByName(raw, allowMissingColumns=True)
            return self._typed_text(raw, files, scans)

    def _csv(self, texts: DataFrame) -> tuple[list[DataFrame], int]:
        schema = strings([*(name for name, _ in self.source.schema), MALFORMED_LINE])
        options = {
            **self.source.options,
            **MARKED,
            "columnPruning": "false",
            "enforceSchema": "true",
            "header": "false",
        }
        reader: Any = self.spark.read.options(**options).schema(schema)
        lines: Any = _lines(texts, "value")._jdf
        texts_of_java = getattr(lines, "as")(self.jvm.org.apache.spark.sql.Encoders.STRING())
        return [DataFrame(reader._jreader.csv(texts_of_java), self.spark)], 0

    def _json(self, texts: DataFrame) -> tuple[list[DataFrame], int]:
        one = texts.selectExpr(f"value as {MALFORMED_LINE}") if self._whole else _lines(texts, MALFORMED_LINE)
        lines = JsonLines(one, self.source.options, self._whole)
        declared = [name for name, _ in self.source.schema]
        names = declared or lines.names() or list(self.types)
        return ([lines.rows(names)] if names else []), int(not declared)


def _lines(texts: DataFrame, name: str) -> DataFrame:
    return texts.select(F.explode(F.split("value", r"\r\n|\n|\r")).alias(name))
