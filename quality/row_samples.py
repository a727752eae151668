"""Sampled rows of a batch: how many are copies of others, and the sketch `rows`, which says what values occur together.

Rows are sampled by their hash, so that all copies of a row are in the sample or none (`backends/jvm/RowSample.java`). A batch
of up to `COUNTED` different rows is sampled as a whole: its share of copies is exact. Of a larger one 4,096 to 8,192 different rows
tell it, with a standard error of sqrt(share / rows in the sample): 0.1 to 0.16 % where 1 % of the rows are copies. NULL is equal
to NULL here, minus zero to zero, and values of nested columns count; only maps must have their keys in one order.

The sketch holds 32 bits of each value of fewer rows (up to 2,048), of columns that are no identifiers. Sensitive columns are not
in it: a hash tells a value that can be guessed, and so would that of a whole row. Of the latter the sketch says only in how many
zero bits it ends, which is what merging takes: rows that end in fewer than the higher level of the two are left out.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from quality.anomaly.pairs import VALUES, Rows
from quality.tally import RowSample

#: Different rows up to which all are counted: `TallyState.java` says the same.
COUNTED = 8192
_HEAD = struct.Struct(">I")


def doubled(counts: Iterable[int]) -> tuple[int, int]:
    """Of how often each different row occurs: the rows that are copies of an earlier one, and all rows."""
    known = list(counts)
    return sum(known) - len(known), sum(known)


def write(sample: RowSample, names: Sequence[str], kept: Iterable[str]) -> bytes:
    """The sketch (format `rows`, version 1) of a sample with the columns `names`, of which `kept` are kept: deflated, a line of
    JSON with the level, the number of rows and the columns, each with how many different values it has; then of each row in how
    many zero bits its hash ends and its count, and of each column its different values and which of them each row has."""
    wanted, parts, columns = set(kept), [], []
    for place, name in enumerate(names[: sample.values.shape[1]]):
        if name in wanted:
            values, codes = np.unique(sample.values[:, place], return_inverse=True)
            columns.append([name, len(values)])
            parts += [values.astype(">u4").tobytes(), codes.reshape(-1).astype(">u2").tobytes()]
    head = json.dumps({"level": sample.level, "rows": len(sample.counts), "columns": columns}, ensure_ascii=False)
    rows = [_zeros(sample.hashes).tobytes(), sample.counts.astype(">i8").tobytes()]
    return zlib.compress(_HEAD.pack(len(head.encode())) + head.encode() + b"".join([*rows, *parts]))


def read(content: bytes) -> Rows:
    """The rows of a sketch."""
    plain = zlib.decompress(content)
    (size,) = _HEAD.unpack_from(plain)
    place = _HEAD.size + size
    head = json.loads(plain[_HEAD.size : place])
    count = int(head["rows"])

    def take(form: str, number: int) -> np.ndarray[Any, Any]:
        nonlocal place
        found = np.frombuffer(plain, dtype=form, count=number, offset=place)
        place += found.nbytes
        return found

    take(">u1", count)
    times = take(">i8", count).astype(np.int64)
    columns = {}
    for name, different in head["columns"]:
        values = take(">u4", different).astype(np.uint32)
        columns[str(name)] = values[take(">u2", count)]
    return Rows(columns, times)


def _zeros(hashes: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """In how many zero bits each ends."""
    last = (hashes & -hashes).astype(np.uint64)
    return np.where(last == 0, 64, np.log2(np.maximum(last, 1).astype(np.float64))).astype(np.uint8)


def kept(distinct: int | None, *, sensitive: bool) -> bool:
    """Whether the values of a column are kept: not those of an identifier, of a nested or of a sensitive one."""
    return distinct is not None and distinct <= VALUES and not sensitive
