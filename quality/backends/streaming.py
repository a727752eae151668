"""Structured Streaming: which files or messages make up a micro-batch is Spark's to say, everything else is ours.

A micro-batch of files is a list of paths, which are then read as those of a batch: Spark's own readers of streams know
one schema for all files and take what does not fit for NULL. One of messages is kept (memory, else disk) for as long as it is
worked on, because it takes several passes. `foreachBatch` only hands over: Spark calls it in a thread of its own, and
waits there until ours is done.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from queue import Empty, Queue
from typing import Any

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from quality.backends.pinning import PinnedFile, pinned
from quality.backends.reading import Reader, input_errors, reason
from quality.backends.schemas import literal_path
from quality.errors import EngineError, InputError, StorageError
from quality.rule_types.rules import Input, StreamSettings

#: The columns of Spark's source of whole files, of which none but the path is asked: then no file is opened.
_FILES = "path string, modificationTime timestamp, length bigint, content binary"
#: Spark passes over files that are much older than the newest (a week, as it comes): they would be lost without a word.
_ANY_AGE = "36500d"
#: How long the end of a stream waits for Spark to note the last micro-batch as done, in seconds. If it does not, the
#: micro-batch is handed over once more by the next start, and found committed.
_PATIENCE = 5.0


@dataclass(frozen=True)
class MicroBatch:
    """What a query hands over: its number within the checkpoint, and a frame of paths or of messages."""

    number: int
    frame: DataFrame


def files_as_they_come(spark: SparkSession, source: Input, settings: StreamSettings) -> DataFrame:
    """The paths of files in a directory, or by a pattern, each once. Raises InputError when there is no such place."""
    if len(source.path) != 1:
        raise InputError(f"a stream reads one directory or pattern, not {len(source.path)}: {', '.join(source.path)}")
    (path,) = source.path
    with input_errors(path):
        hadoop_path = spark._jvm.org.apache.hadoop.fs.Path(path)  # type: ignore[union-attr]
        system = hadoop_path.getFileSystem(spark._jsparkSession.sessionState().newHadoopConf())
        place = literal_path(path) if system.exists(hadoop_path) else path
        reader = spark.readStream.format("binaryFile").schema(_FILES).option("recursiveFileLookup", "true")
        reader = reader.option("maxFilesPerTrigger", str(settings.max_files)).option("maxFileAge", _ANY_AGE)
        return reader.load(place).select("path")


class FilesOfMicroBatch(Reader):
    """Reads the files that a micro-batch names, as those of a batch."""

    def __init__(
        self, spark: SparkSession, source: Input, types: Mapping[str, str], need_file: bool, batch: MicroBatch
    ) -> None:
        super().__init__(spark, source, types, need_file)
        self.given = sorted(row["path"] for row in batch.frame.collect())
        self._refuse_partitions()

    def pin(self) -> tuple[PinnedFile, ...]:
        """The files as they are now. Raises InputError when one is gone."""
        return tuple(self._pinned(path) for path in self.given)

    def identity(self, files: tuple[PinnedFile, ...]) -> list[Any]:
        """What stays the same however often the micro-batch is handed over."""
        return [file.path for file in files]

    def close(self) -> None:
        """Nothing is kept."""

    def _pinned(self, path: str) -> PinnedFile:
        with input_errors(path):
            hadoop_path = self.jvm.org.apache.hadoop.fs.Path(path)
            system = hadoop_path.getFileSystem(self.hadoop)
            if not system.exists(hadoop_path):
                raise InputError(f"{path} was found and is gone; the stream cannot go on without it: put it back")
            return pinned(system.getFileStatus(hadoop_path))

    def _refuse_partitions(self) -> None:
        """A pattern names no directory to count columns from, as for a batch."""
        if self._base:
            return
        depth = len(_segments(self.source.path[0]))
        for path in self.given:
            if any("=" in part for part in _segments(path)[depth:-1]):
                raise InputError(
                    f"{path} lies in a partition, and its column would be lost: 'path' must be one directory, or the "
                    f"option basePath say from where on directories are columns"
                )


def _segments(path: str) -> list[str]:
    return [part for part in re.sub(r"^[a-z0-9]+:(//[^/]*)?", "", path).split("/") if part]


class Query:
    """A running query whose micro-batches are taken one by one. `id` is what its checkpoint calls it, for ever."""

    def __init__(self, frame: DataFrame, checkpoint: str, name: str, *, once: bool, every: timedelta) -> None:
        self._given, self._answers = Queue[MicroBatch](), Queue[bool]()
        self._closing, self._taken = False, -1
        _revive_callbacks(frame.sparkSession)
        checkpoint = _as_kept(frame.sparkSession, checkpoint)
        writer = (
            frame.writeStream.foreachBatch(self._hand_over).queryName(name).option("checkpointLocation", checkpoint)
        )
        timing: dict[str, Any] = (
            {"availableNow": True} if once else {"processingTime": f"{every.total_seconds():g} seconds"}
        )
        try:
            self._query: StreamingQuery = writer.trigger(**timing).start()
        except (PySparkException, Py4JError) as error:
            raise StorageError(
                f"the stream cannot be started with its checkpoint {checkpoint}: {_told(error)}"
            ) from error
        self.id = str(self._query.id)

    def _hand_over(self, frame: DataFrame, number: int) -> None:
        """In Spark's thread: a micro-batch counts as done when this returns."""
        if not self._closing:
            self._given.put(MicroBatch(number, frame))
            if self._answers.get():
                return
        raise InterruptedError("the stream ends before this micro-batch")

    def take(self, wait: float) -> MicroBatch | None:
        """The next micro-batch, if there is one within so many seconds; `done` must follow. Raises InputError when the
        query failed."""
        try:
            found = self._given.get(timeout=wait)
        except Empty:
            self._raise_failure()
            return None
        self._taken = found.number
        return found

    @property
    def active(self) -> bool:
        """Whether there may be more to take."""
        return bool(self._query.isActive) or not self._given.empty()

    def done(self, well: bool) -> None:
        """The micro-batch that was taken is committed (`well`), or has to come again."""
        self._taken = self._taken if well else -1
        self._answers.put(well)

    def close(self) -> None:
        """End the query between two micro-batches. The one that is not done comes again with the next start."""
        self._closing = True
        with _quiet_callbacks():
            deadline = time.monotonic() + _PATIENCE
            while self._taken >= 0 and time.monotonic() < deadline and self._query.isActive and not self._noted():
                time.sleep(0.02)
            # one that was handed over meanwhile waits for an answer
            self._answers.put(False)
            try:
                self._query.stop()
            except (PySparkException, Py4JError, OSError):
                logging.getLogger("quality").debug("the query could not be stopped", exc_info=True)

    def _noted(self) -> bool:
        progress: Any = self._query.lastProgress
        return progress is not None and int(progress["batchId"]) >= self._taken

    def _raise_failure(self) -> None:
        error = None if self._query.isActive else self._query.exception()
        if error is not None:
            raise InputError(f"the stream broke off: {_told(error)}") from error


def _as_kept(spark: SparkSession, place: str) -> str:
    """Where S3A stands in for `s3://`, a checkpoint must be given by its own scheme: Spark opens it in another way than data."""
    hadoop: Any = spark._jsparkSession.sessionState().newHadoopConf()
    stands_in = str(hadoop.get("fs.s3.impl", "")).endswith(".S3AFileSystem")
    return f"s3a://{place.removeprefix('s3://')}" if stands_in and place.startswith("s3://") else place


def _revive_callbacks(spark: SparkSession) -> None:
    """What calls back into Python may have been shut down, as pydeequ's users are told to do at the end: Spark would take it
    for running, and wait for ever."""
    gateway: Any = spark.sparkContext._gateway
    server = gateway.__dict__.get("_callback_server") if gateway is not None else None
    if server is not None and getattr(server, "is_shutdown", False):
        gateway._callback_server = None


def _told(error: BaseException) -> str:
    """What Spark says, without what it calls the query."""
    return re.sub(r"^.*terminated with exception: ", "", reason(error))


@contextmanager
def _quiet_callbacks() -> Iterator[None]:
    """py4j logs, with its traceback, what is raised to end the query."""
    log = logging.getLogger("py4j")
    before = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        log.setLevel(before)


def messages_as_they_come(spark: SparkSession, source: Input, settings: StreamSettings) -> DataFrame:
    """The messages of a topic. Raises EngineError where Spark knows no Kafka."""
    assert source.kafka is not None
    kafka = source.kafka
    options = {
        **kafka.options,
        "kafka.bootstrap.servers": kafka.servers,
        "subscribe": kafka.topic,
        "startingOffsets": kafka.start,
        "failOnDataLoss": "true",
        "maxOffsetsPerTrigger": str(settings.max_messages),
    }
    try:
        return spark.readStream.format("kafka").options(**options).load()
    except PySparkException as error:
        if "kafka" in str(error).lower() and "find data source" in str(error).lower():
            raise EngineError("this Spark knows no Kafka; give it what 'quality jars --with kafka' names") from error
        raise InputError(f"topic '{kafka.topic}' cannot be read: {_told(error)}") from error
