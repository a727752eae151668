"""What the reports promise to people and to CI systems, on results as plain data."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from quality import report
from quality.report import html, junit, terminal

HOSTILE = "<script>alert('x')</script>\n\x1b[31m\u202etxt.exe \udc80\x00 &amp; 😀 שלום " + "y" * 2000
REPORT = Path(report.__file__).parent


def rule(id: str, status: str = "passed", **changes: Any) -> dict[str, Any]:
    entry = {
        "id": id,
        "name": "",
        "type": "required",
        "column": "carrier",
        "severity": "error",
        "on_fail": "quarantine",
        "status": status,
        "metric": {"name": "Completeness", "instance": "carrier", "value": 1.0, "value_text": "1.0"},
        "expected": "= 1",
        "rows_in_scope": 842,
        "failed_rows": 0,
        "groups": [],
        "message": "",
        "location": "rules/flights.yml:34",
    }
    return {**entry, **changes}


def batch_rule(id: str, status: str, **changes: Any) -> dict[str, Any]:
    return rule(id, status, on_fail="hold", metric=None, expected="", rows_in_scope=None, failed_rows=None, **changes)


def rows(passed: int, quarantined: int, flagged: int = 0, lost: int = 0) -> dict[str, int]:
    return {
        "input": passed + quarantined + lost,
        "passed": passed,
        "quarantined": quarantined,
        "flagged": flagged,
    }


def result(**changes: Any) -> dict[str, Any]:
    """A failed, published batch: one failed rule, one failed warning, one errored, one not applicable, two passed."""
    base = {
        "schema": "quality.result/1",
        "dataset": "flights",
        "batch": "2013-01-05",
        "batch_time": "2013-01-05T00:00:00.000000Z",
        "run": "0190f3c1-7b1e",
        "unchanged": False,
        "rule_file": "rules/flights.yml",
        "rule_set": "3f9a",
        "status": "failed",
        "decision": "published",
        "rows": rows(804, 38),
        "rules": [
            rule("origin.in"),
            rule(
                "mean-delay",
                "failed",
                severity="warning",
                on_fail="keep",
                failed_rows=None,
                groups=[{"group": {"origin": None}, "value": 41.25}],
            ),
            rule(
                "carrier.required",
                "failed",
                metric={"name": "Completeness", "instance": "carrier", "value": 0.955, "value_text": "0.955"},
                failed_rows=38,
                message="38 rows are NULL",
            ),
            batch_rule("short-hops", "error", severity="info", message="column 'distanc' is not in the data"),
            batch_rule("volume", "not_applicable", message="3 published batches, 7 are needed"),
            rule("dest.in"),
        ],
        "anomalies": [],
        "outputs": {
            "passed": "s3://lake/passed",
            "quarantine": "s3://lake/quarantine",
            "history": "s3://lake/history",
            "report": "s3://lake/report.html",
        },
        "passes": {
            "planned": {"wide": 2, "narrow": 1, "shuffles": 1},
            "actual": {"wide": 2, "narrow": 1, "shuffles": 1, "jobs": 7},
        },
        "timings": {"metrics": 4.112},
        "versions": {"engine": "0.1.0", "spark": "3.5.9"},
        "message": None,
        "exit_code": 1,
    }
    return {**base, **changes}


def passed(**changes: Any) -> dict[str, Any]:
    return result(**{"status": "passed", "exit_code": 0, "rows": rows(842, 0), "rules": [rule("origin.in")], **changes})


def tolerated(**changes: Any) -> dict[str, Any]:
    return passed(rows=rows(835, 7), rules=[rule("flew", failed_rows=7, rows_in_scope=812)], **changes)


def held(**changes: Any) -> dict[str, Any]:
    return result(**{"decision": "held", "exit_code": 4, "rules": [batch_rule("row_count", "failed")], **changes})


def error() -> dict[str, Any]:
    nowhere = dict.fromkeys(["passed", "quarantine", "history", "report"])
    return result(
        status="error",
        decision="none",
        exit_code=3,
        rows=rows(0, 0),
        rules=[],
        outputs=nowhere,
        passes={},
        timings={},
        message="data/2013-01-05.csv: no such file\ncaused by: nothing there",
    )


def hostile() -> dict[str, Any]:
    broken = rule(HOSTILE, "failed", message=HOSTILE, expected=HOSTILE, location=HOSTILE, failed_rows=1)
    broken["groups"] = [{HOSTILE: HOSTILE}]
    anomaly = {"metric": HOSTILE, "instance": HOSTILE, "value": 1.0, "message": HOSTILE, "since": HOSTILE}
    return result(
        dataset=HOSTILE,
        batch=HOSTILE,
        message=HOSTILE,
        rule_file=HOSTILE,
        status=HOSTILE,
        rules=[broken],
        anomalies=[anomaly],
        outputs={"quarantine": HOSTILE},
        versions={HOSTILE: HOSTILE},
        samples={HOSTILE: [{HOSTILE: HOSTILE, "none": None}]},
    )


EVERY = [result(), passed(), tolerated(), held(), error(), hostile(), passed(unchanged=True), {}]


class Stream(io.StringIO):
    """A stream that says what it is."""

    def __init__(self, terminal: bool = False, encoding: str = "utf-8") -> None:
        super().__init__()
        self._terminal, self._encoding = terminal, encoding

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding

    def isatty(self) -> bool:
        return self._terminal


def shown(value: dict[str, Any], **stream: Any) -> str:
    out = Stream(**stream)
    terminal.show(value, out)
    return out.getvalue()


def plain(value: dict[str, Any], **options: Any) -> str:
    return terminal.render(value, color=False, **options)


class TestRows:
    def test_rows_in_are_the_sum_of_rows_out(self) -> None:
        assert report.rows_line(result()) == "842 rows in = 804 passed + 38 quarantined (4.51%)"

    def test_a_held_batch_would_have_passed_rows(self) -> None:
        assert report.rows_line(held()) == "842 rows in = 804 would have passed + 38 quarantined (4.51%)"

    def test_after_an_error_nothing_has_passed_nor_is_quarantined(self) -> None:
        line = report.rows_line({**error(), "rows": rows(804, 38)})
        assert line == "842 rows in = 804 would have passed + 38 would have been quarantined (4.51%)"

    def test_nothing_is_claimed_of_rows_that_were_never_read(self) -> None:
        assert report.rows_line(error()) == "no rows were counted"

    def test_an_empty_batch_was_counted(self) -> None:
        assert report.rows_line(held(rows=rows(0, 0))) == "0 rows in = 0 would have passed + 0 quarantined"

    def test_flagged_rows_are_among_the_passed(self) -> None:
        assert report.rows_line(passed(rows=rows(842, 0, flagged=12))).endswith("; 12 of the passed flagged")

    @pytest.mark.parametrize("view", (plain, terminal.summary_line, html.render))
    @pytest.mark.parametrize(("lost", "text"), ((4, "+4"), (-2, "-2")))
    def test_rows_that_do_not_add_up_are_shown_everywhere(self, view: Any, lost: int, text: str) -> None:
        assert text in view(passed(rows=rows(800, 38, lost=lost)))
        assert "unaccounted for" in view(passed(rows=rows(800, 38, lost=lost)))

    @pytest.mark.parametrize(
        ("part", "whole", "text"),
        ((0, 10, "0%"), (10, 10, "100%"), (1, 10**6, "<0.1%"), (10**6 - 1, 10**6, ">99.9%"), (1, 3, "33.3%")),
    )
    def test_a_share_is_0_or_100_percent_only_when_it_is(self, part: int, whole: int, text: str) -> None:
        assert report.percent(part, whole) == text


class TestObserved:
    @pytest.mark.parametrize(
        ("value", "text", "expected"),
        (
            (0.955, "0.955", "0.955"),
            (0.9999996, "0.9999996", "0.9999996"),
            (9007199254740992.0, "9007199254740993", "9007199254740993"),
            (1234567.0, "1234567", "1,234,567"),
            (None, "NaN", "NaN"),
            (None, "", "no value"),
        ),
    )
    def test_a_value_never_reads_as_another(self, value: float | None, text: str, expected: str) -> None:
        assert report.observed({"metric": {"name": "Mean", "value": value, "value_text": text}}) == expected

    def test_a_rule_without_metric_has_no_numbers(self) -> None:
        assert report.numbers(batch_rule("x", "error")) == ""

    def test_the_numbers_of_a_rule(self) -> None:
        said = report.numbers(result()["rules"][2])
        assert said == "Completeness 0.955, expected = 1; 38 of 842 rows in scope failed"


class TestTerminal:
    def test_the_most_important_comes_first(self) -> None:
        text = plain(result())
        order = ["✗ flights 2013-01-05: failed, published", "842 rows in", "✗ carrier.required", "! mean-delay"]
        order += ["! short-hops", "✓ 2 rules passed", "○ 1 rule not applicable", "s3://lake/history", "next: "]
        assert [text.index(part) for part in order] == sorted(text.index(part) for part in order)

    def test_a_failed_rule_has_its_message_and_place(self) -> None:
        assert (
            plain(result())
            .split("\n\n")[1]
            .startswith("✗ carrier.required  38 rows are NULL\n    rules/flights.yml:34\n")
        )

    def test_a_rule_without_a_message_has_its_numbers(self) -> None:
        assert "! mean-delay  Completeness 1, expected = 1\n" in plain(result())

    def test_failing_groups_are_named(self) -> None:
        assert "group origin=NULL, value=41.25" in plain(result())

    def test_passed_rules_are_counted_and_listed_only_when_verbose(self) -> None:
        assert "dest.in" not in plain(result())
        assert "✓ dest.in" in plain(result(), verbose=True)
        assert "○ volume" in plain(result(), verbose=True)

    def test_a_passed_batch_is_short_and_asks_for_nothing(self) -> None:
        assert plain(passed()).startswith("✓ flights 2013-01-05: passed, published\n")
        assert "next:" not in plain(passed())

    def test_rows_quarantined_within_tolerance_are_stated_although_the_batch_passed(self) -> None:
        assert "quarantined within tolerance: flew (7 of 812 rows in scope)" in plain(tolerated())
        assert "7 of 842 rows quarantined within tolerance" in terminal.summary_line(tolerated())
        assert "s3://lake/quarantine" in plain(tolerated()).split("next: ")[1]

    def test_rows_kept_within_tolerance_are_not_said_to_be_quarantined(self) -> None:
        text = plain(passed(rules=[rule("flew", failed_rows=7, on_fail="keep")]))
        assert "kept within tolerance: flew (7 of 842 rows in scope)" in text
        assert "quarantined within tolerance" not in text

    def test_quarantined_rows_that_no_rule_names_are_stated(self) -> None:
        assert report.UNEXPLAINED in plain(passed(rows=rows(800, 42)))

    def test_an_unchanged_batch_says_so_and_how_to_run_anyway(self) -> None:
        text = plain(passed(unchanged=True))
        assert "passed, published, unchanged" in text
        assert "quality run rules/flights.yml --batch 2013-01-05 --force" in text

    @pytest.mark.parametrize(
        ("changes", "reason"),
        (
            ({}, "held by row_count"),
            ({"rules": [rule("x", "error")]}, "held by x"),
            ({"rules": [], "rows": rows(0, 0)}, "held because the batch has no rows"),
            ({"rules": [], "rows": rows(300, 700)}, "held because 70% of the rows are quarantined"),
        ),
    )
    def test_a_held_batch_says_why(self, changes: dict[str, Any], reason: str) -> None:
        assert f"{reason}; readers see nothing of it" in plain(held(**changes))
        assert reason in terminal.summary_line(held(**changes))

    def test_an_error_without_rules_gives_its_reason_line_by_line(self) -> None:
        text = plain(error())
        assert text.startswith(
            "✗ flights 2013-01-05: error, nothing published\n"
            "  data/2013-01-05.csv: no such file\n"
            "  caused by: nothing there\n"
            "  no rows were counted\n"
        )
        assert "rules passed" not in text

    def test_anomalies_are_among_the_problems(self) -> None:
        found = {
            "metric": "Mean",
            "instance": "dep_delay",
            "segment": {},
            "value": 41.2,
            "message": "higher than usual",
        }
        text = plain(passed(anomalies=[{**found, "expected_low": 3, "expected_high": 22.8, "since": "2013-01-04"}]))
        assert "! anomaly  Mean(dep_delay) = 41.2, expected 3 to 22.8, since 2013-01-04\n    higher than usual" in text

    def test_hundreds_of_failed_rules_are_cut_with_a_count(self) -> None:
        text = plain(result(rules=[rule(f"r{n}", "failed") for n in range(300)]))
        assert "r49" in text
        assert "r50 " not in text
        assert "and 250 more failed rules" in text

    def test_lines_keep_to_the_width_but_addresses_and_commands_stay_whole(self) -> None:
        long = "s3://lake/" + "x" * 100
        wanted = rule("carrier.required", "failed", message="word " * 60, failed_rows=38)
        lines = plain(result(rules=[wanted], outputs={"quarantine": long}), width=60).splitlines()
        assert all(len(line) <= 60 for line in lines if "s3://" not in line)
        assert f"        {long}" in lines

    def test_a_batch_name_is_quoted_for_the_shell(self) -> None:
        assert "--batch 'a; rm x'" in plain(result(batch="a; rm x"))

    @pytest.mark.parametrize("value", EVERY)
    def test_whatever_the_result_no_control_character_reaches_the_terminal(self, value: dict[str, Any]) -> None:
        for text in (plain(value), plain(value, width=40, verbose=True), terminal.summary_line(value)):
            assert not set(text) & set("\x1b\x00\r\u202e\udc80")
            text.encode("utf-8")

    def test_what_is_cut_is_said_to_be_cut(self) -> None:
        assert report.clean("y" * 2000, 50) == "y" * 50 + "... (1,950 more characters)"
        assert "more characters)" in plain(hostile())

    @pytest.mark.parametrize("value", EVERY)
    def test_a_summary_is_one_line(self, value: dict[str, Any]) -> None:
        assert len(terminal.summary_line(value).splitlines()) == 1

    def test_the_summary_has_all_that_a_log_needs(self) -> None:
        assert terminal.summary_line(result()) == (
            "flights 2013-01-05: failed, published; 2 of 6 rules failed (carrier.required, mean-delay), "
            "1 not judged (short-hops); 38 of 842 rows quarantined; report s3://lake/report.html"
        )

    def test_a_summary_names_the_first_rules_only(self) -> None:
        many = terminal.summary_line(result(rules=[rule(f"r{n}", "failed") for n in range(9)]))
        assert "9 of 9 rules failed (r0, r1, r2 and 6 more)" in many


class TestStreams:
    def test_no_escape_codes_when_piped(self) -> None:
        assert "\x1b" not in shown(result())

    def test_colours_on_a_terminal(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("NO_COLOR", raising=False)
        monkeypatch.setenv("TERM", "xterm-256color")
        assert "\x1b[1;31m✗ flights 2013-01-05: failed\x1b[0m" in shown(result(), terminal=True)

    @pytest.mark.parametrize(("name", "value"), (("NO_COLOR", "1"), ("TERM", "dumb")))
    def test_no_colours_where_they_are_not_wanted(self, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
        monkeypatch.setenv(name, value)
        assert "\x1b" not in shown(result(), terminal=True)

    def test_colour_changes_no_word(self) -> None:
        from rich.text import Text

        colored = terminal.render(result(), color=True, verbose=True)
        assert Text.from_ansi(colored).plain.rstrip() == plain(result(), verbose=True).rstrip()

    def test_without_rich_the_words_are_the_same(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "rich.console", None)
        assert terminal.render(result(), color=True) == plain(result())

    @pytest.mark.parametrize("value", EVERY)
    def test_a_stream_of_ascii_gets_ascii(self, value: dict[str, Any]) -> None:
        assert shown(value, encoding="ascii").isascii()

    def test_signs_have_an_ascii_form(self) -> None:
        text = shown(result(), encoding="ascii")
        assert "x carrier.required" in text
        assert "+ 2 rules passed" in text
        assert "o 1 rule not applicable" in text

    def test_standard_output_is_looked_up_when_used(self, capsys: pytest.CaptureFixture[str]) -> None:
        terminal.show(passed())
        assert capsys.readouterr().out == plain(passed())


class TestManyBatches:
    def test_one_row_per_batch_then_details_of_those_not_passed(self) -> None:
        results = [
            passed(),
            tolerated(batch="2013-01-06"),
            held(batch="2013-01-07"),
            {**error(), "batch": "2013-01-08"},
        ]
        table, totals, *details = terminal.render_many(results, color=False).split("\n\n")
        head, *lines = table.splitlines()
        assert head.split() == ["batch", "status", "decision", "in", "passed", "quarantined", "failed", "rules"]
        assert lines[1].split() == ["✓", "flights", "2013-01-06", "passed", "published", "842", "835", "7", "0"]
        assert lines[2].split() == [
            "✗",
            "flights",
            "2013-01-07",
            "failed",
            "held",
            "842",
            "804",
            "38",
            "1:",
            "row_count",
        ]
        assert lines[3].split() == ["✗", "flights", "2013-01-08", "error", "none", "-", "-", "-", "-"]
        assert totals == "4 batches: 2 passed, 1 failed, 1 error; exit code 3"
        assert details[0].startswith("✗ flights 2013-01-07")
        assert not any("flights 2013-01-06" in part for part in details)

    def test_figures_stand_below_each_other(self) -> None:
        wide = passed(batch="日本-😀", rows=rows(1_234_567, 0))
        lines = terminal.render_many([passed(), wide], color=False).splitlines()[1:3]
        assert {terminal._width(line) for line in lines} == {terminal._width(lines[0])}

    def test_the_envelope_of_several_results_is_shown_as_several(self) -> None:
        envelope = {"schema": "quality.results/1", "results": [passed(), held()]}
        assert shown(envelope) == terminal.render_many([passed(), held()], color=False)

    def test_no_batch_at_all(self) -> None:
        assert "0 batches: none; exit code 0" in terminal.render_many([], color=False)


class Page(HTMLParser):
    """Tags, attributes and text of a page; fails on tags that do not nest."""

    VOID = frozenset({"meta", "br", "link", "img", "input"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        self._open += [] if tag in self.VOID else [tag]

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += "" if self._open[-1:] == ["style"] else data


class TestPage:
    @pytest.mark.parametrize("value", EVERY)
    def test_whatever_the_result_the_page_is_whole_and_loads_nothing(self, value: dict[str, Any]) -> None:
        text = html.render(value)
        page = Page(text)
        text.encode("utf-8")
        assert not {"script", "img", "link", "iframe", "object"} & set(page.tags)
        assert not [name for name, _ in page.attributes if name.startswith("on") or name == "src"]
        assert all((target or "").startswith("#") for name, target in page.attributes if name == "href")

    def test_hostile_values_are_readable_and_harmless(self) -> None:
        text = html.render(hostile())
        assert "<script" not in text
        assert "&lt;script&gt;" in text
        assert "\\x1b[31m\\u202etxt.exe \\udc80\\x00 &amp;amp; 😀 שלום" in text
        assert "more characters)" in text
        assert "y" * 1100 not in text

    def test_anchors_are_numbers_and_all_lead_somewhere(self) -> None:
        found = Page(html.render(hostile())).attributes
        ids = {value for name, value in found if name == "id"}
        assert {"rule-0", "sample-0"} <= ids
        assert {(value or "").lstrip("#") for name, value in found if name == "href"} <= ids

    @pytest.mark.parametrize(
        "part",
        (
            "failed",
            "published",
            "842 rows in = 804 passed + 38 quarantined (4.51%)",
            "carrier.required",
            "0.955",
            "38 of 842",
            "38 rows are NULL",
            "rules/flights.yml:34",
            "Could not be judged",
            "Not applicable",
            "s3://lake/quarantine",
            "shuffles",
            "4.112",
            "3.5.9",
        ),
    )
    def test_the_page_tells(self, part: str) -> None:
        assert part in Page(html.render(result())).text

    def test_failed_rules_stand_before_passed_ones(self) -> None:
        text = html.render(result())
        ids = ["carrier.required", "mean-delay", "short-hops", "volume", "origin.in", "dest.in"]
        assert [text.index(f"<b><bdi>{name}") for name in ids] == sorted(text.index(f"<b><bdi>{name}") for name in ids)

    def test_a_held_batch_and_its_reason(self) -> None:
        text = Page(html.render(held())).text
        assert "Held by row_count; readers see nothing of it" in text
        assert "804 would have passed" in text

    def test_rows_within_tolerance_are_stated(self) -> None:
        text = " ".join(Page(html.render(tolerated())).text.split())
        assert "Within tolerance, quarantined: 7 of 812 rows in scope failed flew" in text

    def test_an_error_without_rules(self) -> None:
        text = Page(html.render(error())).text
        assert "data/2013-01-05.csv: no such file" in text
        assert "No rule was judged." in text

    def test_unchanged(self) -> None:
        assert "unchanged: same input and rules" in Page(html.render(passed(unchanged=True))).text

    def test_one_bad_row_in_a_million_is_seen_in_the_bar(self) -> None:
        text = html.render(passed(rows=rows(10**6, 1)))
        assert 'class="bar-quarantined" style="flex: 0 1 0.500%"' in text

    def test_sampled_rows_are_cut_with_a_count(self) -> None:
        sampled = [{f"c{n}": None if n else row for n in range(70)} for row in range(23)]
        text = Page(html.render(result(samples={"carrier.required": sampled, "unknown": sampled}))).text
        assert "and 3 more sampled rows" in text
        assert "and 10 more columns" in text
        assert "NULL" in text

    def test_the_template_is_found_in_a_zip(self, tmp_path: Path) -> None:
        archive = tmp_path / "quality.zip"
        with zipfile.ZipFile(archive, "w") as package:
            package.writestr("quality/__init__.py", "")
            for name in ("errors.py", "formulas.py", "model.py"):
                package.write(REPORT.parent / name, f"quality/{name}")
            for path in REPORT.glob("*.*"):
                package.write(path, f"quality/report/{path.name}")
        code = (
            f"import sys; sys.path.insert(0, {str(archive)!r}); from quality.report import html; print(html.__file__); "
        )
        done = subprocess.run(
            [sys.executable, "-c", code + "print(html.render({'dataset': 'd'}))"],
            capture_output=True,
            text=True,
            check=True,
            cwd=tmp_path,
        )
        assert "quality.zip" in done.stdout.splitlines()[0]
        assert "</html>" in done.stdout


class TestJUnit:
    @staticmethod
    def parsed(*results: dict[str, Any]) -> ET.Element:
        return ET.fromstring(junit.render(list(results)).encode("utf-8"))

    def test_a_suite_is_a_batch_and_a_case_a_rule(self) -> None:
        root = self.parsed(result(), passed(batch="2013-01-06"))
        assert [suite.get("name") for suite in root] == ["flights 2013-01-05", "flights 2013-01-06"]
        assert [len(suite.findall("testcase")) for suite in root] == [6, 1]

    def test_verdicts_are_counted(self) -> None:
        counts = {"tests": "6", "failures": "2", "errors": "1", "skipped": "1"}
        root = self.parsed(result())
        assert {name: root[0].get(name) for name in counts} == counts
        assert {name: root.get(name) for name in counts} == counts

    def test_a_failure_has_numbers_and_location(self) -> None:
        case = self.parsed(result()).find(".//testcase[@name='carrier.required']")
        assert case is not None
        failure = case[0]
        assert (case.get("file"), case.get("line")) == ("rules/flights.yml", "34")
        assert (failure.tag, failure.get("type"), failure.get("message")) == ("failure", "error", "38 rows are NULL")
        assert failure.text == (
            "38 rows are NULL\nCompleteness 0.955, expected = 1; 38 of 842 rows in scope failed\nrules/flights.yml:34"
        )

    def test_an_error_and_a_skipped_rule_say_why(self) -> None:
        root = self.parsed(result())
        assert root.find(".//error").get("message") == "column 'distanc' is not in the data"  # type: ignore[union-attr]
        assert root.find(".//skipped").get("message") == "3 published batches, 7 are needed"  # type: ignore[union-attr]

    def test_a_batch_that_could_not_be_read_is_an_error(self) -> None:
        case = self.parsed(error()).find(".//testcase[@name='batch']")
        assert case is not None
        assert case[0].tag == "error"
        assert str(case[0].get("message")).startswith("data/2013-01-05.csv: no such file")

    def test_a_batch_held_by_no_rule_is_a_failure_all_the_same(self) -> None:
        root = self.parsed(held(rules=[rule("origin.in")], rows=rows(300, 700)))
        assert root.get("failures") == "1"
        assert "70% of the rows" in str(root.find(".//failure").get("message"))  # type: ignore[union-attr]

    def test_a_passed_batch_has_no_failure_and_states_its_rows(self) -> None:
        root = self.parsed(tolerated())
        assert (root.get("failures"), root.get("errors")) == ("0", "0")
        assert root.findtext(".//system-out") == "842 rows in = 835 passed + 7 quarantined (0.831%)"

    @pytest.mark.parametrize("value", EVERY)
    def test_whatever_the_result_the_document_can_be_parsed(self, value: dict[str, Any]) -> None:
        assert self.parsed(value).tag == "testsuites"

    def test_characters_that_xml_cannot_hold_are_removed(self) -> None:
        assert junit.xml("a\x00\x1b\ud800\ufffe\tb😀") == "a\tb😀"


def test_what_the_file_says_of_a_rule_reaches_every_report():
    metadata = {
        "description": "ships leave in time",
        "owner": "ann@example.com",
        "tags": ["a", "b"],
        "dimension": "validity",
        "labels": {"team": "x"},
    }
    said = "ships leave in time; owner: ann@example.com; dimension: validity; tags: a, b; team: x"
    told = result(rules=[rule("late", "failed", failed_rows=3, metadata=metadata), rule("plain", "failed")])
    assert said in terminal.render(told)
    assert said in html.render(told)
    assert said in junit.render([told])
    assert terminal.render(told).count("owner:") == 1
    assert "<script>" not in html.render(
        result(rules=[rule("x", "failed", metadata={"owner": HOSTILE, "tags": [HOSTILE]})])
    )
