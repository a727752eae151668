"""What a rule file says of streams, what the command refuses, and how numbers of micro-batches add up. No Spark."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from quality import cli
from quality.backends.needs import needs
from quality.entry import parse
from quality.errors import RuleFileError, UsageError
from quality.job_stream import StreamWishes
from quality.model import MetricKey, Severity
from quality.rule_types.rules import Kafka, StreamSettings
from quality.rulefile import load, parsed
from quality.rulefile.lint import lint
from quality.rulefile.windowed import of_windows
from quality.storage import layout
from quality.windows import merged, of_micro_batch

TOPIC = "input: {kafka: {servers: 'a:1,b:2', topic: orders}, format: json}"


def written(rule_file, text):
    return rule_file(f"version: 1\ndataset: d\n{text}\nrules:\n- row_count: {{at_least: 1}}\n")


def test_a_topic_and_the_settings_of_a_stream_are_read(rule_file):
    text = """input:
  kafka: {servers: 's:1', topic: t, start: latest, options: {kafka.security.protocol: SSL}}
  format: csv
  schema: {id: integer}
stream: {trigger: 1 minute, max_files: 5, max_messages: 7, on_held: continue, checkpoint: 's3://b/c', window: 1h}"""
    found = load(written(rule_file, text))
    assert found.input.kafka == Kafka("s:1", "t", "latest", {"kafka.security.protocol": "SSL"})
    assert found.stream == StreamSettings(timedelta(minutes=1), 5, 7, "continue", "s3://b/c", timedelta(hours=1))
    assert needs([found]) == {"kafka", "s3"}
    assert load(written(rule_file, f"{TOPIC}\nstream: {{window: 20 batches}}")).stream.window == 20
    assert load(written(rule_file, TOPIC)).stream == StreamSettings()


@pytest.mark.parametrize(
    ("text", "line", "message"),
    (
        ("input: {kafka: {servers: s}, format: json}", 3, "'kafka' needs 'topic'"),
        ("input: {kafka: t, format: json}", 3, "'kafka' must be a mapping such as {servers: 'broker:9092', topic: orders}"),
        ("input: {kafka: {servers: s, topic: t}, path: a.json}", 3, "'input' has both 'path' and 'kafka'; one is enough"),
        ("input: {kafka: {servers: s, topic: t}, format: parquet}", 3, "are read as json or csv, not as parquet"),
        ("input: {kafka: {servers: s, topic: t}, format: csv}", 3, "csv in messages needs a 'schema' of 'input'"),
        ("input: {kafka: {servers: s, topic: t, form: 1}}", 3, "'form' is not a key of 'kafka'"),
        (f"{TOPIC[:-1]}, options: {{header: true}}}}", 3, "a message has no header"),
        (TOPIC.replace("}", ", options: {failOnDataLoss: false}}", 1), 3, "must not be passed over in silence"),
        (f"{TOPIC}\nstream: {{trigger: soon}}", 4, "'trigger' must be a length of time such as '10s' or '5 minutes'"),
        (f"{TOPIC}\nstream: {{max_files: 0}}", 4, "'max_files' must be a whole number of at least 1, got 0"),
        (f"{TOPIC}\nstream: {{on_held: go}}", 4, "'on_held' must be one of stop, continue"),
        (f"{TOPIC}\nstream: {{window: 0}}", 4, "'window' must be a whole number of at least 1"),
        (f"{TOPIC}\nstream: {{triger: 1s}}", 4, "did you mean 'trigger'?"),
    ),
)  # fmt: skip
def test_a_mistake_has_its_line_and_says_what_is_allowed(rule_file, text, line, message):
    with pytest.raises(RuleFileError) as caught:
        load(written(rule_file, text))
    (problem,) = caught.value.problems
    assert (problem.line, message in problem.message) == (line, True), problem


def test_lint_names_the_rules_that_windows_do_not_judge(rule_file):
    rules = (
        "- row_count: {at_least: 1}\n- {mean: {column: a, above: 0}, group_by: [g]}\n- distinct_count: {column: a, above: 0}\n"
        "- unique: a\n- any: [{sum: {column: a, above: 0}}, {completeness: {column: a, above: 0}}]\n- above: {column: a, value: 0}\n"
        "- all: [{quantile: {column: a, q: 0.5, above: 0}}, {row_count: {above: 0}}]\n- {above: {column: b, value: 0}, group_by: [g]}\n"
        "- compliance: {that: a > 0, above: 0}\n"
    )
    text = f"version: 1\ndataset: d\n{TOPIC[:-1]}, schema: {{a: integer}}}}\n%srules:\n{rules}"
    windowed = load(rule_file(text % "stream: {window: 1h}\n"))
    assert [(problem.line - 6, problem.message.partition(": ")[2].partition(":")[0]) for problem in of_windows(windowed)] == [
        (1, "windows have no groups"),
        (2, "CountDistinct of several micro-batches does not add up"),
        (3, "keys are compared within each micro-batch, not over a window; what it says of more rows needs a run of its own over the passed rows"),
        (6, "ApproxQuantile of several micro-batches does not add up"),
        (7, "windows have no groups"),
    ]  # fmt: skip
    told = {problem.message for problem in of_windows(windowed)}
    assert told <= {warning.message for warning in lint(str(rule_file(text % "stream: {window: 1h}\n"))).warnings}
    assert [*of_windows(load(rule_file(text % "")))] == []
    # what windows do not judge goes on to decide in each micro-batch
    noted = {rule.location.line - 6: rule.severity for rule in of_micro_batch(windowed).rules if rule.location.line > 5}
    assert [line for line, severity in noted.items() if severity == Severity.INFO] == [0, 4, 8]


def test_the_stream_and_the_topic_are_no_part_of_the_fingerprint(rule_file):
    one = load(written(rule_file, TOPIC)).fingerprint
    assert load(written(rule_file, TOPIC.replace("orders", "others") + "\nstream: {window: 3}")).fingerprint == one


def test_secrets_of_a_topic_are_in_no_text(rule_file, monkeypatch):
    monkeypatch.setenv("QUALITY_JAAS", "hush")
    text = TOPIC.replace("topic: orders", "topic: t, options: {kafka.sasl.jaas.config: \"{{ env('QUALITY_JAAS') }}\"}")
    found = load(written(rule_file, text))
    assert found.input.kafka is not None
    assert found.input.kafka.options["kafka.sasl.jaas.config"] == "hush"
    assert "hush" not in repr(found)


def test_a_file_that_was_parsed_once_is_rendered_for_each_micro_batch(rule_file):
    path = written(
        rule_file, "input: {path: x}\ndescription: 'of {{ batch }}'".replace("path: x", "path: x, format: csv")
    )
    tree = parsed(path)
    path.write_text("gone")
    assert [load(path, batch=batch, tree=tree).description for batch in ("a", "b")] == ["of a", "of b"]


def test_the_id_of_a_micro_batch_names_its_stream():
    name = layout.micro_batch("0123456789ab", 42)
    assert name == "0123456789ab-000000042"
    assert layout.check_batch(name) == name
    assert layout.stream_of(name) == "0123456789ab"
    assert [layout.stream_of(other) for other in ("2024-01-02", "0123456789ab", "x123456789ab-000000042")] == [
        "",
        "",
        "",
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    (
        ("stream", "RULES is missing"),
        ("stream FILE --trigger often", "--trigger must be a length of time such as '10s'"),
        ("stream FILE --window 0.5s", "--window must be at least a second"),
        ("stream FILE --on-held wait", "--on-held must be one of stop, continue"),
        ("stream FILE --max-batches 0", "'max_batches' must be at least 1, got 0"),
        ("stream FILE --engine dequ", "did you mean 'deequ'?"),
        ("stream FILE --onse", "did you mean '--once'?"),
        ("run FILE --batch b", "a topic has no batches; read it with: quality stream"),
    ),
)
def test_a_mistake_in_the_arguments_is_one_message_and_exit_code_2(rule_file, capsys, words, message):
    assert cli.run_command(words.replace("FILE", str(written(rule_file, TOPIC))).split()) == 2
    found = capsys.readouterr()
    assert (found.out, message in found.err.splitlines()[0]) == ("", True), found.err


def test_a_job_takes_the_arguments_of_a_stream():
    wish = parse(["--rules", "a.yml", "--stream", "once", "--on_held", "continue", "--max-batches", "3"]).stream
    assert wish == StreamWishes(True, on_held="continue", max_batches=3)
    assert parse(["--rules", "a.yml", "--stream", "forever", "--trigger", ""]).stream == StreamWishes(False)
    assert parse(["--rules", "a.yml", "--batch", "b", "--stream", ""]).stream is None


@pytest.mark.parametrize(
    ("words", "message"),
    (
        ("--stream always", "--stream is one of once, forever, got 'always'"),
        ("--stream once --batch b", "--stream and --batch do not go together"),
        ("--stream once --rules b.yml", "a stream is by one rule file, got 2"),
        ("--batch b --window 3", "--window is about streams; --stream once|forever begins one"),
        ("--stream once --max-batches x", "--max-batches is a number of at least 1, got 'x'"),
        ("--stream once --checkpont x", "did you mean '--checkpoint'?"),
    ),
)
def test_a_mistake_in_the_arguments_of_a_job_is_told(words, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        parse(["--rules", "a.yml", *words.split()])


# numbers that add up


def row(name, value, *, exact=None, of=None, instance="x"):
    part, whole = of or (None, None)
    text = str(value) if exact is None else exact
    return {
        "entity": "Column", "name": name, "instance": instance, "filter": None, "parameters": "{}", "value": value,
        "exact": text, "numerator": part, "denominator": whole,
    }  # fmt: skip


def added(*rows):
    """The metrics of several runs, each run one row or a list of them."""
    listed = [(str(n), one) for n, run in enumerate(rows) for one in (run if isinstance(run, list) else [run])]
    return {key.name: metric for key, metric in merged(listed).items()}


def test_sums_counts_and_extremes_add_up_exactly():
    assert added(row("Sum", 2.0**53, exact=str(2**53 + 1)), row("Sum", 1.0, exact="1"))["Sum"].value == 2**53 + 2
    assert str(added(row("Sum", 0.1, exact="0.10"), row("Sum", 0.2, exact="0.20"))["Sum"].value) == "0.30"
    assert added(row("Minimum", 3.5), row("Minimum", -1.0, exact="-1"))["Minimum"].value == -1
    assert added(row("Maximum", 3.5), row("Maximum", None, exact=""))["Maximum"].value == 3.5


def test_shares_add_up_by_their_rows():
    found = added(row("Completeness", 1.0, of=(2, 2)), row("Completeness", 0.5, of=(4, 8)))["Completeness"]
    assert (found.value, found.numerator, found.denominator) == (0.6, 6, 10)
    assert added(row("Completeness", None, of=(0, 0)))["Completeness"].value is None


def test_a_mean_is_weighed_by_the_values_it_is_of_and_left_out_where_they_are_not_known():
    first = [row("Mean", 1.0), row("Completeness", 0.5, of=(3, 6))]
    second = [row("Mean", 5.0), row("Completeness", 1.0, of=(1, 1))]
    assert added(first, second)["Mean"].value == 2.0
    assert "Mean" not in added(first, row("Mean", 5.0))
    assert added(first, [row("Mean", None, exact=""), row("Completeness", 0.0, of=(0, 4))])["Mean"].value == 1.0


@pytest.mark.parametrize("name", ("Uniqueness", "CountDistinct", "ApproxQuantile", "StandardDeviation", "Histogram"))
def test_what_does_not_add_up_is_left_out(name):
    assert added(row(name, 0.5, of=(1, 2)), row(name, 0.5, of=(1, 2))) == {}


def test_nan_makes_a_sum_unknown():
    assert "Sum" not in added(row("Sum", float("nan"), exact="NaN"), row("Sum", 1.0))


def test_the_key_of_a_merged_metric_is_that_of_its_parts():
    (key,) = merged([("1", row("Sum", 1.0)), ("2", row("Sum", 1.0))])
    assert key == MetricKey("Column", "Sum", "x")
