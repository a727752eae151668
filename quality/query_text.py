"""A query of a steward as text, read without Spark: which relations it names, and whether it is a filter of the batch and nothing
more.

Spark's own parser has the last word on what a query reads (`backends/parsing.py`). What is told here may be less than that, which
the parser then refuses, and is never more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from quality.sql import AGGREGATES, RELATIONS, Token, quote, tokens

#: Words that end a FROM clause.
_ENDS = frozenset(
    [
        "where", "group", "having", "order", "sort", "cluster", "distribute", "limit", "offset", "union", "except",
        "minus", "intersect", "window",
    ]
)  # fmt: skip
#: Words that make more of a query than a filter; words that follow a relation and are not its alias.
_CLAUSES = _ENDS - {"where"} | {"join", "lateral", "pivot", "unpivot", "tablesample", "select", "over"}
_NO_ALIAS = (
    _CLAUSES | _ENDS | {"inner", "left", "right", "full", "cross", "natural", "semi", "anti", "outer", "on", "using"}
)
#: What begins a query where an expression may stand, behind its bracket.
_QUERIES = frozenset(["table", "values", "from"])
_NAMES = ("word", "quoted")
#: What is read more often is not counted on.
_MOST_READS = 1_000


@dataclass(frozen=True)
class Named:
    """A relation where a query names it: `name` as it would be said without quotes, its parts joined by dots; `start` and `end`
    in the text; `aliased` where another name follows. `body`: the name of the WITH it stands in; `own`: it is itself such a name."""

    name: str
    start: int
    end: int
    aliased: bool = False
    body: str = ""
    own: bool = False

    @property
    def is_batch(self) -> bool:
        """Whether it is the batch."""
        return self.name.lower() in RELATIONS


@dataclass
class _Level:
    """What is known between two brackets: `expects` a relation next; `lists` them, so that one follows a comma; is a `query`; has
    named `defined`, by a WITH; is the body of the name `body`."""

    expects: bool = False
    lists: bool = False
    query: bool = False
    defines: bool = False
    defined: str = ""
    body: str = ""


def relations(text: str) -> tuple[Named, ...]:
    """The relations that a query names, as often as it does, in order; names of a WITH are none."""
    return tuple(one for one in _relations(tokens(text)) if not one.own)


def read_by(text: str) -> tuple[str, ...]:
    """The names of the relations that a query reads, as often as it reads them: Spark reads what stands below a WITH anew wherever
    its name is used, and never where it is not."""
    found = list(_relations(tokens(text)))
    times = {"": 1}

    def used(body: str) -> int:
        if body not in times:
            # a name within what it names is another one
            times[body] = 1
            uses = sum(used(one.body) for one in found if one.own and one.name.lower() == body)
            times[body] = min(uses, _MOST_READS)
        return times[body]

    return tuple(one.name for one in found if not one.own for _ in range(used(one.body)))


def _relations(found: list[Token]) -> Iterator[Named]:
    levels, own, index = [_Level()], set[str](), 0
    while index < len(found):
        token, level = found[index], levels[-1]
        word = token.text.lower() if token.kind == "word" else ""
        index += 1
        if token.text in "([{":
            body = level.defined if level.defines and _word(found, index - 2) == "as" else ""
            levels.append(_Level(level.expects, level.expects, body=body))
            level.expects = False
        elif token.text in ")]}":
            own |= {levels.pop().body} if len(levels) > 1 else set()
        elif level.expects and token.kind in _NAMES and word not in ("select", "with", "values", "lateral"):
            last = index - 1
            while _is(found, last + 1, ".") and last + 2 < len(found) and found[last + 2].kind in _NAMES:
                last += 2
            name = ".".join(_plain(part) for part in found[index - 1 : last + 1 : 2])
            if not _is(found, last + 1, "("):
                end = found[last].start + len(found[last].text)
                body = next((level.body for level in reversed(levels) if level.body), "")
                yield Named(name, token.start, end, _alias(found, last + 1) is not None, body, name.lower() in own)
            level.expects, index = False, last + 1
        else:
            _step(level, token, word, _word(found, index - 2))


def _step(level: _Level, token: Token, word: str, before: str) -> None:
    if word == "with":
        level.defines, level.expects = True, False
    elif word in ("select", "values"):
        level.query, level.defines, level.expects, level.lists = True, False, False, False
    elif level.defines and token.kind in _NAMES and word != "as":
        level.defined = _plain(token).lower()
    elif word == "from" and level.query and before != "distinct":
        level.expects = level.lists = True
    elif word == "join" and (level.query or level.lists):
        level.expects = True
    elif word in _ENDS or (word == "view" and before == "lateral"):
        level.lists = False
    elif token.text == "," and level.lists:
        level.expects = True


def _plain(token: Token) -> str:
    return token.text[1:-1].replace("``", "`") if token.kind == "quoted" else token.text


def _word(found: list[Token], index: int) -> str:
    return found[index].text.lower() if 0 <= index < len(found) and found[index].kind == "word" else ""


def _is(found: list[Token], index: int, sign: str) -> bool:
    return index < len(found) and found[index] == Token("sign", sign)


def _alias(found: list[Token], index: int) -> Token | None:
    """The name that follows a relation."""
    index += _word(found, index) == "as"
    is_name = index < len(found) and found[index].kind in _NAMES and _word(found, index) not in _NO_ALIAS
    return found[index] if is_name else None


def renamed(text: str, name: Callable[[str], str]) -> str:
    """The query with its relations called as `name` says. One whose old name stands before columns keeps it as an alias."""
    found = tokens(text)
    before = {
        _plain(one).lower() for place, one in enumerate(found) if one.kind in _NAMES and _is(found, place + 1, ".")
    }
    parts, last = list[str](), 0
    for one in relations(text):
        old = one.name.rpartition(".")[2]
        new = name(one.name)
        kept = f" as {quote(old)}" if not one.aliased and old.lower() in before and new.lower() != old.lower() else ""
        parts += [text[last : one.start], new, kept]
        last = one.end
    return "".join([*parts, text[last:]])


def condition(text: str) -> str | None:
    """The condition of a query that filters the batch and does nothing more, `SELECT columns FROM this WHERE condition`: the rows
    that it returns are those of which the condition is true. None for every other query, and for some of this kind."""
    found = tokens(text)
    if _word(found, 0) != "select" or any(_word(found, place) in _CLAUSES for place in range(1, len(found))):
        return None
    at = next((place for place in range(len(found)) if _word(found, place) == "from"), len(found))
    selected, rest = found[1:at], found[at + 1 :]
    # a call may count rows, or make several of one
    if not selected or not rest or any(token.text in "()[]{}" for token in selected):
        return None
    if rest[0].kind not in _NAMES or _plain(rest[0]).lower() not in RELATIONS:
        return None
    if any(_looks_at_others(rest, place) for place in range(len(rest))):
        return None
    alias = None if _word(rest, 1) == "where" else _alias(rest, 1)
    place = 1 + (alias is not None) + (_word(rest, 1) == "as")
    return (
        _unqualified(text, rest[place + 1 :], alias or rest[0])
        if _word(rest, place) == "where"
        else ("true" if place == len(rest) else None)
    )


def _looks_at_others(found: list[Token], place: int) -> bool:
    """Whether it is a query in brackets, or a call that looks at many rows or makes many of one."""
    if _is(found, place, "("):
        return _word(found, place + 1) in _QUERIES
    return _is(found, place + 1, "(") and found[place].kind in _NAMES and _plain(found[place]).lower() in AGGREGATES


def _unqualified(text: str, found: list[Token], name: Token) -> str | None:
    """An expression without the name of its relation before columns; None where a function within it has an argument of that name."""
    if not found:
        return None
    if any(_is(found, at, "-") and _is(found, at + 1, ">") for at in range(len(found))) and any(
        _is_called(found, at, name) and not _is(found, at + 1, ".") for at in range(len(found))
    ):
        return None
    end = found[-1].start + len(found[-1].text)
    parts, last = list[str](), found[0].start
    for place, token in enumerate(found[:-1]):
        if _is_called(found, place, name) and _is(found, place + 1, ".") and not (place and _is(found, place - 1, ".")):
            parts.append(text[last : token.start])
            last = found[place + 1].start + 1
    return "".join([*parts, text[last:end]])


def _is_called(found: list[Token], place: int, name: Token) -> bool:
    return found[place].kind in _NAMES and _plain(found[place]).lower() == _plain(name).lower()


def selected(text: str) -> tuple[str, ...]:
    """The names of the columns that a query selects, where it says nothing but names of columns; none otherwise."""
    found = tokens(text)
    at = next((place for place in range(len(found)) if _word(found, place) == "from"), 0)
    listed = found[1:at] if _word(found, 0) == "select" else []
    listed = listed[1:] if _word(listed, 0) in ("distinct", "all") else listed
    names: list[str] = []
    while listed:
        comma = next((place for place, token in enumerate(listed) if token == Token("sign", ",")), len(listed))
        one, listed = listed[:comma], listed[comma + 1 :]
        # a column, a column of a relation, either under another name
        shape = "".join("n" if token.kind in _NAMES else token.text for token in one)
        if shape not in ("n", "n.n", "nnn", "n.nnn") or ("nn" in shape and _word(one, len(one) - 2) != "as"):
            return ()
        names.append(_plain(one[-1]))
    return tuple(names)
