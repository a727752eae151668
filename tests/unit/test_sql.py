"""What an expression may not hold, and how names and literals are written."""

from __future__ import annotations

import pytest

from quality import sql


@pytest.mark.parametrize(
    "text",
    (
        "uuid() <> ''",
        "`uuid`() <> ''",
        "system.builtin.rand() > 0",
        "RAND () > 0",
        "current_date > d",
        "ts < timestamp 'now'",
        "ts < TIMESTAMP' Now  UTC'",
        "d = date('today')",
        'd = cast("tomorrow" as date)',
        "'yesterday'::date = d",
        "try_to_timestamp('now') > ts",
        "sum(i) > 1",
        "`sum`(i) > 1",
        "i > 0; drop table t",
        "i > 0 -- and j > 0",
        "i in (select j from t)",
        "i in (table t)",
        "exists (TABLE `a b`)",
        "reflect('java.lang.System', 'exit')",
        "(i > 0",
        "i > 0)",
        "name = 'x",
        "",
    ),
)
def test_what_is_no_expression_over_a_row_is_refused(text):
    assert sql.problems(text)


@pytest.mark.parametrize(
    "text",
    (
        "i > 0",
        "`rand` > 0",
        "status in ('now', 'today') or `date` = 'tomorrow'",
        "d >= date 'epoch' and cast('now' as string) = s and note = 'now or later'",
        "t.rand > 0",
        "name = 'rand() -- ; select'",
        "extract(year from t) = 2013",
        "unix_timestamp(t) > 0",
        "(`table` > 0) and table = 1",
        "size(filter(a, x -> x > 0)) > 0",
        'note = "it`s"',
    ),
)
def test_an_expression_over_a_row_is_taken(text):
    assert not sql.problems(text)
