"""The line that says what is going on."""

from __future__ import annotations

import io
import time

import pytest

from quality.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(stream: io.StringIO, quiet: bool = False) -> str:
    with Progress(stream, quiet) as progress:
        progress.told("measuring")
        time.sleep(0.5)
    return stream.getvalue()


def test_a_terminal_sees_the_step_and_is_left_with_a_clean_line():
    text = shown(Terminal())
    assert "measuring" in text
    assert text.endswith("\r\x1b[2K")


@pytest.mark.parametrize(("stream", "quiet"), ((io.StringIO(), False), (Terminal(), True)))
def test_a_pipe_and_whoever_wants_quiet_see_nothing(stream, quiet):
    assert not shown(stream, quiet)
