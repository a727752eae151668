"""What the bytes of a tally say (`backends/jvm/TallyState.java` writes them): rows, rules that rows broke, and of each column
what its profile and its metrics are made of. Plain values over numpy, no Spark.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from quality.analyzers import FRACTIONAL, INTEGRAL, TEMPORAL, TEXTUAL, base_type

#: Bits of a double below those that number its bin: see `Bins.java`.
_LINE = 52 - 6
#: The kinds of signs that are counted; all else is another.
SIGNS = ("digit", "upper", "lower")
#: Columns whose values are kept of sampled rows: `TallyState.java` says the same.
KEPT_COLUMNS = 64
#: The inferred kinds of texts, in the order they are counted.
KINDS = ("Text", "Integral", "Fractional", "Boolean", "Date", "Timestamp")


@dataclass(frozen=True)
class Bins:
    """How many values lie in each bin. `relative`: bins of numbers, by sign, exponent and six bits of fraction, so that the
    middle of a bin is within 1 % of its values; else bins of width 2^shift. `numbers` ascend."""

    relative: bool
    shift: int
    numbers: np.ndarray[Any, Any]
    counts: np.ndarray[Any, Any]

    def edges(self) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """The lower and the upper end of each bin."""
        if not self.relative:
            width = 2.0**self.shift
            return self.numbers * width, (self.numbers + 1) * width
        size = np.abs(self.numbers)
        near = (size << _LINE).view(np.float64)
        far = ((size + 1) << _LINE).view(np.float64)
        # the bin of zero holds nothing but zero, and numbers too small to matter
        near, far = np.where(size == 0, 0.0, near), np.where(size == 0, 0.0, far)
        negative = self.numbers < 0
        return np.where(negative, -far, near), np.where(negative, -near, far)

    def quantile(self, q: float, low: float, high: float, *, whole: bool = False) -> float | None:
        """The value below which a share q lies, within 1 % of it (even bins: within their width); between `low` and
        `high`, which are known exactly. `whole`: all values are whole numbers. None when there are no values."""
        if not len(self.counts):
            return None
        rank = q * (int(self.counts.sum()) - 1)
        place = int(np.searchsorted(np.cumsum(self.counts), rank, side="right"))
        starts, ends = self.edges()
        place = min(place, len(starts) - 1)
        start, end = float(starts[place]), float(ends[place])
        # a bin that holds a single whole number
        value = float(math.ceil(start)) if whole and math.ceil(start) + 1 >= end else (start + end) / 2
        return min(max(value, low), high)

    def merged(self, other: Bins) -> Bins:
        """Both together."""
        shift = max(self.shift, other.shift)
        numbers = np.concatenate([self.numbers >> (shift - self.shift), other.numbers >> (shift - other.shift)])
        unique, places = np.unique(numbers, return_inverse=True)
        counts = np.zeros(len(unique), dtype=np.int64)
        np.add.at(counts, places, np.concatenate([self.counts, other.counts]))
        return Bins(self.relative, shift, unique, counts)


@dataclass(frozen=True)
class Numbers:
    """Numbers of a column: finite ones in `count`, `mean`, central sums `m2` to `m4` and extremes; the others are counted."""

    zeros: int
    negatives: int
    nans: int
    above: int
    below: int
    count: int
    mean_of_finite: float
    m2: float
    m3: float
    m4: float
    smallest: float
    largest: float
    bins: Bins

    @property
    def infinite(self) -> bool:
        """Whether there is a value that is infinite or none."""
        return bool(self.nans or self.above or self.below)

    @property
    def mean(self) -> float | None:
        """As an average of doubles: NaN once there is NaN, or both infinities."""
        if self.nans or (self.above and self.below):
            return math.nan
        if self.above or self.below:
            return math.inf if self.above else -math.inf
        return self.mean_of_finite if self.count else None

    @property
    def standard_deviation(self) -> float | None:
        """Of the population; NaN when there are values that are not finite."""
        if self.infinite:
            return math.nan
        return math.sqrt(max(self.m2, 0.0) / self.count) if self.count else None

    @property
    def skewness(self) -> float | None:
        """Third central moment over the cube of the standard deviation; None when the values do not vary."""
        if self.infinite or not self.count or self.m2 <= 0:
            return None
        return math.sqrt(self.count) * self.m3 / float(self.m2**1.5)

    @property
    def kurtosis(self) -> float | None:
        """Excess kurtosis: 0 for a normal distribution; None when the values do not vary."""
        if self.infinite or not self.count or self.m2 <= 0:
            return None
        return self.count * self.m4 / self.m2**2 - 3

    @property
    def minimum(self) -> float | None:
        """NaN counts as larger than any number."""
        if self.below:
            return -math.inf
        if self.count:
            return self.smallest
        return math.inf if self.above else math.nan if self.nans else None

    @property
    def maximum(self) -> float | None:
        """NaN counts as larger than any number."""
        if self.nans:
            return math.nan
        if self.above:
            return math.inf
        return self.largest if self.count else -math.inf if self.below else None


@dataclass(frozen=True)
class Temporal:
    """Dates in days, moments in microseconds, from 1970; None without values."""

    smallest: int | None
    largest: int | None
    bins: Bins


@dataclass(frozen=True)
class Texts:
    """Texts of a column: lengths in characters; `kinds` by the type the texts would have; `shapes` such as `A{2}-9{4}`, of
    which `other_shapes` texts have none of those listed; `signs` are the digits and the letters A to Z and a to z in all of
    them, by kind."""

    total_length: int
    empty: int
    blank: int
    shortest: int | None
    longest: int | None
    lengths: Bins
    kinds: Mapping[str, int]
    shapes: Mapping[str, int]
    other_shapes: int
    signs: Mapping[str, int] = field(default_factory=dict)

    @property
    def letter_shares(self) -> dict[str, float]:
        """See `letter_shares`."""
        return letter_shares(self.signs, self.total_length)


def letter_shares(signs: Mapping[str, int], total: int) -> dict[str, float]:
    """The share of each kind among all signs of all texts: `upper` (A to Z), `lower` (a to z), `digit` (0 to 9) and `other`, letters
    of other alphabets among them. Nothing where there are no signs."""
    if not total or not signs:
        return {}
    rest = total - sum(signs.values())
    return {kind: count / total for kind, count in (*signs.items(), ("other", rest))}


@dataclass(frozen=True)
class Top:
    """Frequent values with their counts, most frequent first. `exact`: these are all values there are; else counts are
    estimates, too low by at most `error` but for the sampling."""

    values: tuple[tuple[str, int], ...]
    exact: bool
    error: int


@dataclass(frozen=True)
class ColumnTally:
    """What was kept of a column; `present` values are not NULL. What does not go with its type is None."""

    type: str
    present: int
    registers: bytes | None = None
    top: Top | None = None
    numbers: Numbers | None = None
    temporal: Temporal | None = None
    texts: Texts | None = None
    trues: int | None = None


@dataclass(frozen=True)
class RowSample:
    """Rows whose hash ends in `level` zero bits, each once, and all copies of each in `counts`. `values` has 32 bits of each
    value, a row for each sampled one and a column for each of the first columns that are profiled; 0 is NULL. Level 0: these are
    all rows there are."""

    level: int
    hashes: np.ndarray[Any, Any]
    counts: np.ndarray[Any, Any]
    values: np.ndarray[Any, Any]


@dataclass(frozen=True)
class Tallied:
    """A tally as read. `bits` by input word; `null_patterns`: how many rows have just these columns (by place among the
    profiled) NULL, `other_patterns` those of further sets; `columns` in the order of the inputs. Of what is profiled
    `counted` samples rows, without values, and `kept` fewer with them."""

    rows: int
    bits: tuple[tuple[int, ...], ...]
    null_patterns: Mapping[tuple[int, ...], int]
    other_patterns: int
    columns: tuple[ColumnTally, ...]
    counted: RowSample | None = None
    kept: RowSample | None = None


def read(content: bytes, roles: str, types: Sequence[str]) -> Tallied:
    """The tally of inputs with these roles; `types` are those of the columns after the words."""
    source = _Source(content)
    words = roles.count("m")
    rows = source.read_long()
    bits = tuple(tuple(source.read_longs(64).tolist()) for _ in range(words))
    columns, profiled = len(types), "p" in roles
    if not profiled:
        return Tallied(rows, bits, {}, 0, tuple(_column(source, kind) for kind in types))
    patterns, others = _null_patterns(source, columns)
    counted, kept = _row_sample(source, 0), _row_sample(source, min(roles.count("p"), KEPT_COLUMNS))
    return Tallied(rows, bits, patterns, others, tuple(_column(source, kind) for kind in types), counted, kept)


@dataclass(frozen=True)
class KeyRuns:
    """The keys of a column that is sorted, or made of sorted runs that do not meet: `doubled` keys with their counts."""

    rows: int
    keys: int
    doubled: tuple[tuple[int, int], ...]


def read_key_runs(content: bytes) -> KeyRuns | None:
    """What KeyRuns found; None when the column is not sorted, or holds too many doubled keys."""
    source = _Source(content)
    is_sorted, rows, keys = bool(source.read_byte()), source.read_long(), source.read_long()
    if not is_sorted:
        return None
    source.read_longs(2 * source.read_int())
    pairs = source.read_longs(2 * source.read_int()).reshape(-1, 2)
    return KeyRuns(rows, keys, tuple((int(key), int(times)) for key, times in pairs))


class _Source:
    """Bytes as Java's DataOutputStream wrote them."""

    def __init__(self, content: bytes) -> None:
        self.content, self.place = content, 0

    def _unpack(self, form: str, size: int) -> Any:
        (value,) = struct.unpack_from(form, self.content, self.place)
        self.place += size
        return value

    def read_long(self) -> int:
        return int(self._unpack(">q", 8))

    def read_int(self) -> int:
        return int(self._unpack(">i", 4))

    def read_byte(self) -> int:
        return int(self._unpack(">b", 1))

    def read_double(self) -> float:
        return float(self._unpack(">d", 8))

    def take(self, size: int) -> bytes:
        self.place += size
        return self.content[self.place - size : self.place]

    def read_longs(self, count: int) -> np.ndarray[Any, Any]:
        return np.frombuffer(self.take(8 * count), dtype=">i8").astype(np.int64)

    def read_utf(self) -> str:
        return self.take(int(self._unpack(">H", 2))).decode("utf-8", "replace")


def _null_patterns(source: _Source, columns: int) -> tuple[dict[tuple[int, ...], int], int]:
    others, width = source.read_long(), (columns + 63) // 64
    patterns = {}
    for _ in range(source.read_int()):
        source.read_long()
        count = source.read_long()
        masks = [int(mask) & (2**64 - 1) for mask in source.read_longs(width)]
        places = tuple(64 * w + bit for w, mask in enumerate(masks) for bit in range(64) if mask >> bit & 1)
        patterns[places] = count
    return patterns, others


def _row_sample(source: _Source, width: int) -> RowSample:
    level, size = source.read_int(), source.read_int()
    hashes, counts = source.read_longs(size), np.ones(size, np.int64)
    places, times = source.read_longs(2 * source.read_int()).reshape(-1, 2).T
    counts[places] = times
    values = np.frombuffer(source.take(4 * size * width), dtype=">u4").astype(np.uint32)
    return RowSample(level, hashes, counts, values.reshape(size, width))


def _column(source: _Source, kind: str) -> ColumnTally:
    base, present = base_type(kind), source.read_long()
    if base == "boolean":
        return ColumnTally(kind, present, trues=source.read_long())
    numeric = base in (*INTEGRAL, *FRACTIONAL, "decimal", "array", "map")
    if not numeric and base not in (*TEXTUAL, *TEMPORAL):
        return ColumnTally(kind, present)
    registers, top = _registers(source), _top(source)
    if numeric:
        return ColumnTally(kind, present, registers, top, numbers=_numbers(source))
    if base in TEMPORAL:
        return ColumnTally(kind, present, registers, top, temporal=_temporal(source, present))
    return ColumnTally(kind, present, registers, top, texts=_texts(source, present))


def _registers(source: _Source) -> bytes | None:
    return source.take(4096) if source.read_byte() else None


def _top(source: _Source) -> Top:
    error, sampled = source.read_long(), bool(source.read_byte())
    found = []
    for _ in range(source.read_int()):
        source.read_long()
        count = source.read_long()
        found.append((source.take(source.read_int()).decode("utf-8", "replace"), count))
    found.sort(key=lambda pair: (-pair[1], pair[0]))
    return Top(tuple(found), not (sampled or error), error)


def _bins(source: _Source, *, relative: bool) -> Bins:
    shift, count = source.read_int(), source.read_int()
    pairs = source.read_longs(2 * count).reshape(-1, 2)
    return Bins(relative, shift, pairs[:, 0], pairs[:, 1])


def _numbers(source: _Source) -> Numbers:
    zeros, negatives, nans, above, below = (source.read_long() for _ in range(5))
    count, mean, m2, m3, m4, smallest, largest = (source.read_double() for _ in range(7))
    bins = _bins(source, relative=True)
    return Numbers(zeros, negatives, nans, above, below, int(count), mean, m2, m3, m4, smallest, largest, bins)


def _temporal(source: _Source, present: int) -> Temporal:
    smallest, largest = source.read_long(), source.read_long()
    bins = _bins(source, relative=False)
    return Temporal(smallest if present else None, largest if present else None, bins)


def _texts(source: _Source, present: int) -> Texts:
    total, empty, blank = source.read_long(), source.read_long(), source.read_long()
    shortest, longest = source.read_int(), source.read_int()
    lengths = _bins(source, relative=True)
    kinds = dict(zip(KINDS, source.read_longs(len(KINDS)).tolist(), strict=True))
    signs = dict(zip(SIGNS, source.read_longs(len(SIGNS)).tolist(), strict=True))
    others = source.read_long()
    shapes: dict[str, int] = {}
    for _ in range(source.read_int()):
        source.read_long()
        count = source.read_long()
        source.read_byte()
        shape = source.read_utf()
        shapes[shape] = shapes.get(shape, 0) + count
    least, most = (shortest, longest) if present else (None, None)
    return Texts(total, empty, blank, least, most, lengths, kinds, shapes, others, signs)


def distinct(registers: bytes | None) -> float:
    """The number of distinct values that HyperLogLog registers tell (Ertl 2017, arXiv:1702.01284, algorithm 6: without
    tables, and without bias for small numbers too)."""
    if registers is None:
        return 0.0
    bits = 64 - (len(registers).bit_length() - 1)
    counts = np.bincount(np.frombuffer(registers, dtype=np.uint8), minlength=bits + 2)
    size = len(registers)
    estimate = size * _tau(1 - counts[bits + 1] / size)
    for rank in range(bits, 0, -1):
        estimate = 0.5 * (estimate + counts[rank])
    estimate += size * _sigma(counts[0] / size)
    return 0.0 if math.isinf(estimate) else size * size / (2 * math.log(2)) / estimate


def _sigma(x: float) -> float:
    if x == 1.0:
        return math.inf
    y, z = 1.0, x
    while True:
        x *= x
        before = z
        z += x * y
        y += y
        if z == before:
            return z


def _tau(x: float) -> float:
    if x in (0.0, 1.0):
        return 0.0
    y, z = 1.0, 1 - x
    while True:
        x = math.sqrt(x)
        before = z
        y *= 0.5
        z -= (1 - x) ** 2 * y
        if z == before:
            return z / 3
