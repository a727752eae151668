"""Suggests a rule file for files: one pass for the profile of each batch, one bounded look at rows of some of them.

Text formats are profiled as text and as the types that the first batch has, in the same pass.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any
from urllib.parse import unquote

import numpy as np
from pyspark.sql import DataFrame, SparkSession

from quality.backends.reading import Batch as Read
from quality.backends.reading import Reader
from quality.backends.session import session
from quality.casts import text_as
from quality.errors import EngineError, InputError, UsageError, did_you_mean
from quality.history_reader import History
from quality.model import Column
from quality.profiles import ColumnProfile, Profile
from quality.profiling import profile_frame
from quality.rule_types.base import MALFORMED_LINE
from quality.rule_types.rules import Input
from quality.rulefile.references import is_name
from quality.rulefile.sections import FORMATS, guess_format, known_format, refuse_options
from quality.sql import quote
from quality.suggesting.facts import MOMENT, NUMBER, OTHER, TEXT, Batch, Vector, kind_of, of_profile
from quality.suggesting.judging import Suggestion
from quality.suggesting.planned import PASSES, SAMPLED, SAMPLED_ROWS, Planned
from quality.suggesting.stored import of_metrics
from quality.suggesting.suite import Suite, suggest
from quality.suggesting.writing import Head, rule_file

#: Values that are looked at in all.
_SAMPLED_CELLS = 3_000_000
_PLACE = re.compile(r"\{\{\s*batch\s*\}\}")
_TYPES = {"Integral": "integer", "Fractional": "double", "Boolean": "boolean", "Date": "date", "Timestamp": "timestamp"}


@dataclass(frozen=True)
class Suggested:
    """The suite, the text of its rule file, and the batches it was made from. `planned`: what was to be read; `passes`: what
    the input was read for, and how often; a look stops at as many rows as it asks for."""

    suite: Suite
    text: str
    batches: tuple[Batch, ...]
    planned: Planned = Planned()
    passes: tuple[tuple[str, int], ...] = ()

    @property
    def told(self) -> str:
        """The passes in words; empty where no file was read."""
        return ", ".join(f"{count:,} for {purpose}" for purpose, count in self.passes if count)


def suggest_files(
    path: str,
    *,
    dataset: str,
    batches: Sequence[str] = (),
    last: int = 100,
    format: str = "",
    options: Mapping[str, str] | None = None,
    references: Mapping[str, str] | None = None,
    rolling: bool = False,
    max_scans: int | None = None,
    spark: SparkSession | None = None,
) -> Suggested:
    """A rule file for the batches of a path: `{{ batch }}` (or a single `*`) stands for the batch's name, by which they are
    put in order; the last ones are taken. `rolling`: bounds may be formulas over earlier batches. Raises UsageError,
    InputError, and EngineError when more than `max_scans` passes are planned."""
    _refuse_mistakes(path, batches, format, options or (), references or {})
    with session(spark) as own:
        sources = _sources(own.spark, path, batches, last, format, options or {}, references or {})
        planned = sources.planned
        if max_scans is not None and planned.most > max_scans:
            raise EngineError(
                f"suggesting reads more than {max_scans} times (fewer with '--last', none with '--history'): {planned}"
            )
        read = [batch for _, batch in sources.batches]
        types = _types(read[0]) if read[0].text else {}
        seen = _sampled([_seen(name, batch, types) for name, batch in sources.batches], read, types)
        suite = suggest(seen, _times([batch.id for batch in seen]), rolling=rolling)
        unverified, suite = suite, _verified(suite, read, seen)
        for name, reference in sources.references.items():
            suite = _referring(suite, seen, name, reference)
    dated = bool(_PLACE.search(sources.template)) and all(_day(batch.id) is not None for batch in seen)
    asked = {one.arguments["reference"] for one in suite.suggestions if one.type == "exists_in"}
    others = {name: place for name, place in (references or {}).items() if name in asked}
    head = Head(
        dataset, sources.template, sources.format, sources.options, batch_time=dated, types=types, references=others
    )
    before = dict(planned.passes)
    passes = (
        ("columns", before["columns"]),
        ("types", int(read[0].text)),
        ("profiles", len(read)),
        ("a look at rows", sum(bool(batch.sample) for batch in seen)),
        ("the key", int(_looks_closer(unverified, seen))),
        ("references", len(sources.references)),
    )
    return Suggested(suite, rule_file(suite, head), tuple(seen), planned, passes)


def plan_files(
    path: str,
    *,
    batches: Sequence[str] = (),
    last: int = 100,
    format: str = "",
    options: Mapping[str, str] | None = None,
    references: Mapping[str, str] | None = None,
    spark: SparkSession | None = None,
) -> Planned:
    """The passes that `suggest_files` will make; reads schemas alone, which of JSON takes a pass. Raises UsageError and InputError."""
    _refuse_mistakes(path, batches, format, options or (), references or {})
    with session(spark) as own:
        return _sources(own.spark, path, batches, last, format, options or {}, references or {}).planned


@dataclass(frozen=True)
class _Sources:
    """What there is to read, and nothing of it read but schemas."""

    template: str
    format: str
    options: Mapping[str, str]
    batches: tuple[tuple[str, Read], ...]
    references: Mapping[str, Read]

    @property
    def planned(self) -> Planned:
        """The passes: what cannot be known before is counted as if it took one."""
        read = [batch for _, batch in self.batches]
        columns = sum(batch.scans for batch in (*read, *self.references.values()))
        counts = (columns, int(read[0].text), len(read), min(len(read), SAMPLED), 1, len(self.references))
        return Planned(tuple(name for name, _ in self.batches), tuple(zip(PASSES, counts, strict=True)))


def _refuse_mistakes(
    path: str, batches: Sequence[str], format: str, options: Iterable[str], references: Mapping[str, str]
) -> None:
    """UsageError for what can be told before Spark is there."""
    known_format(path, format)
    refuse_options(options)
    if batches and not _PLACE.search(_template(path)):
        raise UsageError(f"--batches needs '{{{{ batch }}}}' in INPUT where the batch's name stands, got '{path}'")
    for name, place in references.items():
        if not is_name(name):
            raise UsageError(f"--reference {name}={place}: '{name}' is no name of a reference: letters, digits and '_'")
        if guess_format(place) not in FORMATS:
            raise UsageError(
                f"--reference {name}={place}: the name does not tell the format; {did_you_mean('', FORMATS, 'formats')}"
            )


def _template(path: str) -> str:
    """The path with `{{ batch }}` for a single `*`."""
    return path.replace("*", "{{ batch }}") if path.count("*") == 1 and not _PLACE.search(path) else path


def _sources(
    spark: SparkSession, path: str, batches: Sequence[str], last: int, format: str, options: Mapping[str, str],
    references: Mapping[str, str],
) -> _Sources:  # fmt: skip
    kind = known_format(path, format)
    template = _template(path)
    given = dict(options)
    if kind == "csv" and "header" not in {name.lower() for name in given}:
        given["header"] = "true"
    found = _batches(spark, template, batches, kind, given)[-last:]
    read = tuple(_read(spark, name, paths, kind, given) for name, paths in found)
    others = {}
    for name, place in references.items():
        form = guess_format(place)
        others[name] = _read(spark, name, (place,), form, {"header": "true"} if form == "csv" else {})[1]
    return _Sources(template, kind, given, read, others)


def suggest_history(
    root: str, history: str, *, path: str, dataset: str, last: int = 100, format: str = "", rolling: bool = False
) -> Suggested:
    """A rule file for `path` from the profiles in the history of a data set, without Spark and without reading a row: no
    rules about several columns but for NULLs. Raises InputError when no batch was profiled."""
    table: dict[str, list[dict[str, Any]]] = {}
    names = ["batch", "name", "instance", "filter", "segment", "parameters", "value", "exact", "numerator", "sketch"]
    for row in History(root, history).table("metrics").select(names).to_pylist():
        table.setdefault(row["batch"], []).append(row)
    seen = [batch for name, rows in table.items() if (batch := of_metrics(name, rows))][-last:]
    if not seen:
        raise InputError(f"no batch of '{history}' has a profile; 'profile: true' in its rule file makes one")
    suite = suggest(seen, _times([batch.id for batch in seen]), rolling=rolling)
    kind = format or guess_format(path)
    source = f", from the history of {history}"
    return Suggested(suite, rule_file(suite, Head(dataset, path, kind, source=source)), tuple(seen))


def _batches(
    spark: SparkSession, template: str, named: Sequence[str], kind: str, options: Mapping[str, str]
) -> list[tuple[str, tuple[str, ...]]]:
    """The batches with their paths, in the order of their names."""
    if not _PLACE.search(template):
        return [(re.split(r"[/\\]", template.rstrip("/"))[-1], (template,))]
    if named:
        return [(name, (_filled(template, name),)) for name in sorted(set(named), key=_order)]
    files = Reader(spark, Input(path=(_PLACE.sub("*", template),), format=kind, options=dict(options)), {}).pin()
    # a star of the path stands for what is there
    first, *rest = (".*?".join(map(re.escape, re.split(r"\*+", text))) for text in _PLACE.split(template))
    pattern = re.compile(first + r"([^/]+?)" + r"[^/]+?".join(rest) + r"(?=/|\Z)")
    found = {match[1] for file in files if (match := pattern.search(unquote(file.path)))}
    if not found:
        raise InputError(f"no file matches {template}")
    return [(name, (_filled(template, name),)) for name in sorted(found, key=_order)]


def _filled(template: str, name: str) -> str:
    return _PLACE.sub(lambda _: name, template)


def _order(name: str) -> list[tuple[int, int, str]]:
    """Numbers in a name by their size."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.findall(r"\d+|\D+", name)]


def _read(
    spark: SparkSession, name: str, paths: Sequence[str], kind: str, options: Mapping[str, str]
) -> tuple[str, Read]:
    reader = Reader(spark, Input(path=tuple(paths), format=kind, options=dict(options)), {})
    return name, reader.read(reader.pin())


def _good(batch: Read) -> DataFrame:
    """The rows that have the structure of the format."""
    return (
        batch.frame.where(f"{quote(MALFORMED_LINE)} is null") if MALFORMED_LINE in batch.frame.columns else batch.frame
    )


def _types(batch: Read) -> dict[str, str]:
    """What the texts of a batch look like. Digits that begin with a zero are a code."""
    found = {}
    for column in profile_frame(_good(batch), batch.columns).columns:
        kind = _TYPES.get(column.inferred, "string")
        texts = column.tally.texts
        if kind == "integer" and texts is not None:
            if any(len(text.lstrip("+-")) > 1 and text.lstrip("+-").startswith("0") for text, _ in column.top):
                kind = "string"
            elif (texts.longest or 0) >= 10:
                kind = "long"
        found[column.name] = kind
    return found


def _seen(name: str, batch: Read, types: Mapping[str, str]) -> Batch:
    """The facts of a batch, in one pass."""
    frame, cast = _good(batch), {n: kind for n, kind in types.items() if kind != "string"}
    if not cast:
        return of_profile(name, profile_frame(frame, batch.columns))
    typed = [column for column in batch.columns if column.name in cast]
    selected = [f"{quote(column.name)} as `r{place}`" for place, column in enumerate(batch.columns)]
    selected += [f"{text_as(quote(c.name), cast[c.name])} as `t{place}`" for place, c in enumerate(typed)]
    columns = [Column(f"r{place}", column.type) for place, column in enumerate(batch.columns)]
    columns += [Column(f"t{place}", _stored(cast[column.name])) for place, column in enumerate(typed)]
    whole = profile_frame(frame.selectExpr(*selected), tuple(columns))
    raw = {c.name: replace(p, name=c.name) for c, p in zip(batch.columns, whole.columns, strict=False)}
    again = {c.name: replace(p, name=c.name) for c, p in zip(typed, whole.columns[len(raw) :], strict=True)}
    shown = {f"r{place}": c.name for place, c in enumerate(batch.columns) if c.name not in again}
    shown |= {f"t{place}": c.name for place, c in enumerate(typed)}
    nulls: dict[tuple[str, ...], int] = {}
    for names, rows in whole.null_patterns:
        key = tuple(sorted(shown[one] for one in names if one in shown))
        nulls[key] = nulls.get(key, 0) + rows
    merged: list[ColumnProfile] = [again.get(name, profile) for name, profile in raw.items()]
    return of_profile(name, Profile(whole.rows, tuple(merged), tuple(nulls.items())), raw)


def _stored(kind: str) -> str:
    return {"integer": "int", "long": "bigint"}.get(kind, kind)


# rows


def _sampled(seen: Sequence[Batch], read: Sequence[Read], types: Mapping[str, str]) -> list[Batch]:
    """The batches, some of them with rows."""
    count = min(len(seen), SAMPLED)
    places = set(np.linspace(0, len(seen) - 1, count).round().astype(int).tolist())
    made = []
    for place, (facts, batch) in enumerate(zip(seen, read, strict=True)):
        names = [name for name, one in facts.columns.items() if one.kind != OTHER]
        rows = min(SAMPLED_ROWS, _SAMPLED_CELLS // max(1, len(names) * count))
        if place not in places or not names or not facts.rows:
            made.append(facts)
            continue
        sample = _sample(_good(batch), facts, names, types, max(rows, 100))
        size = len(next(iter(sample.values())))
        made.append(replace(facts, sample=sample, whole=size == facts.rows))
    return made


def _sample(
    frame: DataFrame, facts: Batch, names: Sequence[str], types: Mapping[str, str], rows: int
) -> dict[str, Vector]:
    expressions = [
        f"{_value(name, facts.columns[name].kind, facts.columns[name].type, types)} as `c{place}`"
        for place, name in enumerate(names)
    ]
    found = frame.limit(rows).selectExpr(*expressions).collect()
    sample: dict[str, Vector] = {}
    for place, name in enumerate(names):
        values: list[Any] = [row[place] for row in found]
        if facts.columns[name].kind in (NUMBER, MOMENT):
            sample[name] = np.array([np.nan if value is None else value for value in values], float)
        else:
            column = np.empty(len(values), object)
            column[:] = values
            sample[name] = column
    return sample


def _value(name: str, kind: str, type: str, types: Mapping[str, str]) -> str:
    """SQL of a value as the sample has it."""
    found = quote(name)
    if types.get(name, "string") != "string":
        found = text_as(found, types[name])
    if kind == NUMBER:
        return f"cast({found} as double)"
    if kind == MOMENT:
        return (
            f"cast(unix_date({found}) as double)"
            if type == "date"
            else f"cast(unix_micros(cast({found} as timestamp)) as double)"
        )
    return found if kind == TEXT else f"cast({found} as string)"


def _looks_closer(suite: Suite, seen: Sequence[Batch]) -> bool:
    """Whether there is a key, and rows of the last batch that were not looked at."""
    return any(one.type == "key" for one in suite.suggestions) and not seen[-1].whole


def _verified(suite: Suite, read: Sequence[Read], seen: Sequence[Batch]) -> Suite:
    """Without a key that holds among the rows looked at and not in the whole of the last batch."""
    if not _looks_closer(suite, seen):
        return suite
    key = next(one for one in suite.suggestions if one.type == "key")
    columns = [f"`{name}`" for name in (f"k{place}" for place in range(len(key.columns)))]
    chosen = [f"{quote(name)} as {alias}" for name, alias in zip(key.columns, columns, strict=True)]
    doubled = _good(read[-1]).selectExpr(*chosen).groupBy(*columns).count().where("count > 1").limit(1).collect()
    return replace(suite, suggestions=tuple(o for o in suite.suggestions if o is not key)) if doubled else suite


# references

_MOST_REFERENCED = 200_000


def _referring(suite: Suite, seen: Sequence[Batch], name: str, batch: Read) -> Suite:
    """With a rule for each column whose values all stand in a column of another data set that has each once; a note for a
    column whose values a rule lists already."""
    rows = (
        _good(batch)
        .selectExpr(*(f"cast({quote(c.name)} as string)" for c in batch.columns if kind_of(c.type) in (TEXT, NUMBER)))
        .limit(_MOST_REFERENCED)
        .collect()
    )
    ruled = {one.columns[0] for one in suite.suggestions if one.test == "unlisted"}
    suggestions, notes = list(suite.suggestions), list(suite.notes)
    for place, column in enumerate(rows[0].__fields__ if rows else ()):
        known = [row[place] for row in rows if row[place] is not None]
        members = frozenset(known)
        if len(members) < max(3, len(known)):
            continue
        for ours, facts in seen[-1].columns.items():
            if facts.kind != TEXT:
                continue
            values = _values(seen, ours)
            if len(values) < 3 or not values <= members:
                continue
            why = f"all {len(values):,} values stand in {column} of {name}, which has {len(members):,}, each once"
            if ours not in ruled:
                ruled.add(ours)
                asked = {"reference": name, "reference_columns": [column]}
                given = {"values": members, "key": "set"}
                suggestions.append(Suggestion("exists_in", (ours,), asked, "unlisted", why, given))
            else:
                notes.append(f"{ours}: {why}")
    return replace(suite, suggestions=tuple(suggestions), notes=tuple(notes))


def _values(seen: Sequence[Batch], name: str) -> set[str]:
    found: set[str] = set()
    for batch in seen:
        facts = batch.columns.get(name)
        if facts is not None:
            found.update(facts.values if facts.values is not None else facts.frequent)
            if facts.values is None and name in batch.sample:
                found.update(value for value in batch.sample[name].tolist() if value is not None)
    return found


# time


def _day(name: str) -> float | None:
    try:
        return float(date.fromisoformat(name).toordinal() - date(1970, 1, 1).toordinal())
    except ValueError:
        return None


def _times(names: Sequence[str]) -> dict[str, float]:
    """The days that batches are named by, from 1970; empty when one is named otherwise."""
    days = {name: _day(name) for name in names}
    return {name: day for name, day in days.items() if day is not None} if None not in days.values() else {}
