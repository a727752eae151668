"""What a rule file says of streams: a topic as input, and the section `stream:`."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from quality.errors import UsageError
from quality.rule_types.args import choice, parse_duration, parse_text, shown
from quality.rule_types.rules import Kafka, StreamSettings
from quality.rulefile.nodes import Node
from quality.rulefile.ruleforms import Problems

KAFKA_KEYS = ("servers", "topic", "start", "options")
STREAM_KEYS = ("trigger", "max_files", "max_messages", "on_held", "checkpoint", "window")
STARTS = ("earliest", "latest")
ON_HELD = ("stop", "continue")
#: Options of Spark's source that say what this section says, or would lose messages without a word.
_OWN_OPTIONS = {
    "kafka.bootstrap.servers": "'servers' says it",
    "subscribe": "'topic' says it",
    "subscribepattern": "a stream reads one topic",
    "assign": "a stream reads one topic",
    "startingoffsets": "'start' says it",
    "startingtimestamp": "'start' says where a new stream begins",
    "startingoffsetsbytimestamp": "'start' says where a new stream begins",
    "endingoffsets": "a stream has no end",
    "failondataloss": "messages that are gone must not be passed over in silence",
    "maxoffsetspertrigger": "'max_messages' of 'stream' says it",
    "includeheaders": "the value of a message is the row",
}
#: So many micro-batches, or so much time.
Window = timedelta | int
_SHORT = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(s|m|min|h|d)\s*")
_WORDS = {"s": "seconds", "m": "minutes", "min": "minutes", "h": "hours", "d": "days"}


def read_kafka(node: Node | None, problems: Problems) -> Kafka | None:
    """The topic of an input; None when there is none, or a wrong one."""
    if node is None:
        return None
    if not isinstance(node.value, dict):
        problems.add(
            node,
            f"'kafka' must be a mapping such as {{servers: 'broker:9092', topic: orders}}, got {shown(node.plain())}",
        )
        return None
    problems.unknown_keys(node, KAFKA_KEYS, "key of 'kafka'")
    before = len(problems.found)
    servers, topic = (problems.text(node, key) for key in ("servers", "topic"))
    for key, value in (("servers", servers), ("topic", topic)):
        if not value and len(problems.found) == before:
            problems.add(node, f"'kafka' needs '{key}'")
    start = problems.parsed(node.mapping.get("start"), "'start' of 'kafka'", choice(*STARTS).parse, "earliest")
    return Kafka(servers, topic, str(start), _options(node.mapping.get("options"), problems))


def _options(node: Node | None, problems: Problems) -> dict[str, str]:
    if node is None:
        return {}
    if not isinstance(node.value, dict):
        problems.add(node, "'options' of 'kafka' must be a mapping such as {kafka.security.protocol: SSL}")
        return {}
    for name, value in node.mapping.items():
        if name.lower() in _OWN_OPTIONS:
            problems.add(value, f"option '{name}' of 'kafka' is not yours to set: {_OWN_OPTIONS[name.lower()]}")
    return {name: option_text(value.plain()) for name, value in node.mapping.items()}


def option_text(value: Any) -> str:
    """An option of a reader as Spark takes it."""
    return str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)


def refuse_misfit(node: Node, kind: str, problems: Problems) -> None:
    """Note what does not go with messages: `kind` is the format, `node` the section `input`."""
    if kind not in ("csv", "json"):
        problems.add(node, f"messages of 'kafka' are read as json or csv, not as {kind}")
    options = node.mapping["options"].mapping if "options" in node.mapping else {}
    for name, value in options.items():
        if name.lower() == "header" and option_text(value.plain()).lower() == "true":
            problems.add(value, "a message has no header: name the columns, in their order, under 'schema'")
        if name.lower() == "multiline" and kind == "csv" and option_text(value.plain()).lower() == "true":
            problems.add(value, "'multiLine' of csv is for files; each line of a message is a row")
    if kind == "csv" and not node.mapping.get("schema"):
        problems.add(node, "csv in messages needs a 'schema' of 'input': the columns in their order")


def read_stream(tree: Node, problems: Problems) -> StreamSettings:
    """The section `stream:`; every mistake is noted."""
    node = tree.mapping.get("stream")
    if node is None or node.value is None:
        return StreamSettings()
    if not isinstance(node.value, dict):
        problems.add(node, f"'stream' must be a mapping such as {{trigger: 1 minute}}, got {shown(node.plain())}")
        return StreamSettings()
    problems.unknown_keys(node, STREAM_KEYS, "key of 'stream'")
    usual, entries = StreamSettings(), node.mapping
    return StreamSettings(
        trigger=problems.parsed(entries.get("trigger"), "'trigger'", parse_span, usual.trigger),
        max_files=problems.parsed(entries.get("max_files"), "'max_files'", parse_count, usual.max_files),
        max_messages=problems.parsed(entries.get("max_messages"), "'max_messages'", parse_count, usual.max_messages),
        on_held=str(problems.parsed(entries.get("on_held"), "'on_held'", choice(*ON_HELD).parse, usual.on_held)),
        checkpoint=problems.parsed(entries.get("checkpoint"), "'checkpoint'", parse_text, ""),
        window=problems.parsed(entries.get("window"), "'window'", parse_window, None),
    )


def parse_span(value: Any) -> timedelta:
    """A length of time, also in the short form: `10s`, `5m`, `1 hour`."""
    short = _SHORT.fullmatch(value) if isinstance(value, str) else None
    try:
        return parse_duration(f"{short[1]} {_WORDS[short[2]]}" if short else value)
    except ValueError as error:
        raise ValueError(str(error).replace("'36 hours' or '3 days'", "'10s' or '5 minutes'")) from None


def parse_count(value: Any) -> int:
    """A whole number of at least 1."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return value
    raise ValueError(f"must be a whole number of at least 1, got {shown(value)}")


def parse_window(value: Any) -> Window:
    """A number of micro-batches (`20`, `20 batches`), or a length of time."""
    count = re.fullmatch(r"\s*([0-9]+)(\s*batch(es)?)?\s*", value) if isinstance(value, str) else None
    if count or not isinstance(value, str):
        return parse_count(int(count[1]) if count else value)
    span = parse_span(value)
    if span < timedelta(seconds=1):
        raise ValueError(f"must be at least a second, got {shown(value)}")
    return span


def read_options(given: dict[str, Any]) -> dict[str, Any]:
    """The same values from a command line; None stands for what was not given. Raises UsageError with the option's name."""
    parsers: dict[str, Any] = {"trigger": parse_span, "window": parse_window, "on_held": choice(*ON_HELD).parse}
    found = {}
    for name, value in given.items():
        if value is None:
            continue
        try:
            found[name] = parsers.get(name, parse_text)(value)
        except ValueError as error:
            raise UsageError(f"--{name.replace('_', '-')} {error}") from None
    return found
