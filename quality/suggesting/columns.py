"""What a column was like in every batch, said as rules: completeness, ranges, sets, patterns, lengths."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from quality.suggesting.chances import SLIGHT, beyond, rounded, share_limit, trends, wanders
from quality.suggesting.facts import MOMENT, NUMBER, TEXT, Batch, Facts, series
from quality.suggesting.judging import Suggestion, example_of

#: Rows without an exception before a rule may say "always" with full weight.
ENOUGH_ROWS = 1000
#: Members of a set that a person still reads, and digits or codes that are rather a number.
_LARGEST_SET = 60
#: Bounds of a mean as wide as this share of the range add nothing to it.
_SAYS_NOTHING = 0.75
_FORMATS = {
    "uuid": r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}",
    "email": r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+",
    "url": r"(?i:https?|ftp)://[^\s/?#]+(?:[/?#]\S*)?",
    "ipv4": r"(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.|\Z)){4}(?<!\.)",
    "mac": r"[0-9A-Fa-f]{2}(?:(?::[0-9A-Fa-f]{2}){5}|(?:-[0-9A-Fa-f]{2}){5})",
    "phone": r"\+[1-9](?:[ ().-]{0,3}[0-9]){6,14}",
}
#: A format is believed when at least this many different values have it.
_VALUES_OF_FORMAT = 20


def suggest_column(batches: Sequence[Batch], name: str, slack: float) -> Iterator[Suggestion]:
    """The rules of one column."""
    yield from _complete(batches, name, slack)
    found = series(batches, name)
    if not found:
        return
    chosen = _closed_set(found, name)
    if chosen:
        yield chosen
    if found[-1].kind == TEXT and not chosen:
        yield from _texts(found, name)
    if found[-1].kind == NUMBER:
        yield from _numbers(found, name, slack, few=bool(chosen))


def _complete(batches: Sequence[Batch], name: str, slack: float) -> Iterator[Suggestion]:
    with_rows = [batch for batch in batches if batch.rows and name in batch.columns]
    if not with_rows:
        return
    rows = sum(batch.rows for batch in with_rows)
    missing = [1 - batch.columns[name].present / batch.rows for batch in with_rows]
    if not any(missing):
        why = f"never NULL in {rows:,} rows"
        yield Suggestion("required", (name,), {}, "missing", why, {"key": "always"}, strong=rows >= ENOUGH_ROWS)
        return
    if min(missing) >= 0.9 or (len(with_rows) < 3 and max(missing) > 0.5):
        return
    limit = share_limit(missing, float(np.median([batch.rows for batch in with_rows])), slack)
    if limit < 0.6:
        bound = rounded(1 - limit, up=False)
        why = f"NULL in {_percent(min(missing))} to {_percent(max(missing))} of the rows of a batch"
        arguments, given = {"at_least": bound}, {"key": "mostly"}
        yield Suggestion("completeness", (name,), arguments, "missing", why, given, tolerance=1 - bound)


def _percent(share: float) -> str:
    return f"{100 * share:.2g}%"


def is_closed(sets: Sequence[set[Any]], shares: Sequence[dict[Any, int]], rows: Sequence[int]) -> bool:
    """Whether a vocabulary looks complete: no member was seen in one batch alone (Good and Turing estimate from those how
    much is unseen), and the later half brought hardly anything that the first did not have."""
    if len(sets) < 2:
        return False
    seen = Counter(member for members in sets for member in members)
    if any(times == 1 for times in seen.values()):
        return False
    first = set().union(*sets[: len(sets) // 2])
    later = zip(sets[len(sets) // 2 :], shares[len(sets) // 2 :], rows[len(sets) // 2 :], strict=True)
    return all(sum(counts[x] for x in members - first) <= SLIGHT / 2 * max(n, 1) for members, counts, n in later)


def _closed_set(found: Sequence[Facts], name: str) -> Suggestion | None:
    if found[-1].kind not in (TEXT, NUMBER) or any(facts.values is None for facts in found):
        return None
    counts = [dict(facts.values or {}) for facts in found]
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    rows = sum(facts.present for facts in found)
    if not 1 <= len(total) <= _LARGEST_SET or (found[-1].kind == NUMBER and not _is_code(total)):
        return None
    often = min(total.values()) >= 5 and rows >= 20 * len(total)
    if len(found) == 1:
        if not (often and len(total) <= 12 and rows >= ENOUGH_ROWS):
            return None
    elif not is_closed([set(one) for one in counts], counts, [facts.present for facts in found]):
        return None
    if found[-1].kind == NUMBER:
        # the rule compares numbers; what stands in the file is what people write
        values: list[Any] = sorted(float(text) for text in total)
        values = [int(value) if value.is_integer() else value for value in values]
    else:
        values = sorted(total)
    why = f"{_several(len(values), 'value')} in {rows:,}, none of them in one batch alone"
    if len(found) == 1:
        why = f"{_several(len(values), 'value')} in {rows:,}, each at least {min(total.values())} times"
    given = {"values": frozenset(total), "key": "set"}
    strong = len(found) >= 5 and often
    return Suggestion("in", (name,), {"values": values}, "unlisted", why, given, strong=strong)


def _several(count: int, word: str) -> str:
    return f"{count} {word}{'s' if count != 1 else ''}"


def _is_code(total: Counter[str]) -> bool:
    """Few whole numbers that are no stretch of numbers: 0/1, or 100/200/404. A stretch is a range."""
    try:
        numbers = sorted(float(text) for text in total)
    except ValueError:
        return False
    whole = all(number.is_integer() for number in numbers)
    return whole and len(numbers) <= 12 and (len(numbers) <= 2 or numbers[-1] - numbers[0] >= 2 * len(numbers))


# texts


def _texts(found: Sequence[Facts], name: str) -> Iterator[Suggestion]:
    named = _named_format(found)
    if named:
        why = f"every one of {sum(len(facts.frequent) for facts in found):,} values looked at is one"
        pattern = _FORMATS[named]
        given = {"pattern": pattern, "key": named}
        yield Suggestion("format", (name,), {"is": named}, "ill-formed", why, given, strong=len(found) >= 5)
        return
    pattern = _pattern(found)
    if pattern:
        shapes = {shape for facts in found for shape in facts.shapes or ()}
        why = f"{_several(len(shapes), 'shape')} in {sum(facts.present for facts in found):,} values"
        given = {"pattern": pattern, "key": "shape"}
        yield Suggestion("matches", (name,), {"pattern": pattern}, "misshapen", why, given, strong=len(found) >= 5)
        return
    shortest = [facts.shortest for facts in found if facts.shortest is not None]
    longest = [facts.longest for facts in found if facts.longest is not None]
    if len(shortest) < 5 or max(longest) > 200:
        return
    low, high = min(shortest), max(longest)
    if (np.array(shortest) == low).mean() >= 0.5 and (np.array(longest) == high).mean() >= 0.5:
        bounds = {"equals": low} if low == high else {"between": [low, high]}
        why = f"lengths {low} to {high}, both ends met in most batches"
        yield Suggestion("length", (name,), bounds, "too long", why, {"low": low, "high": high, "key": "length"})


def _named_format(found: Sequence[Facts]) -> str:
    values = {text for facts in found for text in facts.frequent}
    if len(values) < _VALUES_OF_FORMAT:
        return ""
    return next((n for n, p in _FORMATS.items() if all(re.fullmatch(p, text) for text in values)), "")


def _pattern(found: Sequence[Facts]) -> str:
    """A regular expression of all shapes; empty when texts are free or shapes still come anew."""
    if any(facts.shapes is None for facts in found):
        return ""
    counts = [dict(facts.shapes or {}) for facts in found]
    shapes = sorted(set().union(*counts))
    if not shapes or any("..." in shape or "+}" in shape or not shape.isascii() for shape in shapes):
        return ""
    if max(len(example_of(shape)) for shape in shapes) > 60:
        return ""
    present = [facts.present for facts in found]
    if len(found) > 1:
        kinds = [{_kinds(shape) for shape in one} for one in counts]
        by_kind = [_by_kind(one) for one in counts]
        if not is_closed(kinds, by_kind, present):
            return _alphabet(shapes, found)
    elif sum(present) < ENOUGH_ROWS:
        return ""
    forms: dict[tuple[str, ...], list[tuple[int, ...]]] = {}
    for shape in shapes:
        forms.setdefault(_kinds(shape), []).append(tuple(size for _, size in _runs(shape)))
    if len(forms) > 4 or sum(len(kinds) for kinds in forms) > 24:
        return _alphabet(shapes, found)
    parts = [_form(kinds, sizes) for kinds, sizes in sorted(forms.items())]
    return "|".join(parts)


def _runs(shape: str) -> list[tuple[str, int]]:
    return [(run[1], int(run[2] or 1)) for run in re.finditer(r"(.)(?:\{(\d+)\})?", shape, re.DOTALL)]


def _kinds(shape: str) -> tuple[str, ...]:
    return tuple(sign for sign, _ in _runs(shape))


def _by_kind(shapes: dict[str, int]) -> dict[tuple[str, ...], int]:
    found: dict[tuple[str, ...], int] = {}
    for shape, count in shapes.items():
        found[_kinds(shape)] = found.get(_kinds(shape), 0) + count
    return found


_CLASSES = {"A": "[A-Z]", "a": "[a-z]", "9": "[0-9]"}


def _form(kinds: tuple[str, ...], sizes: list[tuple[int, ...]]) -> str:
    text = ""
    for sign, lengths in zip(kinds, zip(*sizes, strict=True), strict=True):
        low, high = min(lengths), max(lengths)
        times = "" if low == high == 1 else f"{{{low}}}" if low == high else f"{{{low},{high}}}"
        text += _CLASSES.get(sign, re.escape(sign)) + times
    return text


def _alphabet(shapes: list[str], found: Sequence[Facts]) -> str:
    """Which letters and how many, where the order of them is not settled."""
    signs = {sign for shape in shapes for sign, _ in _runs(shape)}
    if len(found) < 5 or " " in signs or not signs <= set("Aa9-_./:"):
        return ""
    lengths = [len(example_of(shape)) for shape in shapes]
    low, high = min(lengths), max(lengths)
    if high - low > 6 or signs >= {"A", "a", "9"}:
        return ""
    inside = "".join(_CLASSES[sign][1:-1] for sign in ("9", "A", "a") if sign in signs)
    inside += "".join(re.escape(sign) for sign in sorted(signs - {"9", "A", "a"}))
    return f"[{inside}]{{{low},{high}}}"


# numbers


def _numbers(found: Sequence[Facts], name: str, slack: float, *, few: bool) -> Iterator[Suggestion]:
    lows = np.array([f.low for f in found if f.low is not None and np.isfinite(f.low)], float)
    highs = np.array([f.high for f in found if f.high is not None and np.isfinite(f.high)], float)
    if len(lows) == 0 or len(highs) == 0:
        return
    within = (-np.inf, np.inf)
    for one in () if few else _range(found, name, lows, highs, slack):
        within = (one.given["low"], one.given["high"])
        yield one
    means = [facts.mean for facts in found if facts.mean is not None and np.isfinite(facts.mean)]
    if len(means) >= 7 and not few and not trends(means) and not wanders(means) and np.std(means) > 0:
        low, high = beyond(means, slack)
        # a shift within a quarter of the values' own spread is no fault
        slight = 0.25 * slack * float(np.median([facts.spread or 0 for facts in found]))
        middle = float(np.median(means))
        low, high = min(low, middle - slight), max(high, middle + slight)
        if lows.min() >= 0 and low < 0:
            low = 0.0
        bounds = [rounded(low, up=False), rounded(high, up=True)]
        # values that are in their range have such a mean anyway
        if bounds[1] - bounds[0] > _SAYS_NOTHING * (within[1] - within[0]):
            return
        why = f"means of {_number(min(means))} to {_number(max(means))}"
        given = {"low": bounds[0], "high": bounds[1], "key": "mean"}
        yield Suggestion("mean", (name,), {"between": bounds}, "mean", why, given, strong=False)


def _range(found: Sequence[Facts], name: str, lows: Any, highs: Any, slack: float) -> Iterator[Suggestion]:
    whole = found[-1].type not in ("double", "float") and not found[-1].type.startswith("decimal")
    low, hard_low = _end(lows, slack, whole=whole, up=False)
    high, hard_high = _end(highs, slack, whole=whole, up=True)
    if low is not None and lows.min() >= 0 and low < 0:
        low = 0
    if low is None and lows.min() >= 0:
        low = 0
    hard = hard_low and hard_high
    tolerance = 0.0 if hard else SLIGHT
    tail = "" if hard else "; ends that vary have room"
    if low == 0 < lows.min() and (trends(lows) or lows.min() > 0.5 * highs.max()):
        tail = "; never negative, the lower end moves"
    why = f"{_number(lows.min())} to {_number(highs.max())}{tail}"
    given = {"low": -np.inf if low is None else low, "high": np.inf if high is None else high, "key": "range"}
    strong = len(found) >= 5
    if low is not None and high is not None:
        arguments: Any = {"range": [low, high]}
        kind = "between"
    elif low is not None:
        kind, arguments, why = "at_least", {"value": low}, f"{_number(lows.min())} at least; the other end keeps moving"
    elif high is not None:
        kind, arguments, why = "at_most", {"value": high}, f"{_number(highs.max())} at most; the other end keeps moving"
    else:
        return
    yield Suggestion(kind, (name,), arguments, "outside", why, given, tolerance=tolerance, strong=strong)


def _end(values: Any, slack: float, *, whole: bool, up: bool) -> tuple[float | None, bool]:
    """An end of the range, and whether it is a hard one: met again in at least half of the batches. None when it moves."""
    extreme = float(values.max() if up else values.min())
    shown = round(extreme) if whole or extreme.is_integer() else extreme
    if len(values) >= 5 and (values == extreme).mean() >= 0.5:
        return shown, True
    if trends(values):
        return None, False
    median = float(np.median(values))
    room = slack * 2 * abs(extreme - median)
    if len(values) < 5:
        room = max(room, slack * abs(extreme))
    # what varies so little that its whole reach is seen needs no more
    return rounded(extreme + room if up else extreme - room, up=up, whole=whole), False


def _number(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:.4g}"


def moments(batches: Sequence[Batch], name: str) -> list[Facts]:
    """A column of dates or moments through the batches."""
    return [facts for facts in series(batches, name) if facts.kind == MOMENT]
