"""The job: one entry point for Glue, EMR and plain spark-submit. `jobs/quality_job.py` calls `main`, nothing else does.

Platforms differ in what else stands in argv, in whose Spark session it is, where rule files are, and in how a failed
batch makes itself seen; all of that is decided here, and the work is done by `quality.run`. Spark is imported late, so
that a wrong Python (EMR's own is 3.9) or argument ends in one clear line.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import json
import logging
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import quality
from quality import jars, job_stream
from quality.doctor import python_check
from quality.errors import EngineError, QualityError, UsageError
from quality.model import gravest_exit

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from quality.results import RunResult
    from quality.storage.rule_files import RuleFiles

LOG = logging.getLogger("quality.entry")

ON_FAIL = ("raise", "report", "exit")
LOG_FORMATS = ("text", "json")

#: What Glue puts into argv of every run, and nobody else does.
_GLUE_SIGNS = ("--JOB_ID", "--JOB_RUN_ID", "--JOB_NAME")
_FINE_GRAINED = "--enable-lakeformation-fine-grained-access"
#: How alike an unknown argument and one of ours are when it is taken for a mistake: `--rule` is, `--conf` is not.
_ALIKE = 0.75


class DataQualityFailed(QualityError):
    """A batch was not published, or was published with failed rules; the text is one line. Glue shows it as the error
    of the job run."""

    def __init__(self, message: str, results: Sequence[RunResult]) -> None:
        super().__init__(message)
        self.results = tuple(results)
        self.exit_code = gravest_exit(result.exit_code for result in results)


@dataclass(frozen=True)
class Options:
    """The arguments of the job. `on_fail` is empty when the platform decides; `ignored` are the words that are
    nobody's: on Glue, where half of argv is the platform's, none are told."""

    rules: tuple[str, ...]
    batches: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict)
    input: str | None = None
    root: str | None = None
    dataset: str | None = None
    references: Mapping[str, str] = field(default_factory=dict)
    force: bool = False
    engine: str = "auto"
    max_scans: int | None = None
    allow_env: frozenset[str] = frozenset()
    on_fail: str = ""
    log_format: str = "text"
    result: str | None = None
    stream: job_stream.StreamWishes | None = None
    ignored: tuple[str, ...] = ()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the job; return when every batch was published and no error rule failed.

    Otherwise, by `--on-fail`: `raise` DataQualityFailed (the default on Glue), `exit` with the exit code (elsewhere),
    or `report`: return all the same, the result JSON tells. What leaves no result (a usage mistake, no Spark) always
    fails the job.
    """
    argv = list(sys.argv[1:] if arguments is None else arguments)
    on_glue = looks_like_glue(argv)
    ending = "raise" if on_glue else "exit"
    try:
        options = parse(argv)
        ending = options.on_fail or ending
        results = run_job(options, argv)
    except QualityError as error:
        if ending == "raise":
            raise
        _exit(f"quality: {error}", error.exit_code)
    except Exception:
        if ending == "raise":
            raise
        LOG.exception("this should not have happened")
        _exit("quality: the job broke off", 3)
    _finish(results, ending)


def _finish(results: Sequence[RunResult], ending: str) -> None:
    failed = DataQualityFailed(_summary(results), results)
    if failed.exit_code and ending == "raise":
        raise failed
    if failed.exit_code and ending == "exit":
        _exit("", failed.exit_code)


def _exit(line: str, code: int) -> NoReturn:
    if line:
        sys.stderr.write(f"{line}\n")
    sys.stdout.flush()
    sys.exit(code)


def _summary(results: Sequence[RunResult]) -> str:
    """One line about all that is not well; Glue cuts long ones."""
    from quality.report.terminal import summary_line

    lines = [summary_line(dict(result.data)) for result in results if result.exit_code]
    more = f" | and {len(lines) - 3} more" if len(lines) > 3 else ""
    return " | ".join(lines[:3]) + more


# arguments


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


def parser() -> argparse.ArgumentParser:
    """Every option in kebab and in snake form, each taking a value: Glue and Step Functions know nothing else."""
    made = _Parser(
        prog="quality_job.py",
        description="Run rule files on batches: judge, split, publish or hold.",
        epilog="exit codes: 0 passed  1 rules failed, published  2 usage or rule file  3 input, Spark or storage  4 held",
        allow_abbrev=False,
    )

    def add(name: str, metavar: str, help: str, **how: Any) -> None:
        forms = dict.fromkeys((f"--{name}", f"--{name.replace('-', '_')}"))
        made.add_argument(*forms, metavar=metavar, help=help, **how)

    several: dict[str, Any] = {"action": "append", "default": []}
    add("rules", "FILES", "rule files: paths, names among --files, URIs; comma list or repeated", **several)
    add("batch", "IDS", "the batches to run, one by one; comma list or repeated", **several)
    add("var", "NAME=VALUE", "values for the files' vars; comma list or repeated", **several)
    add("input", "PATH", "read this instead of the file's input")
    add("root", "URI", "keep results here instead of the file's outputs.root")
    add("dataset", "ID", "the data set, instead of the file's; a .dqdl file names none")
    add("reference", "NAME=PATH", "where other data sets lie, instead of the file's; comma list or repeated", **several)
    # without a value it means true, as people write it on a command line
    add("force", "true|false", "run although nothing changed since the last run", nargs="?", const="true")
    add("engine", "NAME", "auto, deequ, deequ-runner or spark", default="auto")
    add("max-scans", "N", "refuse a plan that reads the batch more often")
    add("allow-env", "NAMES", "variables that env() may read; comma list or repeated", **several)
    add("on-fail", "|".join(ON_FAIL), "how a batch that failed ends the job (on Glue: raise, elsewhere: exit)")
    add("log-format", "|".join(LOG_FORMATS), "how the log is written", default="text")
    add("result", "URI", "write the result JSON here too, where a scheduler looks for it")
    job_stream.add_arguments(add)
    return made


def parse(argv: Sequence[str]) -> Options:
    """The options in argv, whatever else stands there. UsageError for what is missing or wrong, and for an unknown
    argument that looks like one of ours."""
    made = parser()
    found, rest = made.parse_known_args(list(argv))
    _refuse_mistyped(rest, _names(made))
    options = Options(
        rules=_words(found.rules),
        batches=_words(found.batch),
        variables=_pairs("var", "VALUE", found.var),
        # a scheduler that has no value for an argument gives an empty one
        input=found.input or None,
        root=found.root or None,
        dataset=found.dataset or None,
        references=_pairs("reference", "PATH", found.reference),
        force=_truth("force", found.force or "false"),
        engine=found.engine or "auto",
        max_scans=_number("max-scans", found.max_scans),
        allow_env=frozenset(_words(found.allow_env)),
        on_fail=_one_of("on-fail", found.on_fail or "", ("", *ON_FAIL)),
        log_format=_one_of("log-format", found.log_format or "text", LOG_FORMATS),
        result=found.result or None,
        stream=job_stream.wishes(found, _words(found.rules), _words(found.batch), _number),
        ignored=() if looks_like_glue(argv) else tuple(rest),
    )
    needed = (("--rules", options.rules), ("--batch", options.batches or options.stream))
    missing = [name for name, given in needed if not given]
    if missing:
        raise UsageError(f"{' and '.join(missing)} must be given\n{made.format_usage().strip()}")
    return options


def looks_like_glue(argv: Sequence[str]) -> bool:
    """Whether Glue started this job."""
    return any(word.split("=", 1)[0] in _GLUE_SIGNS for word in argv)


def _names(made: argparse.ArgumentParser) -> list[str]:
    return [text for action in made._actions for text in action.option_strings[:1] if text.startswith("--")]


def _refuse_mistyped(rest: Sequence[str], names: Sequence[str]) -> None:
    for word in rest:
        if word.startswith("--"):
            written = word.split("=", 1)[0]
            near = difflib.get_close_matches(written.lower().replace("_", "-"), names, n=1, cutoff=_ALIKE)
            if near:
                raise UsageError(f"'{written}' is not an argument; did you mean '{near[0]}'?")


def _words(texts: Sequence[str]) -> tuple[str, ...]:
    words = (word.strip() for text in texts for word in text.split(","))
    return tuple(dict.fromkeys(word for word in words if word))


def _pairs(word: str, what: str, texts: Sequence[str]) -> dict[str, str]:
    # a comma separates only where a name follows, so that a value may hold commas
    pairs = [pair.partition("=") for text in texts for pair in re.split(r",\s*(?=[A-Za-z_]\w*=)", text) if pair.strip()]
    for name, sign, _ in pairs:
        if not sign or not name.strip():
            raise UsageError(f"--{word} takes NAME={what}, got '{name}'")
    return {name.strip(): value for name, _, value in pairs}


def _truth(name: str, text: str) -> bool:
    return _one_of(name, text.lower(), ("true", "false")) == "true"


def _number(name: str, text: str | None) -> int | None:
    if not text:
        return None
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise UsageError(f"--{name} is a number of at least 1, got '{text}'")


def _one_of(name: str, text: str, allowed: Sequence[str]) -> str:
    if text in allowed:
        return text
    raise UsageError(f"--{name} is one of {', '.join(filter(None, allowed))}, got '{text}'")


# the run


def run_job(options: Options, argv: Sequence[str] = ()) -> list[RunResult]:
    """Run every rule file on every batch in one session. Each result is told when it is there; all rule files are
    loaded before the first batch is read. Raises QualityError for what leaves no result."""
    running = python_check()
    if running.ok is False:
        raise EngineError(f"this is Python {running.found}: {running.advice} (spark.pyspark.python, PYSPARK_PYTHON)")
    from quality.storage.rule_files import RuleFiles

    where = Where()
    with _logged(where, options.log_format), _spark(argv) as spark, RuleFiles(spark) as files:
        _tell_versions(spark, options)
        given = {"variables": options.variables, "allow_env": options.allow_env, "root": options.root}
        given |= {"dataset": options.dataset} if options.dataset else {}
        given |= {"references": options.references} if options.references else {}
        if options.stream:
            more = {
                **given,
                "input": options.input,
                "engine": options.engine,
                "told": lambda found: _tell(found, options),
            }
            return job_stream.run(spark, files.find(options.rules[0]), options.stream, more, options.result)
        work = _loaded(options, files, given)
        results = []
        for path, batch, dataset in work:
            where.enter(dataset, batch)
            results.append(_run_one(spark, path, batch, options, given, where))
            _tell(results[-1], options)
        if options.result:
            _keep(options.result, results, spark)
        return results


def _loaded(options: Options, files: RuleFiles, given: Mapping[str, Any]) -> list[tuple[Path, str, str]]:
    """(file, batch, data set) of every run: a mistake in the last file must not be found after an hour in the first."""
    from quality.rulefile import load
    from quality.storage.layout import check_batch

    batches = [check_batch(batch) for batch in options.batches]
    found = [files.find(text) for text in options.rules]
    return [
        (path, batch, load(path, batch=batch, input_path=options.input, **given).dataset)
        for path in found
        for batch in batches
    ]


def _run_one(
    spark: SparkSession, path: Path, batch: str, options: Options, given: Mapping[str, Any], where: Where
) -> RunResult:
    from quality.runs import run

    def told(words: str) -> None:
        where.run = _current_run(spark)
        LOG.info(words)

    result = run(
        path,
        batch,
        input=options.input,
        spark=spark,
        force=options.force,
        engine=options.engine,
        max_scans=options.max_scans,
        progress=told,
        **given,
    )
    where.run = str(result.data["run"])
    return result


def _current_run(spark: SparkSession) -> str:
    """The id of the run that is going on: Spark is told it, as the group of its jobs, before there is a result."""
    context = spark.sparkContext
    ours = (context.getLocalProperty("spark.job.description") or "").startswith("quality run ")
    return (context.getLocalProperty("spark.jobGroup.id") or "") if ours else ""


def _tell(result: RunResult, options: Options) -> None:
    """What a log reader or a scheduler needs, on standard output: the verdict, and where the result JSON is."""
    from quality.report.terminal import summary_line

    data = dict(result.data)
    line, place = summary_line(data), result_uri(data)
    if options.log_format == "json":
        kept = ("dataset", "batch", "run", "status", "decision", "exit_code", "unchanged")
        sys.stdout.write(json.dumps({**{name: data[name] for name in kept}, "result": place, "message": line}) + "\n")
    else:
        sys.stdout.write(f"{line}\nresult JSON: {place or 'could not be stored'}\n")
    sys.stdout.flush()


def result_uri(data: Mapping[str, Any]) -> str | None:
    """Where the result JSON of a run is kept: beside its report. None when it could not be stored."""
    report = (data.get("outputs") or {}).get("report")
    return f"{report.rpartition('/')[0]}/result.json" if report else None


def _keep(uri: str, results: Sequence[RunResult], spark: SparkSession) -> None:
    """The result JSON (`quality.results/1` for several batches) at a place of the caller's choice."""
    found = [dict(result.data) for result in results]
    whole = found[0] if len(found) == 1 else {"schema": "quality.results/1", "results": found}
    job_stream.keep(uri, whole, spark)


def _tell_versions(spark: SparkSession, options: Options) -> None:
    LOG.info("quality %s from %s", quality.__version__, Path(quality.__file__ or "").parent)
    LOG.info("Spark %s, Python %s", spark.version, ".".join(map(str, sys.version_info[:3])))
    source = _deequ_source(spark)
    if source is None:
        LOG.warning(
            "Deequ is not on the classpath: Spark's own aggregates measure; give the jar by --jars or --extra-jars"
        )
    else:
        LOG.info("Deequ from %s", source)
        if jars.DEEQU.version not in source:
            advice = "on Glue: --user-jars-first true"
            LOG.warning("this Deequ is not %s, which the engine is tested with; %s", jars.DEEQU.file_name, advice)
    if options.ignored:
        LOG.warning("not arguments of this job, ignored: %s", " ".join(options.ignored))


def _deequ_source(spark: SparkSession) -> str | None:
    """The jar Deequ's classes come from: Glue and EMR may bring one of their own."""
    from py4j.protocol import Py4JError

    jvm: Any = spark._jvm
    try:
        loader = jvm.java.lang.Thread.currentThread().getContextClassLoader()
        source = loader.loadClass(f"{jars.DEEQU.group}.VerificationSuite").getProtectionDomain().getCodeSource()
        return str(source.getLocation())
    except (Py4JError, AttributeError, TypeError):
        return None


# the session


@contextmanager
def _spark(argv: Sequence[str]) -> Iterator[SparkSession]:
    """The platform's session, worked in as `quality.backends.session` does: Spark is stopped afterwards except on Glue
    and Databricks, and no callback server is left to keep the process alive."""
    from quality.backends.session import end_callbacks, on_cluster, session

    _refuse_fine_grained(argv, _cluster_conf() if on_cluster() else {})
    given = _glue_session() if looks_like_glue(argv) else None
    with session(given) as own:
        try:
            yield own.spark
        finally:
            end_callbacks(own.spark.sparkContext._gateway)


def _glue_session() -> SparkSession | None:
    """The session of a GlueContext; None where there is no awsglue."""
    try:
        context = importlib.import_module("awsglue.context")
    except ImportError:
        return None
    from pyspark import SparkContext

    session: SparkSession = context.GlueContext(SparkContext.getOrCreate()).spark_session
    return session


def _cluster_conf() -> dict[str, str]:
    """What spark-submit or the platform configured, before there is a session."""
    from pyspark import SparkConf, SparkContext

    SparkContext._ensure_initialized()
    return dict(SparkConf().getAll())


def _refuse_fine_grained(argv: Sequence[str], conf: Mapping[str, str]) -> None:
    """Under Lake Formation's fine-grained access control there are no jars but the platform's, no RDDs and one session
    only: the job would end in an error that names none of these."""
    told = [
        name
        for name, value in conf.items()
        if re.fullmatch(r"spark\.emr.*\.lakeformation\.enabled", name) and value.lower() == "true"
    ]
    for word, following in zip(argv, (*argv[1:], "true"), strict=False):
        name, _, value = word.partition("=")
        if name == _FINE_GRAINED and (value or following).lower() != "false":
            told.append(name)
    if told:
        raise UsageError(
            f"{told[0]}: Lake Formation's fine-grained access control forbids additional jars (Deequ), RDDs and a second "
            "Spark session; run this job with full table access instead"
        )


# the log


@dataclass
class Where:
    """What the log lines are about at the moment."""

    dataset: str = ""
    batch: str = ""
    run: str = ""

    def enter(self, dataset: str, batch: str) -> None:
        """The next run begins; its id is not known yet."""
        self.dataset, self.batch, self.run = dataset, batch, ""


class _Lines(logging.Formatter):
    """Log lines that name data set, batch and run."""

    def __init__(self, where: Where, as_json: bool) -> None:
        super().__init__()
        self._where, self._as_json = where, as_json

    def format(self, record: logging.LogRecord) -> str:
        """One line, and a traceback below it (in JSON: inside it)."""
        moment = datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds")
        trace = self.formatException(record.exc_info) if record.exc_info else ""
        if self._as_json:
            line = {"time": moment, "level": record.levelname, "logger": record.name, "message": record.getMessage()}
            return json.dumps({**line, **vars(self._where), **({"exception": trace} if trace else {})})
        about = " ".join(filter(None, vars(self._where).values()))
        return f"{moment} {record.levelname} {about or 'quality'}: {record.getMessage()}" + (
            f"\n{trace}" if trace else ""
        )


@contextmanager
def _logged(where: Where, log_format: str) -> Iterator[None]:
    """Our own loggers write to standard error meanwhile; the root logger and its handlers are the platform's."""
    log = logging.getLogger("quality")
    handler = logging.StreamHandler()
    handler.setFormatter(_Lines(where, log_format == "json"))
    before = (log.handlers, log.level, log.propagate)
    # the platform's root handler would write every line once more
    log.handlers, log.propagate = [handler], False
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.handlers, log.propagate = before[0], before[2]
        log.setLevel(before[1])
