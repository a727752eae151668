"""Files as they should not be: each ends in the exit code and the line that is told here, and nothing of it is visible."""

from __future__ import annotations

import errno
import io
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import quality
from quality.errors import StorageError
from quality.storage.store import LocalStore
from tests.sizes import as_large
from tests.written import Place, records

HEADER = "options: {header: true}"


@pytest.fixture
def place(spark, tmp_path):
    return Place(tmp_path, spark)


def parquet(**columns: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def refused(place: Place, result: Any, *words: str) -> None:
    """Exit code 3 with one line that holds these words, a stored result, and nothing a reader could see."""
    assert (result.exit_code, result.status, result.decision) == (3, "error", "none")
    message = result.data["message"]
    assert "\n" not in message
    for word in words:
        assert word in message
    assert records(place.root, "d", "b") == []
    assert not (place.root / "passed" / "d" / "_symlink_format_manifest").exists()
    assert not list(place.root.glob("history/*/*/*.parquet"))


GOOD = parquet(a=list(range(1000)), t=[f"text {number}" for number in range(1000)])
FOOTER = int.from_bytes(GOOD[-8:-4], "little")
#: The bytes, and what the line names: Spark does not say the file when the footer itself is broken.
DAMAGED = {
    "of no bytes": (b"", "2.parquet"),
    "of four bytes": (b"PAR1", "2.parquet"),
    "half written": (GOOD[: len(GOOD) // 2], "2.parquet"),
    "with another footer length": (GOOD[:-8] + b"\xff\xff\xff\x7f" + GOOD[-4:], "in/* cannot be read: corrupted file"),
    "with a footer of zeros": (GOOD[: -8 - FOOTER] + bytes(FOOTER) + GOOD[-8:], "in/* cannot be read"),
    "encrypted by its last letters": (
        GOOD[:-4] + b"PARE",
        "in/* cannot be read: Trying to read file with encrypted footer",
    ),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_one_damaged_parquet_file_among_good_ones_stops_the_batch(place, name):
    place.put({"1.parquet": GOOD, "2.parquet": DAMAGED[name][0], "3.parquet": GOOD})
    refused(place, place.run("- above: {column: a, value: 10}", format="parquet"), DAMAGED[name][1])
    (place.directory / "in" / "2.parquet").unlink()
    again = place.run("- above: {column: a, value: 10}", format="parquet")
    assert again.exit_code == 1
    place.conserves(2000)


def test_a_file_with_another_type_in_the_middle_of_a_batch_stops_it(place):
    place.put({"1.parquet": parquet(a=[1, 2]), "2.parquet": parquet(a=["x"]), "3.parquet": parquet(a=[3])})
    refused(place, place.run(format="parquet"), "in/* cannot be read", "CANNOT_MERGE")


def test_a_column_that_appears_in_the_middle_of_a_batch_is_null_before(place):
    place.put({"1.parquet": parquet(a=[1]), "2.parquet": parquet(a=[2], b=["x"]), "3.parquet": parquet(b=["y"])})
    assert place.run(format="parquet").exit_code == 0
    assert place.passed("a", "b") == [(1, None), (2, "x"), (None, "y")]


def test_csv_files_whose_headers_differ_lose_no_row(place):
    place.put({"1.csv": "id,t\n1,a\n", "2.csv": "t,id\nb,2\n"})
    result = place.run(input=HEADER)
    if result.exit_code == 3:
        refused(place, result, "2.csv")
    else:
        place.conserves(2)
        assert ("2", "b") in place.passed("id", "t")


def test_a_parquet_file_without_columns_is_refused(place):
    place.put({"1.parquet": parquet()})
    refused(place, place.run(format="parquet"), "cannot be read")


@pytest.mark.parametrize(
    "name", ("a b.csv", "a%20b.csv", "ü-🎈.csv", "a'b.csv", "a;b.csv", "a+b&c=d.csv", "x" * 240 + ".csv")
)
def test_a_file_of_an_odd_name_is_read_once(place, name):
    place.put({name: "id\n1\n2\n"})
    assert place.run("- required: id", input=HEADER).exit_code == 0
    assert place.passed("id") == ["1", "2"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_named(place):
    place.put({"1.csv": "id\n1\n"})
    (place.directory / "in" / "1.csv").chmod(0)
    refused(place, place.run(input=HEADER), "1.csv")


def test_a_link_to_nothing_and_a_link_in_a_circle_are_no_batch(place):
    (place.directory / "in").mkdir()
    (place.directory / "in" / "1.csv").symlink_to(place.directory / "gone.csv")
    refused(place, place.run(input=HEADER), "1.csv" if (place.directory / "in" / "1.csv").exists() else "in/")


def test_a_parquet_file_that_vanishes_while_it_is_read_is_named(place):
    place.put({"1.parquet": GOOD, "2.parquet": GOOD})

    def meddle(words: str) -> None:
        if "measuring" in words or "splitting" in words:
            (place.directory / "in" / "2.parquet").unlink(missing_ok=True)

    refused(place, place.run("- required: a", format="parquet", progress=meddle), "2.parquet")


@pytest.mark.parametrize("step", ("put", "move", "put_if_absent"))
def test_a_disk_that_is_full_for_what_we_write_is_told_and_the_next_run_is_whole(place, monkeypatch, step):
    # files are moved where one pass writes all sides: large batches of a format with columns
    form: dict[str, str] = {"format": "parquet"} if step == "move" else {"input": HEADER}
    with io.BytesIO() as data:
        pq.write_table(pa.table({"id": [1, 2]}), data)
        place.put({"1.parquet": data.getvalue()} if step == "move" else {"1.csv": "id\n1\n2\n"})

    def full(store: LocalStore, key: str, *_: object) -> None:
        raise StorageError(f"{store.root}/{key}: cannot write: {os.strerror(errno.ENOSPC)}")

    with monkeypatch.context() as patched:
        patched.setattr(LocalStore, step, full)
        with as_large(place.spark):
            result = place.run("- required: id", **form)
    assert (result.exit_code, result.decision) == (3, "none")
    assert "No space left on device" in result.data["message"]
    assert "\n" not in result.data["message"]
    assert records(place.root, "d", "b") == []
    assert place.run("- required: id", **form).exit_code == 0
    place.conserves(2)


FULL = """
import resource, sys
from quality import run
from quality.backends.session import session

java = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:-UsePerfData"
settings = {"spark.driver.memory": "700m", "spark.sql.shuffle.partitions": "1", "spark.driver.extraJavaOptions": java}
with session(master="local[1]", extra=settings) as own:
    from pyspark import SparkContext
    limit = (4_000_000, 4_000_000)
    resource.prlimit(SparkContext._gateway.proc.pid, resource.RLIMIT_FSIZE, limit)
    result = run(sys.argv[1], "b", spark=own.spark)
    print(result.exit_code, result.decision, result.data["message"])
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="limits of another process can be set on Linux only")
def test_rows_that_do_not_fit_on_the_disk_are_told_and_nothing_is_visible(place):
    # random text, so that no compression makes it fit; the system stops files at 4 MB
    place.put({"1.csv": "t\n" + "".join(f"{os.urandom(1000).hex()}\n" for _ in range(8000))})
    rules = place.rules("- required: t", input=HEADER)
    environment = {**os.environ, "PYTHONPATH": str(Path(quality.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(rules)], env=environment, capture_output=True, text=True, timeout=400, check=False,
        # what it starts takes an error for the write that is too long, and not a signal
        preexec_fn=lambda: signal.signal(signal.SIGXFSZ, signal.SIG_IGN),
    )  # fmt: skip
    (line,) = [line for line in done.stdout.splitlines() if line[:1].isdigit()]
    assert line.startswith("3 none ")
    assert "File too large" in line
    assert records(place.root, "d", "b") == []
    assert place.run("- required: t", input=HEADER).exit_code == 0
    place.conserves(8000)
