"""Wall and CPU seconds of what runs here, the JVM of Spark included."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Spent:
    """What an action took. `cpu` counts this process and its children, the JVM among them: it says little of waiting,
    and is steadier than `wall` on a busy machine."""

    wall: float
    cpu: float


def spent(action: Callable[[], Any]) -> tuple[Spent, Any]:
    """Run an action; what it took and what it returned."""
    processes = _family(os.getpid())
    cpu, wall = sum(map(_cpu, processes)), time.perf_counter()
    returned = action()
    wall = time.perf_counter() - wall
    return Spent(wall, sum(map(_cpu, _family(os.getpid()))) - cpu), returned


def _family(pid: int) -> list[int]:
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            children = (task / "children").read_text().split()
        except OSError:
            continue
        for child in children:
            found += _family(int(child))
    return found


def _cpu(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS
