"""Faults as they happen to feeds, planted into a share of the rows of a batch (a dict of columns: float64, or object with
None)."""

from __future__ import annotations

from typing import Any

import numpy as np

FAULTS = (
    "explicit_missing", "implicit_missing", "numeric_scale", "numeric_noise", "swap_numeric", "swap_text", "typos",
    "case_change", "category_drift", "duplicates", "volume_drop",
)  # fmt: skip
#: Kinds that came later, and are not part of the figures of the others: timestamps of an earlier day (a clock or a partition that
#: stands still), and numbers written for another locale (1,234 and 1,5), which the type of the column does not read.
LATER = ("stale_timestamps", "type_drift")
#: Columns that hold moments, in hours since 1970.
MOMENTS = ("moment",)
#: The kinds of Redyuk et al., EDBT 2021.
REDYUK = ("explicit_missing", "implicit_missing", "numeric_noise", "swap_numeric", "swap_text", "typos")
SHARES = (0.01, 0.05, 0.1, 0.2, 0.5)
Columns = dict[str, Any]


def rows_of(batch: Columns) -> int:
    return len(next(iter(batch.values())))


def is_text(values: np.ndarray) -> bool:
    return values.dtype == object


def inject(
    batch: Columns, fault: str, share: float, rng: np.random.Generator
) -> tuple[Columns, tuple[str, ...]] | None:
    """The batch with a fault in a share of its rows, and the columns that have it (none: the table); None when the batch
    has no such columns, or would be empty."""
    n, out = rows_of(batch), {name: values.copy() for name, values in batch.items()}
    rows = rng.choice(n, max(1, round(share * n)), replace=False)
    texts = [c for c, v in batch.items() if is_text(v)]
    moments = [c for c in batch if c in MOMENTS]
    numbers = [c for c in batch if c not in (*texts, *moments)]
    if fault in ("duplicates", "volume_drop"):
        kept = np.append(np.arange(n), rows) if fault == "duplicates" else np.setdiff1d(np.arange(n), rows)
        return ({name: values[kept] for name, values in out.items()}, ()) if len(kept) else None
    if fault.startswith("swap"):
        pool = numbers if fault == "swap_numeric" else texts
        if len(pool) < 2:
            return None
        a, b = (str(c) for c in rng.choice(pool, 2, replace=False))
        out[a][rows], out[b][rows] = batch[b][rows], batch[a][rows]
        return out, (a, b)
    if fault == "stale_timestamps":
        for name in moments:
            out[name][rows] -= 24 * int(rng.choice([1, 2, 7]))
        return (out, tuple(moments)) if moments else None
    if fault == "type_drift":
        unread = {c: rows[(np.abs(batch[c][rows]) >= 1000) | (batch[c][rows] % 1 > 0)] for c in numbers}
        if not (pool := [c for c in numbers if len(unread[c])]):
            return None
        column = str(rng.choice(pool))
        out[column][unread[column]] = np.nan
        return out, (column,)
    pool = (
        texts if fault in ("typos", "case_change", "category_drift") else numbers if "numeric" in fault else list(batch)
    )
    if not pool:
        return None
    column = str(rng.choice(pool))
    out[column][rows] = _broken(out[column], rows, fault, rng)
    return out, (column,)


def _broken(values: np.ndarray, rows: np.ndarray, fault: str, rng: np.random.Generator) -> Any:
    """What stands in those rows of a column afterwards."""
    if fault == "explicit_missing":
        return None if is_text(values) else np.nan
    if fault == "implicit_missing":
        return "NONE" if is_text(values) else 99999
    if fault == "numeric_scale":
        return values[rows] * rng.choice([10, 100, 1000])
    if fault == "numeric_noise":
        known = values[np.isfinite(values)]
        sd = known.std() if len(known) else 1.0
        return rng.normal(known.mean() if len(known) else 0.0, rng.uniform(2, 5) * (sd or 1.0), len(rows))
    known_texts = sorted({v for v in values if v is not None})
    if fault == "category_drift":
        return known_texts[rng.integers(len(known_texts))] if known_texts else None
    change = str.swapcase if fault == "case_change" else lambda text: _typo(text, rng)
    return np.array([None if values[row] is None else change(values[row]) for row in rows], object)


def _typo(text: str, rng: np.random.Generator) -> str:
    place = int(rng.integers(len(text)))
    near = "qwertyuiopasdfghjklzxcvbnm1234567890"
    at = near.find(text[place].lower())
    other = near[(at + 1) % len(near)] if at >= 0 else "x"
    return text[:place] + (other.upper() if text[place].isupper() else other) + text[place + 1 :]
