"""The line that says what is going on."""

from __future__ import annotations

import io
import threading
import time

import pytest

from quality.progress import Progress


class Terminal(io.StringIO):
    """`said` is set when it was told of the step."""

    def __init__(self) -> None:
        super().__init__()
        self.said = threading.Event()

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if "measuring" in text:
            self.said.set()
        return super().write(text)


def test_a_terminal_sees_the_step_and_is_left_with_a_clean_line():
    stream = Terminal()
    with Progress(stream) as progress:
        progress.told("measuring")
        assert stream.said.wait(60)
    assert stream.getvalue().endswith("\r\x1b[2K")


@pytest.mark.parametrize(("stream", "quiet"), ((io.StringIO(), False), (Terminal(), True)))
def test_a_pipe_and_whoever_wants_quiet_see_nothing(stream, quiet):
    with Progress(stream, quiet) as progress:
        progress.told("measuring")
        time.sleep(0.5)
    assert not stream.getvalue()
