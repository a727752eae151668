"""Reads a batch: pins its files, reads text formats as text with malformed lines marked, gives columns their types.

Every pass over the batch is made from the same frame: text formats with all columns as strings and without column
pruning, because Spark decides what is malformed by the columns a query happens to need.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from typing import Any
from urllib.parse import unquote

from py4j.protocol import Py4JJavaError
from pyspark.errors import AnalysisException, ParseException, PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructField, StructType

from quality.backends import tables
from quality.backends.clocks import filtered
from quality.backends.headers import header_names
from quality.backends.json_lines import JsonLines
from quality.backends.pinning import PinnedFile, hidden, pinned
from quality.backends.schemas import columns_of, literal_path
from quality.casts import text_as
from quality.errors import InputError, NoColumnsError
from quality.model import Column
from quality.rule_types.base import FILE_COLUMN, MALFORMED, MALFORMED_LINE, QUALITY_COLUMN, RESERVED_PREFIX, Row
from quality.rule_types.rules import Input
from quality.sensitive import withheld
from quality.sql import literal, quote

_RAW = RESERVED_PREFIX + "raw_"
_FILE = RESERVED_PREFIX + "file"
#: The input file of a row, for the engine; rules ask for theirs by another name.
FILE = RESERVED_PREFIX + "input_file"
_BOM = b"\xef\xbb\xbf"
#: What Java's trim takes away.
_BLANK = bytes(range(33))
#: As much of a file as is read on the driver to tell whether its header is that of other files.
_HEADER_BYTES = 65_536
#: A line that is not of the format is kept as it is, beside columns of NULL.
MARKED = {"mode": "PERMISSIVE", "columnNameOfCorruptRecord": MALFORMED_LINE}
#: A file that is skipped is rows that nobody counted.
_COMPLETE = {"ignoreCorruptFiles": "false", "ignoreMissingFiles": "false"}


@dataclass(frozen=True)
class Batch:
    """A batch ready to be judged. `frame` has the input's columns as typed (malformed lines: NULLs) and, for text
    formats, helper columns that begin with `__quality_`; `columns` are those of the passed side. A `small` one is a single
    partition; of one that is `kept` the first pass keeps the rows, so that no other reads the input."""

    frame: DataFrame
    columns: tuple[Column, ...]
    row: Row
    text: bool
    files: tuple[PinnedFile, ...] = ()
    snapshot: str = ""
    scans: int = 0
    small: bool = False
    kept: bool = False

    @property
    def bytes(self) -> int:
        """Size of the input files."""
        return sum(file.size for file in self.files)


class Reader:
    """Reads the input of one rule set in one session."""

    def __init__(self, spark: SparkSession, source: Input, types: Mapping[str, str], need_file: bool = False) -> None:
        self.spark, self.source, self.types, self.need_file = spark, source, dict(types), need_file
        self.jvm: Any = spark._jvm
        self.hadoop: Any = spark._jsparkSession.sessionState().newHadoopConf()

    def pin(self) -> tuple[PinnedFile, ...]:
        """The files of the batch, in order. Raises InputError when there are none. Empty for a table."""
        if self.source.table:
            return ()
        files = sorted({file for path in self.source.path for file in self._files(path)})
        if not files:
            raise InputError(f"no file matches {', '.join(self.source.path)}")
        return tuple(files)

    def pinned_now(self, batch: Batch) -> tuple[PinnedFile, ...]:
        """The files of the batch as they are now."""
        with input_errors(self.source.table):
            if not self.source.table:
                return self.pin()
            return tables.pinned_now(self.spark, self.source.table, self.source.where, batch.files)

    def read(self, files: tuple[PinnedFile, ...]) -> Batch:
        """The batch of these files, or of the table. Raises InputError when it cannot be read."""
        with input_errors(", ".join(self.source.path) or self.source.table):
            if self.source.is_text:
                return self._text(files)
            return self._typed(files)

    # files

    def _files(self, path: str) -> list[PinnedFile]:
        with input_errors(path):
            hadoop_path = self.jvm.org.apache.hadoop.fs.Path(path)
            system = hadoop_path.getFileSystem(self.hadoop)
            if system.exists(hadoop_path):
                status = system.getFileStatus(hadoop_path)
                if not status.isDirectory() and hidden(status):
                    raise InputError(f"{path}: Spark reads no file whose name begins with '_' or '.'; rename it")
                found = [status]
            else:
                found = [status for status in system.globStatus(hadoop_path) or [] if not hidden(status)]
            return [file for status in found for file in self._below(system, status)]

    def _below(self, system: Any, status: Any) -> list[PinnedFile]:
        if not status.isDirectory():
            return [pinned(status)]
        children = [child for child in system.listStatus(status.getPath()) if not hidden(child)]
        for child in children:
            if child.isDirectory() and "=" in child.getPath().getName() and not self._base:
                raise InputError(
                    f"{child.getPath()} is a partition, and its column would be lost: 'path' must be one directory, or "
                    f"the option basePath say from where on directories are columns"
                )
        return [file for child in children for file in self._below(system, child)]

    def _load(
        self, format: str, files: Sequence[str], options: Mapping[str, str], schema: StructType | None = None
    ) -> DataFrame:
        reader = self.spark.read.format(format).options(**{**self.source.options, **options, **_COMPLETE})
        if self._base:
            reader = reader.option("basePath", self._base)
        return (reader.schema(schema) if schema else reader).load([literal_path(file) for file in files])

    @cached_property
    def _base(self) -> str:
        """The directory named by the rule file: `day=1/` below it is a partition column."""
        if len(self.source.path) != 1 or self._option("basePath"):
            return self._option("basePath")
        path = self.jvm.org.apache.hadoop.fs.Path(self.source.path[0])
        system = path.getFileSystem(self.hadoop)
        return str(path.toString()) if system.exists(path) and system.getFileStatus(path).isDirectory() else ""

    def _option(self, name: str) -> str:
        """An option of the rule file; like Spark, whatever the case of its name."""
        return next((value for key, value in self.source.options.items() if key.lower() == name.lower()), "")

    # typed formats

    def _typed(self, files: tuple[PinnedFile, ...]) -> Batch:
        if self.source.table:
            return self._table()
        # without merging, columns that only some files have are dropped without a word
        merge = {"mergeSchema": "true"} if len(files) > 1 and "mergeSchema" not in self.source.options else {}
        frame = self._load(self.source.format, [file.path for file in files], merge)
        frame = filtered(frame, self.source.where)
        columns = columns_of(frame.schema)
        return self._as_found(self._with_file(frame, columns), columns, files)

    def _table(self) -> Batch:
        found = tables.pin(self.spark, self.source.table, self.source.where, self.need_file)
        # the file of a row is no column of the batch, unless the table itself has one of that name
        columns = columns_of(found.frame.schema)[: -1 if found.file_added else None]
        return self._as_found(found.frame, columns, found.files, found.snapshot)

    def _as_found(
        self, frame: DataFrame, columns: tuple[Column, ...], files: tuple[PinnedFile, ...], snapshot: str = ""
    ) -> Batch:
        """A batch of typed rows; `columns` are all but the file of each row."""
        _refuse_reserved(column.name for column in columns)
        return Batch(frame, columns, Row(columns_of(frame.schema), {}, self.source.timezone), False, files, snapshot)

    def _with_file(self, frame: DataFrame, columns: tuple[Column, ...]) -> DataFrame:
        if not self.need_file or any(column.name.lower() == FILE_COLUMN for column in columns):
            return frame
        return frame.selectExpr("*", f"_metadata.file_path as {FILE_COLUMN}")

    # text formats

    def _text(self, files: tuple[PinnedFile, ...]) -> Batch:
        if _is_wide(self._encoding) and not self._whole:
            raise InputError(
                f"Spark cannot find the lines of a file in {self._encoding}: set the option 'multiLine: true', or convert "
                f"the file to UTF-8"
            )
        read = self._csv_frames if self.source.format == "csv" else self._json_frames
        frames = read([file.path for file in files if file.size])
        if not frames:
            frames = [self._empty()]
        raw = reduce(lambda left, right: left.unionByName(right, allowMissingColumns=True), frames)
        return self._typed_text(raw, files, scans=int(self.source.format == "json" and not self.source.schema))

    def _empty(self) -> DataFrame:
        names = [name for name, _ in self.source.schema] or list(self.types)
        if not names:
            places = ", ".join(self.source.path)
            raise NoColumnsError(f"{places}: there is no column, and none is declared; declare them under 'columns'")
        return self.spark.createDataFrame([], strings([*names, MALFORMED_LINE, *([_FILE] if self.need_file else [])]))

    @property
    def _whole(self) -> bool:
        """Whether a value of CSV may hold line feeds, or a file of JSON is one value or an array of them."""
        return self._option("multiLine").lower() == "true"

    @property
    def _encoding(self) -> str:
        return self._option("encoding") or self._option("charset")

    def _file_path(self) -> list[str]:
        return [f"_metadata.file_path as {_FILE}"] if self.need_file else []

    def _partitions(self, path: str) -> list[str]:
        """The columns that the directories between the named one and the file stand for."""
        if not self._base:
            return []
        root = self.jvm.org.apache.hadoop.fs.Path(self._base)
        below = path.removeprefix(root.getFileSystem(self.hadoop).makeQualified(root).toString()).split("/")[:-1]
        return [unquote(part.partition("=")[0]) for part in below if "=" in part]

    # CSV

    def _csv_frames(self, paths: list[str]) -> list[DataFrame]:
        """One frame for each distinct header: columns are found by name, whatever their order in a file."""
        frames = []
        for own, group in self._header_groups(paths):
            partitions = self._partitions(group[0])
            _refuse_twice(own, partitions)
            _refuse_reserved(own)
            names = [*own, *partitions]
            schema = strings([*names, MALFORMED_LINE])
            options = {**MARKED, "columnPruning": "false", "enforceSchema": "true"}
            frames.append(self._load("csv", group, options, schema).selectExpr("*", *self._file_path()))
        return frames

    def _header_groups(self, paths: list[str]) -> list[tuple[list[str], list[str]]]:
        """Names of columns and the files that have them, in this order; files without any line are left out."""
        if self._option("header").lower() != "true":
            names = [name for name, _ in self.source.schema] or next(filter(None, map(self._header, paths)), [])
            return [(names, paths)] if names else []
        groups: dict[str, list[str]] = {}
        with ThreadPoolExecutor(8) as pool:
            keys = list(pool.map(self._header_key, paths)) if len(paths) > 1 else paths
        for path, key in zip(paths, keys, strict=True):
            groups.setdefault(key or path, []).append(path)
        named = [(self._header(group[0]), group) for group in groups.values()]
        return [(names, group) for names, group in named if names]

    def _header(self, path: str) -> list[str]:
        """The names as Spark itself reads them (quotes, delimiter, repeated and empty names)."""
        options = {name: value for name, value in self.source.options.items() if name.lower() != "basepath"}
        reader = self.spark.read.format("csv").options(**{**options, **_COMPLETE})
        if not self._encoding and not self._option("lineSep"):
            line = self._header_key(path).encode("latin-1").decode(errors="replace")
            names = header_names(self.spark, {**options, **_COMPLETE}, line) if line else None
            if names is not None:
                return names
        return list(reader.load(literal_path(path)).columns)

    def _header_key(self, path: str) -> str:
        """A text that is the same only for files with the same header; empty when the file has to be looked at alone."""
        if _is_wide(self._encoding):
            return ""
        quote_sign = (self._option("quote") or '"').encode()
        comment = self._option("comment").encode()
        # what is read comes through a socket, as text: the first bytes hold the header of all but odd files
        for count in (_HEADER_BYTES // 16, _HEADER_BYTES):
            for line in re.split(rb"[\r\n]", self._start(path, count))[:-1]:
                # Spark, too, passes over these
                if line.strip(_BLANK) and not (comment and line.startswith(comment)):
                    return "" if line.count(quote_sign) % 2 else line.decode("latin-1")
        return ""

    def _start(self, path: str, count: int) -> bytes:
        hadoop_path = self.jvm.org.apache.hadoop.fs.Path(path)
        codec = self._codecs.getCodec(hadoop_path)
        stream = hadoop_path.getFileSystem(self.hadoop).open(hadoop_path)
        try:
            readable = codec.createInputStream(stream) if codec else stream
            return bytes(readable.readNBytes(count)).removeprefix(_BOM)
        finally:
            stream.close()

    @cached_property
    def _codecs(self) -> Any:
        return self.jvm.org.apache.hadoop.io.compress.CompressionCodecFactory(self.hadoop)

    # JSON

    def _json_frames(self, paths: list[str]) -> list[DataFrame]:
        if not paths:
            return []
        partitions = self._partitions(paths[0])
        texts = self._load(
            "text", paths, {"wholetext": str(self._whole).lower()}, strings([MALFORMED_LINE, *partitions])
        )
        decoded = f"decode(cast({MALFORMED_LINE} as binary), {literal(self._encoding)})"
        line = f"{decoded if self._encoding else MALFORMED_LINE} as {MALFORMED_LINE}"
        lines = JsonLines(
            texts.selectExpr(line, *map(quote, partitions), *self._file_path()), self.source.options, self._whole
        )
        names = [name for name, _ in self.source.schema] or lines.names() or list(self.types)
        _refuse_twice(names, partitions)
        _refuse_reserved(names)
        return [lines.rows(names)] if names or partitions else []

    # types

    def _typed_text(self, raw: DataFrame, files: tuple[PinnedFile, ...], scans: int) -> Batch:
        names = [name for name in raw.columns if name not in (MALFORMED_LINE, _FILE)]
        types = {name.lower(): kind for name, kind in self.types.items()}
        columns = tuple(Column(name, types.get(name.lower(), "string")) for name in names)
        _refuse_reserved(names)
        well_formed = f"{quote(MALFORMED_LINE)} is null"
        kept = {c.name: f"{_RAW}{index}" for index, c in enumerate(columns) if c.type != "string"}
        selected = [f"if({well_formed}, {self._cast(c)}, null) as {quote(c.name)}" for c in columns]
        selected += [f"if({well_formed}, {quote(name)}, null) as {helper}" for name, helper in kept.items()]
        selected += [f"{quote(MALFORMED_LINE)} is not null as {MALFORMED}", quote(MALFORMED_LINE)]
        own_file = any(name.lower() == FILE_COLUMN for name in names)
        extra = (Column(FILE_COLUMN, "string"),) if self.need_file and not own_file else ()
        selected += [f"{_FILE} as {FILE_COLUMN}"] * len(extra)
        helpers = {**kept, MALFORMED_LINE: quote(MALFORMED_LINE)}
        row = Row((*columns, *extra), helpers, self.source.timezone)
        return Batch(raw.selectExpr(*selected), columns, row, True, files, scans=scans)

    def _cast(self, column: Column) -> str:
        text = quote(column.name)
        return text if column.type == "string" else text_as(text, column.type, self.source.timezone)


def _is_wide(encoding: str) -> bool:
    """Whether a line feed is more than one byte."""
    return encoding.lower().replace("-", "").startswith(("utf16", "utf32"))


def strings(names: Sequence[str]) -> StructType:
    """A schema of texts."""
    return StructType([StructField(name, StringType()) for name in names])


def _refuse_twice(own: Iterable[str], partitions: Iterable[str]) -> None:
    folded = {name.lower() for name in own}
    for name in partitions:
        if name.lower() in folded:
            raise InputError(
                f"the column '{name}' is in the files and in the names of their directories; name the files by a pattern "
                f"such as directory/*/*.csv to take that of the files"
            )


def _refuse_reserved(names: Iterable[str]) -> None:
    for name in names:
        if name.lower() == QUALITY_COLUMN or name.lower().startswith(RESERVED_PREFIX):
            raise InputError(
                f"the input has a column '{name}', a name the engine needs for what it adds; rename it in the input, "
                f"or read a view that selects it under another name"
            )


def with_file(batch: Batch) -> Batch:
    """The batch with the input file of each row in `FILE`, where Spark can tell it: not where corrected rows stand in the place of
    others, which come from other files, and only before the batch is joined with anything."""
    if FILE in batch.frame.columns:
        return batch
    with suppress(AnalysisException):
        return replace(batch, frame=batch.frame.select("*", F.input_file_name().alias(FILE)))
    return batch


@contextmanager
def input_errors(subject: str) -> Iterator[None]:
    """Turns what Spark says of an input into one line."""
    try:
        yield
    except (PySparkException, Py4JJavaError) as error:
        raise InputError(f"{subject} cannot be read: {reason(error)}") from error


def reason(error: BaseException) -> str:
    """The first line that tells something, of what the JVM says; with the file, where it says which one."""
    file = ""
    if isinstance(error, Py4JJavaError):
        cause = error.java_exception
        while cause.getCause() is not None:
            cause = cause.getCause()
            file = file or _file_named(str(cause.getMessage()))
        text = str(cause.getMessage() or cause.toString())
    else:
        text = str(error)
    if withheld() and not isinstance(error, (AnalysisException, ParseException)):
        return f"{_kind(error)} (what else Spark says is withheld, as it may hold a value of a sensitive column)"
    lines = [line.strip() for line in text.splitlines() if line.strip()] or [type(error).__name__]
    said = lines[0].removeprefix("[").replace("]", ":", 1) if lines[0].startswith("[") else lines[0]
    return f"{file}: {said}" if file and file not in said else said


def _kind(error: BaseException) -> str:
    """What kind of failure it is, without its words."""
    if isinstance(error, Py4JJavaError):
        cause = error.java_exception
        while cause.getCause() is not None:
            cause = cause.getCause()
        return str(cause.getClass().getSimpleName())
    named = error.getErrorClass() if isinstance(error, PySparkException) else None
    return str(named or type(error).__name__)


def _file_named(message: str) -> str:
    found = re.match(r"Encountered error while reading file (\S+)\.(\s|$)", message)
    return unquote(found[1]) if found else ""
