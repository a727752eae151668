"""Whole texts matched by tables: the answer is Java's own, for every expression that a table is made of, and for those it is not."""

from __future__ import annotations

import random

import pytest

from quality.backends.tally import Tally, tally
from quality.sql import literal

#: Expressions of which a table can be made.
REGULAR = (
    "", "a", "abc", "a|b", "(a|b)c", "(?:ab)*", "a+", "a?b", "a{3}", "a{2,}", "a{0,2}b", "[abc]", "[^abc]", "[a-c]{2}",
    "[-a]", "[a-]", "[a\\-c]", "[\\]x]", "[^@ ]+@[^@ ]+\\.[a-z]{2,}", "\\+[0-9]{8,14}", "SKU-[0-9]{6}", "\\d+", "\\D*",
    "\\w+\\s\\w+", "\\W", "\\S+", ".", ".*", ".+x", "a\\.b", "\\(x\\)", "(a|)b", "(a*)*b", "(a|aa)+", "((a|b)c){2}", "a*?b",
    "x??", "[ND][0-9A-Z]{2,5}", "\\t", "[\\t ]", "a\\{1\\}", "}", "]", "(|a)", "[0-9]{4}-[0-9]{2}-[0-9]{2}", "(a+)+b", "&", "[&a]",
)  # fmt: skip
#: Those that only Java can tell.
OTHERS = (
    "(a)\\1",
    "(?i)abc",
    "a(?=b)b",
    "\\bab\\b",
    "a*+b",
    "[a-z&&[^b]]",
    "^ab$",
    "\\p{L}+",
    "ä+",
    "\\x41",
    "[[a]b]",
    "(?<n>a)",
)
WORDS = (
    "", "a", "b", "ab", "abc", "aab", "aa", "aaa", "aaaa", "aaab", "abab", "c", "bc", "ac", "acbc", "-", "a-", "a b", "xx", "x",
    "]", "]x", "}", "&", "a.b", "axb", "(x)", "a{1}", "\t", " \t", "\n", "a\n", "\r", "a\nb", "5", "12", "2024-01-31", "+49123456789",
    "SKU-123456", "SKU-12345", "joe@example.com", "joe@@example.com", "N102UW", "ä", "aä", "ä@ö.de", "€", "a€x", "😀", "ABC", "A", "_x y",
    "\u0085", "\u2028", "a" * 40, "a" * 40 + "b",
)  # fmt: skip


def the_tally(spark) -> Tally:
    found = tally(spark)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def sessions(spark):
    """The session as it is, and one that matches by tables."""
    from quality.backends.session import borrowed_session

    plain, quick = borrowed_session(spark), borrowed_session(spark)
    the_tally(spark).quicken(quick)
    return plain, quick


@pytest.mark.parametrize("expressions", (REGULAR, OTHERS), ids=("regular", "others"))
def test_a_table_says_what_java_says(sessions, expressions):
    draw = random.Random(3)
    drawn = ["".join(draw.choice("aabbcx1-. @ä\n") for _ in range(draw.randrange(7))) for _ in range(300)]
    texts = [*WORDS, *drawn, None]
    whole = [literal(rf"\A(?:{one})\z") for one in expressions]
    tests = [f"text rlike {one} as r{i}" for i, one in enumerate(whole)]
    answers = []
    for session in sessions:
        frame = session.createDataFrame([(text,) for text in texts], "text string").repartition(2)
        answers.append({row["text"]: row for row in frame.selectExpr("text", *tests).collect()})
    for text in texts:
        for i, expression in enumerate(expressions):
            assert answers[0][text][f"r{i}"] == answers[1][text][f"r{i}"], (expression, text)


def test_tables_are_made_of_regular_expressions_alone(spark):
    made = the_tally(spark).jvm.org.quality.FullMatch.of
    assert [one for one in REGULAR if made(one) is None] == []
    assert [one for one in OTHERS if made(one) is not None] == []


def test_an_expression_that_would_take_too_many_states_is_left_to_java(spark):
    assert the_tally(spark).jvm.org.quality.FullMatch.of("(a|b)*a(a|b){20}") is None
    assert the_tally(spark).jvm.org.quality.FullMatch.of("(" * 100 + "a" + ")" * 100) is None


def test_the_plan_of_our_session_has_the_table(sessions):
    plain, quick = sessions
    for session, word in ((plain, "RLIKE"), (quick, "matches")):
        frame = session.createDataFrame([("a",)], "text string").selectExpr("text rlike '\\\\A(?:a+)\\\\z' as r")
        assert word in frame._jdf.queryExecution().optimizedPlan().toString()
