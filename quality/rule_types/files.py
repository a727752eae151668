"""The files of a batch, or of a place: how new, how large, how many, whether one is there twice, whether they are those of
another place. Judged from what the file system says of them, and of their bytes by a hash."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, ClassVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from quality.model import COMPARISONS, Bounds, Metric, MetricKey, Scalar, Tolerance
from quality.rule_types.args import (
    BOUNDS,
    FLAG,
    REGEX,
    SHARE_BOUNDS,
    TEXT,
    JsonSchema,
    Kind,
    arg,
    choice,
    parse_bounds,
    parse_list,
    parse_number,
    parse_text,
    shown,
)
from quality.rule_types.base import BatchRule, RuleType, parse_moment

#: Hashes, as Java names them.
ALGORITHMS = ("SHA-256", "SHA-1", "MD5")
_SHOWN_FILES = 3
_UNITS = {unit: 1024**power for power, unit in enumerate(("B", "KB", "MB", "GB", "TB"))}
_SIZE = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(B|KB|MB|GB|TB)\s*", re.IGNORECASE)
_NOW = re.compile(r"now(?:\s*([+-])\s*([0-9]+(?:\.[0-9]+)?)\s*(second|minute|hour|day|week)s?)?")
_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}
_CLOCK = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")


@dataclass(frozen=True)
class File:
    """A file: its path, its size in bytes, when it was last written (UTC), the hash of its bytes where one was asked for."""

    path: str
    size: int
    modified: datetime
    digest: str = ""

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.rstrip("/").rpartition("/")[2]


@dataclass(frozen=True)
class Found:
    """The files a rule is about, those of the other place, or why they are not known."""

    files: tuple[File, ...] = ()
    others: tuple[File, ...] = ()
    error: str = ""


@dataclass(frozen=True)
class Judged:
    """What a rule says of files: whether it holds, the metric, and what to tell where it does not hold."""

    holds: bool
    metric: Metric
    message: str = ""


def parse_size(value: Any) -> int:
    """A number of bytes, or a size such as `10 MB`; a KB is 1,024 bytes."""
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match:
        return int(Decimal(match[1]) * _UNITS[match[2].upper()])
    try:
        number = parse_number(value)
    except ValueError:
        number = -1
    if number < 0 or number != int(number):
        raise ValueError(f"must be a size such as '10 MB' or a number of bytes, got {shown(value)}")
    return int(number)


def parse_instant(value: Any) -> str:
    """A moment, `now`, `now - 24 hours`, or a time of day."""
    text = parse_text(value).strip()
    if not _NOW.fullmatch(text) and not _CLOCK.fullmatch(text):
        try:
            parse_moment(text)
        except ValueError:
            raise ValueError(
                f"must be YYYY-MM-DD[ HH:MM:SS], 'now', 'now - 24 hours' or a time of day HH:MM, got {shown(value)}"
            ) from None
    return text


def _sized(words: Mapping[str, Any]) -> Bounds:
    return parse_bounds(words, parse_size) if words else Bounds()


def _sizes(value: Any) -> tuple[Scalar, ...]:
    return parse_list(value, parse_size, "sizes")


def _instants(value: Any) -> tuple[Scalar, ...]:
    return parse_list(value, parse_instant, "moments")


def _timed(words: Mapping[str, Any]) -> Bounds:
    terms: dict[str, Scalar] = {}
    for word, value in words.items():
        if word not in (*COMPARISONS, "between"):
            raise ValueError(f"'{word}' does not go with moments; allowed: {', '.join((*COMPARISONS, 'between'))}")
        if word == "between" and (not isinstance(value, list) or len(value) != 2):
            raise ValueError(f"'between' must be a list of two moments, [from, to], got {shown(value)}")
        pairs = zip(("at_least", "at_most"), value, strict=True) if word == "between" else [(word, value)]
        terms.update((end, parse_instant(moment)) for end, moment in pairs)
    return Bounds(tuple(terms.items()))


def _zone(value: Any) -> str:
    text = parse_text(value)
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError(f"must be a time zone such as 'Europe/Stockholm', got {shown(value)}") from None
    return text


def _count(value: Any) -> int:
    number = parse_number(value)
    if not isinstance(number, int) or number < 1:
        raise ValueError(f"must be a whole number from 1 on, got {shown(value)}")
    return number


def _number_bounds(bounds: Bounds) -> str:
    wrong = [value for _, value in bounds.terms if isinstance(value, (bool, str)) and "{{" not in str(value)]
    return f"a bound must be a number, got {shown(wrong[0])}" if wrong else ""


def _hashes(value: Any) -> tuple[str, ...]:
    return tuple(
        text.lower() for text in parse_list([value] if isinstance(value, str) else value, parse_text, "hashes")
    )


_TEXTS: JsonSchema = {"type": ["string", "array"], "items": {"type": "string"}}
_PLACE = "a file, a directory or a pattern; without it the files of the batch"


@dataclass(frozen=True, kw_only=True)
class FileRule(BatchRule):
    """Base of rules about files."""

    unfiltered = "is about rows; this one is about files: 'matching' and 'newest' say which"

    path: str = arg(TEXT, _PLACE, "")
    matching: str = arg(REGEX, "a regular expression found in the path of each file that is meant", "")
    newest: int = arg(Kind(_count, {"type": "integer", "minimum": 1}), "only so many files, those written last", 0)
    newest_first: bool = arg(FLAG, "take the newest of all files, and of these the matching ones", False)

    #: Whether each file has a verdict, so that a tolerance goes with the rule.
    each: ClassVar[bool] = False
    keeps_tolerance = False

    @property
    def hashed(self) -> str:
        """The hash of its bytes that a verdict needs, empty for none."""
        return ""

    @property
    def other(self) -> str:
        """Another place whose files are needed."""
        return ""

    def chosen(self, files: Sequence[File]) -> list[File]:
        """Those that are meant, the newest first."""
        found = sorted(files, key=lambda file: (file.modified, file.path), reverse=True)
        most = self.newest or len(found)
        if self.newest_first:
            found = found[:most]
        if self.matching:
            found = [file for file in found if re.search(self.matching, file.path)]
        return found[:most]

    def judged(self, files: Sequence[File], others: Sequence[File], tolerance: Tolerance, zone: str) -> Judged:
        """The verdict on the files that are meant."""
        raise NotImplementedError

    def key(self, name: str) -> MetricKey:
        """The identity of a metric of these files."""
        return MetricKey("Dataset", name, self.path or "*")

    def problem(self) -> str:
        """Paths are matched without Java."""
        try:
            re.compile(self.matching)
        except re.error as error:
            return f"'{self.matching}' is a regular expression of Java's alone ({error}); paths are matched by Python's"
        return ""

    def _of_each(self, name: str, failing: Sequence[str], total: int, tolerance: Tolerance) -> Judged:
        metric = Metric(
            self.key(name), (total - len(failing)) / total, numerator=total - len(failing), denominator=total
        )
        more = f" and {len(failing) - _SHOWN_FILES} more" if len(failing) > _SHOWN_FILES else ""
        told = f"{len(failing):,} of {total:,} files fail: {', '.join(failing[:_SHOWN_FILES])}{more}"
        return Judged(tolerance.allows(len(failing), total), metric, told if failing else "")


class _EachFile(FileRule):
    """A rule about each file by one value of it: within bounds, outside of a range, one of a list, none of one."""

    bounds: Bounds
    outside: tuple[Scalar, ...]
    one_of: tuple[Scalar, ...]
    none_of: tuple[Scalar, ...]
    each = True

    def accepts(self, value: Any, read: Callable[[Any], Any]) -> bool:
        """Whether the value of a file is as demanded; `read` makes values of what the rule says."""
        limits = Bounds(tuple((word, read(bound)) for word, bound in self.bounds.terms))
        between = [read(bound) for bound in self.outside]
        return (
            limits.accepts(value)
            and not (between and between[0] < value < between[1])
            and (not self.one_of or value in map(read, self.one_of))
            and value not in map(read, self.none_of)
        )

    def demanded(self) -> str:
        """All that is demanded, as the end of a sentence."""
        found = [str(self.bounds)] if self.bounds.terms else []
        found += [f"outside of {self.outside[0]} to {self.outside[1]}"] if self.outside else []
        found += [f"one of {', '.join(map(str, self.one_of))}"] if self.one_of else []
        found += [f"none of {', '.join(map(str, self.none_of))}"] if self.none_of else []
        return " and ".join(found)

    def problem(self) -> str:
        """Something that is demanded, and a range with two ends."""
        if self.outside and len(self.outside) != 2:
            return f"'outside' must be a list of two ends, [low, high], got {len(self.outside)}"
        if not (self.bounds.terms or self.outside or self.one_of or self.none_of):
            return (
                f"needs a bound: at least one of {', '.join((*COMPARISONS, 'between', 'outside', 'one_of', 'none_of'))}"
            )
        return super().problem()


_OUTSIDE = "two ends of a range it does not lie in; both may be"
_LIST: JsonSchema = {"type": "array", "items": {"type": ["string", "number"]}, "minItems": 1}


@dataclass(frozen=True, kw_only=True)
class FileFreshness(_EachFile):
    """Every file was last written at a moment within bounds: a date or time (without a zone of its own in `timezone`), `now`,
    `now - 24 hours`, or a time of day, which is that of the day of the run. `tolerance` is of files here."""

    bounds: Bounds = arg(Kind(_timed, {}, role="bounds"), "bounds of the moment", Bounds())
    outside: tuple[Scalar, ...] = arg(Kind(_instants, _LIST), _OUTSIDE, ())
    one_of: tuple[Scalar, ...] = arg(Kind(_instants, _LIST), "moments of which it is one", ())
    none_of: tuple[Scalar, ...] = arg(Kind(_instants, _LIST), "moments of which it is none", ())
    timezone: str = arg(Kind(_zone, {"type": "string"}), "the time zone of moments; without it that of the input", "")
    as_of: str = arg(
        Kind(lambda value: str(parse_text(value)), {"type": "string"}), "the moment that stands for now", ""
    )

    type = "file_freshness"
    example = "file_freshness: {at_least: now - 24 hours}"

    def at(self, run_time: str) -> RuleType:
        """Now is the time of the run."""
        return self if self.as_of else replace(self, as_of=run_time)

    def judged(self, files: Sequence[File], _others: Sequence[File], tolerance: Tolerance, zone: str) -> Judged:
        """By the moments of the file system."""
        place = ZoneInfo(self.timezone or zone)
        failing = [
            f"{file.name} of {file.modified:%Y-%m-%d %H:%M:%S} UTC"
            for file in files
            if not self.accepts(file.modified, lambda moment: self._moment(str(moment), place))
        ]
        return self._of_each("FileFreshness", failing, len(files), tolerance)

    def _moment(self, text: str, place: ZoneInfo) -> datetime:
        now = _aware(self.as_of, ZoneInfo("UTC")) if self.as_of else datetime.now(timezone.utc)
        moved, clock = _NOW.fullmatch(text), _CLOCK.fullmatch(text)
        if moved:
            far = timedelta(seconds=float(moved[2]) * _SECONDS[moved[3]]) if moved[1] else timedelta()
            return now - far if moved[1] == "-" else now + far
        if clock:
            return now.astimezone(place).replace(hour=int(clock[1]), minute=int(clock[2]), second=0, microsecond=0)
        return _aware(text, place)

    def requirement(self) -> str:
        """The bounds."""
        return f"must be last written {self.demanded()}"


def _aware(text: str, place: ZoneInfo) -> datetime:
    moment = parse_moment(text)
    moment = moment if isinstance(moment, datetime) else datetime(moment.year, moment.month, moment.day)
    return moment if moment.tzinfo else moment.replace(tzinfo=place)


@dataclass(frozen=True, kw_only=True)
class FileSize(_EachFile):
    """The size of every file lies within bounds: bytes, or `10 MB` (a KB is 1,024 bytes). `tolerance` is of files here."""

    bounds: Bounds = arg(Kind(_sized, {}, role="bounds"), "bounds of the size", Bounds())
    outside: tuple[Scalar, ...] = arg(Kind(_sizes, _LIST), _OUTSIDE, ())
    one_of: tuple[Scalar, ...] = arg(Kind(_sizes, _LIST), "sizes of which it is one", ())
    none_of: tuple[Scalar, ...] = arg(Kind(_sizes, _LIST), "sizes of which it is none", ())

    type = "file_size"
    example = "file_size: {above: 1 KB, at_most: 2 GB}"

    def judged(self, files: Sequence[File], _others: Sequence[File], tolerance: Tolerance, _zone: str) -> Judged:
        """By the sizes of the file system."""
        failing = [f"{file.name} of {file.size:,} bytes" for file in files if not self.accepts(file.size, int)]
        return self._of_each("FileSize", failing, len(files), tolerance)

    def requirement(self) -> str:
        """The bounds, in bytes."""
        return f"must have a size of {self.demanded()} bytes"


@dataclass(frozen=True, kw_only=True)
class FileCount(FileRule):
    """The number of files lies within bounds."""

    bounds: Bounds = arg(BOUNDS, "bounds of the number")

    type = "file_count"
    example = "file_count: {equals: 24}"

    def judged(self, files: Sequence[File], _others: Sequence[File], _tolerance: Tolerance, _zone: str) -> Judged:
        """The files that are meant."""
        holds = self.bounds.recorded or self.bounds.accepts(len(files))
        return Judged(
            holds, Metric(self.key("FileCount"), len(files)), f"there are {len(files):,} files, must be {self.bounds}"
        )

    def requirement(self) -> str:
        """The bounds."""
        return f"the number of files must be {self.bounds}"

    def problem(self) -> str:
        """Bounds are numbers."""
        return _number_bounds(self.bounds) or super().problem()


@dataclass(frozen=True, kw_only=True)
class FileUniqueness(FileRule):
    """The share of files whose bytes no other file has lies within bounds. Every file is read once, in a stream, for its
    hash. With `names` no two may share a name either."""

    bounds: Bounds = arg(SHARE_BOUNDS, "bounds of the share")
    algorithm: str = arg(choice(*ALGORITHMS), f"the hash: {', '.join(ALGORITHMS)}", "SHA-256")
    names: bool = arg(FLAG, "whether a name that another file has counts as a duplicate too", False)

    type = "file_uniqueness"
    example = "file_uniqueness: {equals: 1}"

    @property
    def hashed(self) -> str:
        """Bytes are compared by their hash."""
        return self.algorithm

    def judged(self, files: Sequence[File], _others: Sequence[File], _tolerance: Tolerance, _zone: str) -> Judged:
        """Uniqueness as of values: those that occur once."""
        digests, names = Counter(file.digest for file in files), Counter(file.name for file in files)
        twice = [f for f in files if digests[f.digest] > 1 or (self.names and names[f.name] > 1)]
        once = len(files) - len(twice)
        metric = Metric(self.key("FileUniqueness"), once / len(files), numerator=once, denominator=len(files))
        told = f"{once:,} of {len(files):,} files occur once, must be {self.bounds}"
        shown_files = f"; twice: {', '.join(file.name for file in twice[:_SHOWN_FILES])}" if twice else ""
        return Judged(self.bounds.recorded or self.bounds.accepts(metric.value), metric, told + shown_files)

    def requirement(self) -> str:
        """The bounds."""
        return f"the share of files that occur once must be {self.bounds}"

    def problem(self) -> str:
        """Bounds are numbers."""
        return _number_bounds(self.bounds) or super().problem()


@dataclass(frozen=True, kw_only=True)
class FileMatch(FileRule):
    """The files are those of another place (`with`), or their hashes are among `hashes`. Files match by the hash of their
    bytes, with `names` also by their name; both places must hold the same files, each as often. Every file is read once, in a
    stream."""

    with_: str = arg(TEXT, "the other place: a file, a directory or a pattern", "")
    hashes: tuple[str, ...] = arg(Kind(_hashes, _TEXTS), "hashes that files may have, as hexadecimal digits", ())
    algorithm: str = arg(choice(*ALGORITHMS), f"the hash: {', '.join(ALGORITHMS)}", "SHA-256")
    names: bool = arg(FLAG, "whether names must match too", False)

    type = "file_match"
    example = "file_match: {path: data/in, with: data/copy}"

    @property
    def hashed(self) -> str:
        """Bytes are compared by their hash."""
        return self.algorithm

    @property
    def other(self) -> str:
        """The place it is compared with."""
        return self.with_

    def judged(self, files: Sequence[File], others: Sequence[File], _tolerance: Tolerance, _zone: str) -> Judged:
        """Each file of either side that the other has not fails."""
        if self.hashes:
            missing = [file.name for file in files if file.digest not in self.hashes]
            return self._of_each("FileMatch", missing, len(files), Tolerance())
        ours, theirs = Counter(map(self._identity, files)), Counter(map(self._identity, others))
        named = {self._identity(file): file.name for file in (*others, *files)}
        odd = [(key, "only there") for key in (theirs - ours).elements()] + [
            (key, "only here") for key in (ours - theirs).elements()
        ]
        total = (ours | theirs).total() if hasattr(Counter, "total") else sum((ours | theirs).values())
        return self._of_each("FileMatch", [f"{named[key]} ({why})" for key, why in odd], total, Tolerance())

    def _identity(self, file: File) -> tuple[str, ...]:
        return (file.digest, file.name) if self.names else (file.digest,)

    def requirement(self) -> str:
        """What they are compared with."""
        return f"must be the files of {self.with_}" if self.with_ else f"must have one of {len(self.hashes)} hashes"

    def problem(self) -> str:
        """One thing to compare with."""
        if bool(self.with_) == bool(self.hashes):
            return "needs 'with', another place, or 'hashes'"
        return super().problem()
