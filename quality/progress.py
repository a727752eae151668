"""A line that says what is going on, on a terminal only: the step, how far Spark is, how long it takes."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from typing_extensions import Self

_CLEAR = "\r\x1b[2K"
_INTERVAL = 0.2
_WHEEL = "|/-\\"


class Progress:
    """Rewrites one line of a terminal until it is left; silent when the stream is none, or `quiet`."""

    def __init__(self, stream: TextIO, quiet: bool = False) -> None:
        self.stream = stream
        self.live = not quiet and stream.isatty()
        self.words = ""
        self._start = time.monotonic()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._redraw, daemon=True)

    def __enter__(self) -> Self:
        if self.live:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        if self.live:
            self._thread.join()
            self.stream.write(_CLEAR)
            self.stream.flush()

    def told(self, words: str) -> None:
        """What is going on now."""
        self.words = words

    def _redraw(self) -> None:
        turn = 0
        while not self._done.wait(_INTERVAL):
            turn += 1
            seconds = int(time.monotonic() - self._start)
            self.stream.write(f"{_CLEAR}{_WHEEL[turn % 4]} {self.words}{_spark_tasks()} ({seconds} s)")
            self.stream.flush()


def _spark_tasks() -> str:
    """Tasks done of those of the running stages; empty when Spark is not there or not working."""
    from py4j.protocol import Py4JError
    from pyspark import SparkContext

    context = SparkContext._active_spark_context
    # a context that is being made is known before its parts are there
    if context is None or getattr(context, "_jsc", None) is None:
        return ""
    try:
        tracker = context.statusTracker()
        stages = [tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds()]
    except (Py4JError, OSError, AttributeError):
        # Spark may be going down: a progress line must never be what fails
        return ""
    tasks = sum(stage.numTasks for stage in stages if stage)
    done = sum(stage.numCompletedTasks for stage in stages if stage)
    return f": {done} of {tasks} tasks" if tasks else ""
