"""Cuts a DQDL document into sections, and lists of rules into rules, so that one broken rule spoils no other."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from quality.rulefile.dqdl.signatures import ANALYZERS, KEYWORDS, SECTIONS, TAGS, TYPES

_PARTS = r"""
    (?P<space>\s+|\#[^\n]*)
  | (?P<text>{text})
  | (?P<broken>"[^\n]*)
  | (?P<open>[\[({{])
  | (?P<close>[\])}}])
  | (?P<comma>,)
  | (?P<word>\$?[A-Za-z0-9_.]+)
  | (?P<sign>[=!<>]{{1,2}})
  | (?P<other>.)
"""
_TOKEN = re.compile(_PARTS.format(text=r'"(?:[^"\\]|\\.)*"'), re.VERBOSE | re.DOTALL)
#: Where a quote is not closed the texts of all other rules would be cut wrongly: then a text ends with its line.
_TOKEN_OF_LINE = re.compile(_PARTS.format(text=r'"(?:[^"\\\n]|\\[^\n])*"'), re.VERBOSE | re.DOTALL)
_PAIRS = {"]": "[", ")": "(", "}": "{"}
_KNOWN = {*TYPES, *ANALYZERS}
MAX_DEPTH = 50

Tell = Callable[[int, str], None]


@dataclass(frozen=True)
class Token:
    """A lexical unit with its place; comments and white space are left out."""

    kind: str
    text: str
    begin: int
    end: int
    first_of_line: bool


@dataclass(frozen=True)
class Section:
    """`name = value`: the tokens of the value, with its brackets."""

    name: Token
    value: list[Token]


def tokens(text: str) -> list[Token]:
    """The tokens of a document; `broken` is a quote that is not closed, up to the end of its line."""
    found = list(_scan(_TOKEN, text))
    return list(_scan(_TOKEN_OF_LINE, text)) if any(token.kind == "broken" for token in found) else found


def _scan(pattern: re.Pattern[str], text: str) -> Iterator[Token]:
    fresh = True
    for match in pattern.finditer(text):
        kind = match.lastgroup or "other"
        if kind == "space":
            fresh = fresh or "\n" in match.group()
            continue
        yield Token(kind, match.group(), match.start(), match.end(), fresh)
        fresh = False


def sections(found: list[Token], tell: Tell) -> Iterator[Section]:
    """The sections of a document. `tell` gets the place and the text of every mistake."""
    index, told = 0, False
    while index < len(found):
        if not _begins(found, index):
            if not told:
                what = found[index].text.split("\n")[0]
                tell(
                    found[index].begin,
                    f"'{what}' is in no section; rules stand in 'Rules = [ ... ]', one ',' between two",
                )
            index, told = index + 1, True
            continue
        told = False
        name = found[index]
        if found[index + 1].text != "=":
            tell(found[index + 1].begin, f"'{found[index + 1].text}' behind '{name.text}' must be '='")
        end = _end(found, index + 2, tell)
        if end == index + 2:
            tell(name.begin, f"'{name.text}' has no value")
        else:
            yield Section(name, found[index + 2 : end])
        index = end


def _begins(found: list[Token], index: int) -> bool:
    """Whether `name =` stands here."""
    return (
        found[index].kind == "word" and index + 1 < len(found) and found[index + 1].kind == "sign"
        and found[index + 1].text in ("=", "==")
    )  # fmt: skip


def _end(found: list[Token], start: int, tell: Tell) -> int:
    """Where the value that begins at `start` ends."""
    if start >= len(found) or found[start].kind != "open":
        return min(start + 1, len(found)) if start < len(found) and not _begins(found, start) else start
    opened: list[Token] = []
    for index in range(start, len(found)):
        token = found[index]
        if token.kind == "open":
            opened.append(token)
        elif token.kind == "close":
            matching = [depth for depth, other in enumerate(opened) if other.text == _PAIRS[token.text]]
            if matching:
                del opened[matching[-1] :]
            if not opened:
                return index + 1
        elif (
            token.text in SECTIONS
            and _begins(found, index)
            and {"open"} == {t.kind for t in found[index + 2 : index + 3]}
        ):
            tell(opened[0].begin, f"'{opened[0].text}' is not closed")
            return index
    tell(opened[0].begin, f"'{opened[0].text}' is not closed")
    return len(found)


def entries(section: Section, tell: Tell) -> Iterator[list[Token]]:
    """The rules of a list, each as its tokens."""
    inner = section.value[1:]
    if inner and inner[-1].text == "]":
        inner = inner[:-1]
    entry: list[Token] = []
    depth, ended = 0, False
    for index, token in enumerate(inner):
        if token.kind == "comma" and (depth == 0 or _is_rule(inner, index + 1)) and not _is_tag(inner, index + 1):
            if not entry:
                tell(token.begin, "there is no rule before ','")
            else:
                yield entry
            entry, depth, ended = [], 0, True
            continue
        if _lacks_comma(entry, inner, index):
            if entry[-1].kind != "broken":
                tell(token.begin, f"a ',' is missing before '{token.text}'")
            yield entry
            entry, depth = [], 0
        depth += {"open": 1, "close": -1}.get(token.kind, 0)
        entry.append(token)
    if entry:
        yield entry
    elif ended:
        tell(inner[-1].begin, "there is no rule behind the last ','")


def _is_rule(found: list[Token], index: int) -> bool:
    """Whether a rule begins here: within a rule no comma stands before the name of a rule type."""
    while index < len(found) and found[index].text == "(":
        index += 1
    return index < len(found) and found[index].text in _KNOWN


def _is_tag(found: list[Token], index: int) -> bool:
    """`with bins = 10, rebin = false`."""
    return (
        index + 1 < len(found)
        and found[index].text in TAGS
        and (found[index + 1].kind == "sign" or found[index + 1].text in KEYWORDS)
    )


def _lacks_comma(entry: list[Token], found: list[Token], index: int) -> bool:
    """Whether another rule begins at a token although no comma stands before it. A rule type at the end of a rule, in
    its line, is the bare name of a column; metrics of DetectAnomalies are called as rule types are."""
    token = found[index]
    if not entry or token.text not in _KNOWN or entry[-1].text.lower() in ("(", "of", "and", "or", "detectanomalies"):
        return False
    if token.first_of_line:
        return True
    following = found[index + 1].kind if index + 1 < len(found) else ""
    return entry[0].text != "DetectAnomalies" and following == "text"
