"""Results on a terminal or in a log: the same words with and without colour, so that a pipe loses nothing."""

from __future__ import annotations

import io
import os
import shlex
import shutil
import sys
import textwrap
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TextIO

from quality.model import gravest_exit
from quality.report import (
    UNEXPLAINED,
    Result,
    Rule,
    about,
    all_tolerated,
    anomaly_text,
    clean,
    count,
    failing,
    group_text,
    held_by,
    level,
    listing,
    message_lines,
    more_groups,
    moves_rows,
    numbers,
    others,
    outcome,
    problems,
    rows_line,
    rows_of,
    rules_of,
    slice_text,
    title,
    tolerated,
    unaccounted,
    was_counted,
)

SIGNS = {"error": "✗", "failed": "✗", "warning": "!", "not_applicable": "○", "passed": "✓"}
STYLES = {"error": "bold red", "failed": "bold red", "warning": "yellow", "not_applicable": "dim", "passed": "green"}
_ASCII = str.maketrans({"✗": "x", "○": "o", "✓": "+"})

#: A person reads the first fifty; the page and the JSON have them all.
_MOST_PROBLEMS = 50
_MOST_GROUPS = 5


@dataclass(frozen=True)
class Line:
    """A line before wrapping: `style` colours `head` only; what wraps hangs below `hang` spaces; a `whole` line is
    never wrapped, so that an address or a command can be copied."""

    head: str
    body: str = ""
    style: str = ""
    hang: int = 0
    whole: bool = False

    def wrapped(self, width: int | None) -> list[str]:
        """The line in pieces of at most `width` characters; a long word is never broken. None: one piece."""
        text = f"{self.head}{self.body}"
        if self.whole or width is None or len(text) <= width:
            return [text]
        indent = " " * self.hang
        return textwrap.wrap(text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def render(
    result: Result, color: bool | None = None, width: int | None = None, verbose: bool = False, encoding: str = "utf-8"
) -> str:
    """One batch for a person, ending in a newline. `color` None: as standard output wants it. `width` None: no
    wrapping. `verbose` lists the rules that passed too. What `encoding` cannot express becomes ASCII."""
    return _encodable(_paint(_batch(result, verbose), _wants_color(sys.stdout, color), width), encoding)


def render_many(
    results: Sequence[Result],
    color: bool | None = None,
    width: int | None = None,
    verbose: bool = False,
    encoding: str = "utf-8",
) -> str:
    """Several batches: one row each, then the details of those that did not pass (of all when `verbose`)."""
    lines = [*_table(results), Line(""), Line(_totals(results))]
    for result in results:
        if verbose or result.get("status") != "passed":
            lines += [Line(""), *_batch(result, verbose)]
    return _encodable(_paint(lines, _wants_color(sys.stdout, color), width), encoding)


def show(result: Result, stream: TextIO | None = None, verbose: bool = False) -> None:
    """Print a result (or the `results` of several batches) as the stream can take it: colours and wrapping on a
    terminal only, ASCII where the encoding demands it. None: standard output."""
    out = stream or sys.stdout
    width = shutil.get_terminal_size().columns if _is_terminal(out) else None
    encoding = getattr(out, "encoding", None) or "utf-8"
    several = result.get("results")
    if several is None:
        out.write(render(result, _wants_color(out), width, verbose, encoding))
    else:
        out.write(render_many(several, _wants_color(out), width, verbose, encoding))


def summary_line(result: Result) -> str:
    """The result in one line, for logs and exceptions."""
    parts = [f"{title(result)}: {outcome(result)}", clean(result.get("message"), 200)]
    parts += [_failed_part(result), _quarantined_part(result), held_by(result)]
    report = (result.get("outputs") or {}).get("report")
    parts.append(f"report {clean(report)}" if report else "")
    return "; ".join(filter(None, parts))


def _failed_part(result: Result) -> str:
    rules, bad = rules_of(result), problems(result)
    failed = [str(rule.get("id")) for rule in bad if rule.get("status") == "failed"]
    errored = [str(rule.get("id")) for rule in bad if rule.get("status") == "error"]
    if not rules:
        return ""
    text = f"{len(failed):,} of {count(len(rules), 'rule')} failed" + (f" ({listing(failed)})" if failed else "")
    return text + (f", {len(errored):,} not judged ({listing(errored)})" if errored else "")


def _quarantined_part(result: Result) -> str:
    if not was_counted(result):
        return ""
    rows, lost = rows_of(result), unaccounted(result)
    within = " within tolerance" if all_tolerated(result) and result.get("decision") == "published" else ""
    text = f"{rows['quarantined']:,} of {count(rows['input'], 'row')} quarantined{within}"
    return text + (f"; {lost:+,} rows unaccounted for" if lost else "")


# -- one batch ---------------------------------------------------------------------------------------------------------


def _batch(result: Result, verbose: bool) -> list[Line]:
    blocks = [_headline(result), _verdicts(result), _remainder(result, verbose), _places(result), _next(result)]
    lines: list[Line] = []
    for block in filter(None, blocks):
        lines += [*([Line("")] if lines else []), *block]
    return lines


def _headline(result: Result) -> list[Line]:
    status = str(result.get("status"))
    head = f"{SIGNS.get(status, '!')} {title(result)}: {clean(status)}"
    rest = outcome(result).removeprefix(clean(status))
    lines = [Line(head, rest, STYLES.get(status, ""), 2)]
    lines += [Line("  ", text, hang=2) for text in message_lines(result)]
    style = STYLES["error"] if unaccounted(result) else ""
    lines.append(Line(f"  {rows_line(result)}", "", style, 2))
    if held_by(result):
        lines.append(Line(f"  {held_by(result)}", "; readers see nothing of it", hang=2))
    return lines + _tolerance(result)


def _tolerance(result: Result) -> list[Line]:
    """Rows that left, or stayed, although their rule passed."""
    moved = [rule for rule in tolerated(result) if moves_rows(rule)]
    kept = [rule for rule in tolerated(result) if not moves_rows(rule)]
    lines = [Line("  ", f"quarantined within tolerance: {_tally(moved)}", hang=4)] if moved else []
    if all_tolerated(result) and not moved:
        lines.append(Line("  ", UNEXPLAINED, hang=4))
    return lines + ([Line("  ", f"kept within tolerance: {_tally(kept)}", hang=4)] if kept else [])


def _tally(rules: Sequence[Rule]) -> str:
    return listing([f"{clean(rule.get('id'), 60)} ({failing(rule)})" for rule in rules], 5)


def _verdicts(result: Result) -> list[Line]:
    found = problems(result)
    lines = [line for rule in found[:_MOST_PROBLEMS] for line in _rule(rule)]
    if len(found) > _MOST_PROBLEMS:
        lines.append(Line("  ", f"and {count(len(found) - _MOST_PROBLEMS, 'more failed rule')}", hang=2))
    return lines + [line for anomaly in result.get("anomalies") or [] for line in _anomaly(anomaly)]


def _rule(rule: Rule) -> list[Line]:
    lines = [_first_line(rule)]
    lines += [Line("    ", text, hang=6) for text in (slice_text(rule), about(rule)) if text]
    lines += [Line("    ", text, hang=6) for text in _groups(rule)]
    return lines + ([Line(f"    {clean(rule['location'])}", "", "dim", 4)] if rule.get("location") else [])


def _first_line(rule: Rule) -> Line:
    loud = level(rule)
    body = clean(rule.get("message")) or numbers(rule)
    return Line(f"{SIGNS[loud]} {clean(rule.get('id'), 200)}", f"  {body}".rstrip(), STYLES[loud], 4)


def _groups(rule: Rule) -> list[str]:
    groups = rule.get("groups") or []
    texts = [f"group {group_text(group)}" for group in groups[:_MOST_GROUPS]]
    return [*texts, *filter(None, [more_groups(rule, _MOST_GROUPS)])]


def _anomaly(anomaly: Result) -> list[Line]:
    lines = [Line(f"{SIGNS['warning']} anomaly", f"  {anomaly_text(anomaly)}", STYLES["warning"], 4)]
    return lines + ([Line("    ", clean(anomaly["message"]), hang=4)] if anomaly.get("message") else [])


def _remainder(result: Result, verbose: bool) -> list[Line]:
    rest = others(result)
    if verbose:
        return [line for rule in rest for line in _rule(rule)]
    passed = [rule for rule in rest if rule.get("status") == "passed"]
    silent = len(rest) - len(passed)
    counts = [(SIGNS["passed"], len(passed), "passed"), (SIGNS["not_applicable"], silent, "not applicable")]
    return [Line(f"{sign} {count(number, 'rule')} {word}", "", "dim", 2) for sign, number, word in counts if number]


def _places(result: Result) -> list[Line]:
    outputs = result.get("outputs") or {}
    named = {"rules": result.get("rule_file"), "run": result.get("run"), **outputs}
    return [Line(f"  {name:<12}", clean(value, 1000), "dim", whole=True) for name, value in named.items() if value]


def _next(result: Result) -> list[Line]:
    """What a person would do now, each with the address or command to copy; nothing when all is well."""
    lines: list[Line] = []
    for text, target in _steps(result):
        lines.append(Line("" if lines else "next: ", f"{'      ' if lines else ''}{text}", "bold", 6))
        lines.append(Line("", f"        {target}", whole=True))
    return lines


def _steps(result: Result) -> list[tuple[str, str]]:
    place = (result.get("outputs") or {}).get("quarantine")
    steps = []
    if place and rows_of(result)["quarantined"]:
        steps.append(("see the quarantined rows with their reasons", clean(place, 1000)))
    if result.get("unchanged"):
        steps.append(
            ("the input and the rules are as they were in this run; to run anyway", f"{_command(result)} --force")
        )
    elif result.get("status") == "error":
        steps.append(("when the cause is gone, run the batch again", _command(result)))
    elif result.get("status") != "passed":
        steps.append(("after correcting the data or the rules, run the batch again", _command(result)))
    return steps


def _command(result: Result) -> str:
    """The command that gave the result, when whoever shows it knows; else the shortest one that could have."""
    if result.get("command"):
        return str(result["command"])
    file, batch = clean(result.get("rule_file") or "RULES"), clean(result.get("batch"))
    return f"quality run {shlex.quote(file)}" + (f" --batch {shlex.quote(batch)}" if batch else "")


# -- several batches ---------------------------------------------------------------------------------------------------

_COLUMNS = ("", "batch", "status", "decision", "in", "passed", "quarantined", "failed rules")
_RIGHT = {"in", "passed", "quarantined"}


def _table(results: Sequence[Result]) -> list[Line]:
    rows = [_cells(result) for result in results]
    widths = [max(map(_width, column)) for column in zip(_COLUMNS, *rows, strict=True)]
    lines = [Line(_aligned(_COLUMNS, widths), "", "dim")]
    for result, row in zip(results, rows, strict=True):
        # the sign and no more in colour: a red row of figures reads badly
        text = _aligned(row, widths)
        lines.append(Line(text[:1], text[1:], STYLES.get(str(result.get("status")), ""), 4))
    return lines


def _cells(result: Result) -> tuple[str, ...]:
    rows, status = rows_of(result), str(result.get("status"))
    counted = was_counted(result)
    figures = [f"{rows[name]:,}" if counted else "-" for name in ("input", "passed", "quarantined")]
    failed = [str(rule.get("id")) for rule in problems(result)]
    what = f"{len(failed):,}: {listing(failed)}" if failed else "0" if rules_of(result) else "-"
    decision = clean(result.get("decision")) + (" (unchanged)" if result.get("unchanged") else "")
    return (SIGNS.get(status, "!"), title(result), clean(status), decision, *figures, what)


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        f"{' ' * (width - _width(cell))}{cell}" if name in _RIGHT else f"{cell}{' ' * (width - _width(cell))}"
        for name, cell, width in zip(_COLUMNS, cells, widths, strict=True)
    ]
    return f"{padded[0]} {'  '.join(padded[1:])}".rstrip()


def _width(text: str) -> int:
    """Columns of a terminal that the text takes (CJK and emoji take two, combining marks none)."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _totals(results: Sequence[Result]) -> str:
    states = [str(result.get("status")) for result in results]
    tallies = [f"{states.count(word):,} {word}" for word in ("passed", "warning", "failed", "error") if word in states]
    code = gravest_exit(int(result.get("exit_code") or 0) for result in results)
    return f"{count(len(results), 'batch')}: {', '.join(tallies) or 'none'}; exit code {code}"


# -- streams -----------------------------------------------------------------------------------------------------------


def _is_terminal(stream: TextIO) -> bool:
    return bool(getattr(stream, "isatty", lambda: False)())


def _wants_color(stream: TextIO, color: bool | None = None) -> bool:
    if color is not None:
        return color
    return _is_terminal(stream) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _encodable(text: str, encoding: str) -> str:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_ASCII).encode(encoding, "backslashreplace").decode(encoding)
    return text


def _paint(lines: Iterable[Line], color: bool, width: int | None) -> str:
    pieces = [(line, line.wrapped(width)) for line in lines]
    painted = _colored(pieces) if color else None
    return painted or "".join(f"{text.rstrip()}\n" for _, texts in pieces for text in texts)


def _colored(pieces: Iterable[tuple[Line, list[str]]]) -> str | None:
    """The lines with escape codes by rich; None when rich is not installed."""
    try:
        from rich.console import Console
        from rich.text import Text
    except ImportError:
        return None
    console = Console(
        file=io.StringIO(), force_terminal=True, color_system="standard", no_color=False, legacy_windows=False
    )
    with console.capture() as captured:
        for line, texts in pieces:
            text = Text("\n".join(piece.rstrip() for piece in texts))
            text.stylize(line.style, 0, len(line.head))
            console.print(text, soft_wrap=True)
    return captured.get()
