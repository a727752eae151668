"""A data quality engine for Spark: rules in text files, judged in as few passes over the data as there can be.

`quality.run(rules, batch)` does what the command `quality run` does, `quality.stream(rules)` what `quality stream` does; `quality.load` reads a rule file; `quality.profile`
tells what a DataFrame or a file is like; `quality.read` and `quality.paths` give the live rows of a data set. Importing the package imports no Spark.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from quality.history_reader import History
    from quality.profiling import profile
    from quality.results import RunResult
    from quality.rulefile import load
    from quality.runs import run
    from quality.storage.readers import paths, read
    from quality.streams import stream
    from quality.versions import publish, rollback

__all__ = ["History", "RunResult", "load", "paths", "profile", "publish", "read", "rollback", "run", "stream"]

_HOMES = {
    "History": "quality.history_reader",
    "RunResult": "quality.results",
    "load": "quality.rulefile",
    "paths": "quality.storage.readers",
    "profile": "quality.profiling",
    "publish": "quality.versions",
    "read": "quality.storage.readers",
    "rollback": "quality.versions",
    "run": "quality.runs",
    "stream": "quality.streams",
}


def __getattr__(name: str) -> Any:
    """Public names are imported when they are asked for: Spark takes its time."""
    if name not in _HOMES:
        raise AttributeError(f"module 'quality' has no attribute '{name}'")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
