"""Rules about files, judged from what a file system says of them, against AWS's meaning written once more."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quality.errors import RuleFileError
from quality.model import Bounds, Column, RuleStatus, Tolerance
from quality.planner import plan
from quality.rule_types.base import Row
from quality.rule_types.files import File, FileMatch, FileRule, FileUniqueness, Found, parse_size
from quality.rulefile import load
from quality.rulefile.dqdl import parse
from quality.rulefile.dqdl.to_yaml import to_yaml
from quality.verification import Measured, judge

HEAD = "version: 1\ndataset: a\ninput: {path: a.parquet, timezone: Europe/Stockholm}\nrules:\n"
NOW = datetime(2024, 3, 10, 12, 0, tzinfo=timezone.utc)
#: Written one, twenty and fifty hours ago.
FILES = [File(f"s3://b/p/{name}", size, NOW - timedelta(hours=hours), digest) for name, size, hours, digest in (
    ("new.csv", 100, 1, "aa"), ("day.csv", 5_000, 20, "bb"), ("old.json", 70_000, 50, "aa"),
)]  # fmt: skip


def loaded(rule_file, text):
    return load(rule_file(HEAD + text + "\n"), batch="b", run_time=NOW)


def verdict(rule_set, files=FILES, others=()):
    (rule,) = [rule for rule in rule_set.rules if isinstance(rule.check, FileRule)]
    found = Found(tuple(rule.check.chosen(files)), tuple(rule.check.chosen(others)))
    columns = (Column("a", "int"),)
    return judge(plan(rule_set, Row(columns), text=False), Measured(1, files={rule.id: found}), columns)[0]


CASES = {
    # type and arguments: (passes, share or count)
    "file_freshness: {at_least: now - 24 hours}": (False, 2 / 3),
    "{file_freshness: {at_least: now - 24 hours}, tolerance: 34%}": (True, 2 / 3),
    "file_freshness: {at_least: now - 24 hours, newest: 2}": (True, 1),
    "file_freshness: {at_least: now - 24 hours, matching: 'csv$'}": (True, 1),
    # the newest of all is a CSV; of the JSON files one is the newest
    "file_freshness: {above: now - 24 hours, matching: 'json$', newest: 1}": (False, 0),
    "file_freshness: {between: ['2024-03-08', '2024-03-11']}": (True, 1),
    # 11:00 UTC is noon in Stockholm, 16:00 UTC of the day before is 17:00; a time of day is today's
    "file_freshness: {between: ['11:30', '12:30'], newest: 1}": (True, 1),
    "file_freshness: {between: ['10:30', '11:30'], newest: 1}": (False, 0),
    "file_freshness: {between: ['10:30', '11:30'], newest: 1, timezone: UTC}": (True, 1),
    "file_freshness: {above: '09:30'}": (False, 1 / 3),
    "file_freshness: {below: now, not_equals: now}": (True, 1),
    "file_size: {above: 99, below: 1 MB}": (True, 1),
    "file_size: {at_most: 5000}": (False, 2 / 3),
    "{file_size: {at_most: 4.9 KB}, tolerance: 1 rows}": (True, 2 / 3),
    "file_size: {outside: [100, 4 KB]}": (True, 1),
    "file_size: {outside: [99, 5000]}": (False, 2 / 3),
    "file_size: {one_of: [100, 5000, 70000]}": (True, 1),
    "{file_size: {one_of: [100, 5000], none_of: [5000]}, tolerance: 70%}": (True, 1 / 3),
    "file_size: {none_of: [1, 5000]}": (False, 2 / 3),
    "file_freshness: {outside: ['2024-03-08', '2024-03-09']}": (False, 2 / 3),
    "file_freshness: {outside: ['2024-03-01', now - 51 hours], newest: 3}": (True, 1),
    "file_count: {equals: 3}": (True, 3),
    "file_count: {above: 2, matching: 'csv$'}": (False, 2),
    "file_uniqueness: {equals: 1}": (False, 1 / 3),
    "file_uniqueness: {above: 0.3}": (True, 1 / 3),
    "file_uniqueness: {equals: 1, newest: 2}": (True, 1),
    "file_match: {hashes: [AA, cc]}": (False, 2 / 3),
    "file_match: {hashes: [aa, bb]}": (True, 1),
}  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), CASES.items(), ids=CASES)
def test_files_are_judged(rule_file, text, expected):
    found = verdict(loaded(rule_file, f"- {text}"))
    assert (found.status == RuleStatus.PASSED, found.metric.value) == (expected[0], pytest.approx(expected[1]))
    assert bool(found.message) == (not expected[0])


def test_what_fails_is_named(rule_file):
    found = verdict(loaded(rule_file, "- file_size: {path: 's3://b/p', at_most: 50}"))
    assert found.message == (
        "s3://b/p: 3 of 3 files fail: new.csv of 100 bytes, day.csv of 5,000 bytes, old.json of 70,000 bytes"
    )


def test_the_order_of_filters_decides(rule_file):
    first = "- file_count: {matching: 'json$', newest: 1, newest_first: %s, equals: %d}"
    for order, count in (("true", 0), ("false", 1)):
        assert verdict(loaded(rule_file, first % (order, count))).status == RuleStatus.PASSED


def test_no_file_is_not_good_and_not_bad(rule_file):
    found = verdict(loaded(rule_file, "- file_freshness: {path: 's3://b/q', at_least: now - 1 day}"), [])
    assert (found.status, found.message) == (RuleStatus.ERROR, "could not tell: no file of s3://b/q is meant")
    assert verdict(loaded(rule_file, "- file_count: {equals: 0}"), []).status == RuleStatus.PASSED


def test_where_nobody_looks_for_files_the_rule_does_not_apply(rule_file):
    rule_set, columns = loaded(rule_file, "- file_count: {equals: 0}"), (Column("a", "int"),)
    (found,) = judge(plan(rule_set, Row(columns), text=False), Measured(1), columns)
    assert found.status == RuleStatus.NOT_APPLICABLE


@given(st.lists(st.sampled_from("abcd")), st.lists(st.sampled_from("abcd")))
def test_two_places_match_when_each_file_of_one_is_in_the_other(left, right):
    sides = [[File(f"{i}", 1, NOW, digest) for i, digest in enumerate(side)] for side in (left, right)]
    if left or right:
        judged = FileMatch(path="x", with_="y").judged(sides[0], sides[1], Tolerance(), "UTC")
        assert judged.holds == (sorted(left) == sorted(right))


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz")), min_size=1))
def test_uniqueness_counts_files_that_occur_once(pairs):
    files = [File(f"{i}/{name}", 1, NOW, digest) for i, (digest, name) in enumerate(pairs)]
    for names in (False, True):
        once = [
            (digest, name)
            for i, (digest, name) in enumerate(pairs)
            if not any(d == digest or (names and n == name) for j, (d, n) in enumerate(pairs) if j != i)
        ]
        found = FileUniqueness(bounds=Bounds(recorded=True), names=names).judged(files, (), Tolerance(), "UTC")
        assert found.metric.numerator == len(once)


@pytest.mark.parametrize(("text", "told"), (
    ("file_freshness: {at_least: yesterday}", "must be YYYY-MM-DD[ HH:MM:SS], 'now', 'now - 24 hours' or a time of day"),
    ("file_freshness: {}", "needs a bound"),
    ("file_freshness: {at_least: now, timezone: Mars}", "must be a time zone such as 'Europe/Stockholm', got 'Mars'"),
    ("file_freshness: {record: true}", "'record' does not go with moments"),
    ("file_size: {below: many}", "must be a size such as '10 MB' or a number of bytes, got 'many'"),
    ("file_size: {above: 2 MB, below: 1 MB}", "no value satisfies both"),
    ("file_size: {outside: [1 MB]}", "'outside' must be a list of two ends, [low, high], got 1"),
    ("file_size: {newest: 2}", "needs a bound: at least one of at_least"),
    ("file_count: {equals: some}", "a bound must be a number, got 'some'"),
    ("file_count: {equals: 1, newest: 0}", "must be a whole number from 1 on, got 0"),
    ("file_match: {path: a}", "needs 'with', another place, or 'hashes'"),
    ("file_match: {with: a, algorithm: CRC}", "must be one of SHA-256, SHA-1, MD5, got 'CRC'"),
    ("{file_count: {equals: 1}, where: a > 1}", "is about rows; this one is about files"),
    ("{file_count: {equals: 1}, tolerance: 1%}", "goes with rules about rows"),
))  # fmt: skip
def test_what_cannot_be_asked_of_files_is_told(rule_file, text, told):
    with pytest.raises(RuleFileError) as error:
        loaded(rule_file, f"- {text}")
    assert told in str(error.value)


def test_sizes_are_powers_of_1024():
    assert [parse_size(text) for text in ("5 B", "1 KB", "1.5MB", "2 gb", "1 TB", 7)] == [
        5, 1024, 3 * 2**19, 2**31, 2**40, 7,
    ]  # fmt: skip


def test_hashing_stands_in_the_plan_once_for_each_place_and_hash(rule_file):
    rules = loaded(
        rule_file,
        "- file_uniqueness: {equals: 1}\n- {file_match: {hashes: [aa]}, id: known}\n- file_size: {above: 0}\n"
        "- file_match: {path: x, with: y, algorithm: MD5}",
    )
    found = plan(rules, Row((Column("a", "int"),)), text=False)
    steps = [(step.purpose, step.rules) for step in found.steps if "hashing" in step.purpose]
    assert steps == [
        ("hashing the files of the batch (SHA-256)", ("file_uniqueness", "known")),
        ("hashing the files of x (MD5)", ("file_match",)),
        ("hashing the files of y (MD5)", ("file_match",)),
    ]
    others = [step for step in found.steps if "hashing" not in step.purpose and step.width == "wide"]
    assert found.passes.wide == 3 + len(others)


DQDL = {
    'FileFreshness "s3://b/p/" > (now() - 24 hours) with threshold > 0.5 with recentFiles = 3 with uriRegex = "csv$" '
    'with filterOrder = ["recentFiles", "uriRegex"]': (True, 1),
    'FileFreshness "s3://b/p/" >= (now() - 1 days)': (False, 2 / 3),
    'FileFreshness between "2024-03-01" and "2024-04-01"': (True, 1),
    'FileFreshness between "10:30 AM" and "11:30 AM" with timeZone = "UTC" with recentFiles = 1': (True, 1),
    'FileFreshness > "22:15" with timeZone = "UTC"': (False, 0),
    "FileFreshness < now()": (True, 1),
    "FileSize between 99 B and 70 KB with threshold > 0.7": (True, 1),
    "FileSize < 5 KB with threshold > 0.7": (False, 2 / 3),
    "FileSize not between 100 B and 5000 B": (True, 1),
    "FileSize not between 99 B and 5001 B with threshold > 0.3": (True, 1 / 3),
    "FileSize in [100 B, 5000 B, 1 TB]": (False, 2 / 3),
    "FileSize not in [1 B, 2 B]": (True, 1),
    "FileSize not in [100 B, 5000 B] with threshold >= 0.4": (False, 1 / 3),
    'FileFreshness not between "2024-03-01" and "2024-03-08"': (True, 1),
    'FileFreshness not in ["2024-03-01", "2024-03-02"]': (True, 1),
    "FileUniqueness > 0.5": (False, 1 / 3),
    'FileUniqueness "s3://b/" >= 0.3 with hashAlgorithm = "MD5"': (True, 1 / 3),
    'FileMatch "s3://a/f" in ["aa", "BB"] with hashAlgorithm = "SHA-1"': (True, 1),
    'FileMatch in ["aa"] with failFast = "true"': (False, 2 / 3),
}  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), DQDL.items(), ids=DQDL)
def test_rules_of_dqdl_mean_what_aws_says(rule_file, text, expected):
    found = to_yaml(parse(f"Rules = [ {text} ]"), "a.dqdl", input_path="a.parquet")
    assert [str(loss) for loss in found.losses] == []
    judged = verdict(load(rule_file(found.text), batch="b", run_time=NOW))
    assert (judged.status == RuleStatus.PASSED, judged.metric.value) == (expected[0], pytest.approx(expected[1]))


@pytest.mark.parametrize(("text", "why"), (
    ("FileFreshness = NULL", "a moment is never NULL"),
    ('FileMatch "a" "a"', "it compares a place with itself"),
    ("FileMatch", "it says neither places nor hashes"),
))  # fmt: skip
def test_what_has_no_form_is_told(text, why):
    (loss,) = to_yaml(parse(f"Rules = [ {text} ]"), "a.dqdl", input_path="a.parquet").losses
    assert why in loss.why
