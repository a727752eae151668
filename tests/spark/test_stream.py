"""Files that come into a directory, judged micro-batch by micro-batch: `quality.stream`."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
from collections import Counter

import pytest

import quality
from quality.entry import DataQualityFailed, main
from quality.errors import InputError, UsageError
from quality.storage import layout
from tests.kill_harness import Moment
from tests.stream_harness import DATASET, Directory, Place, Witness, campaign, fate, parcel
from tests.written import Place as Written
from tests.written import records, rows

COLUMNS = "columns: {id: {type: integer}, amount: {type: integer, at_least: 0}}"


@pytest.fixture
def place(tmp_path, quick):
    return Written(tmp_path, quick)


def streamed(place, text="", *, top=COLUMNS, path="", options="options: {header: true}", **how):
    """The stream of `in/`, to its end unless `how` says otherwise; its result, and each micro-batch's as the root has it."""
    rules = place.rules(text, top=top, path=path, input=options)
    found = quality.stream(rules, spark=place.spark, **{"once": True, **how})
    return found, newest(place)


def newest(place):
    names = sorted(path.name for path in (place.root / "commits" / "d").iterdir())
    return {name: records(place.root, "d", name)[-1] for name in names}


def ids(place, side="passed"):
    return sorted(row["id"] for record in newest(place).values() for row in rows(place.root, record, side))


# what a micro-batch is


def test_the_verdicts_are_those_of_a_batch_run_of_the_same_rules(tmp_path, quick):
    made = Place(tmp_path, Directory(tmp_path / "in"))
    made.feed.send([parcel(number) for number in range(3)])
    result = quality.stream(made.rules, spark=quick, once=True)
    assert (result.batches, result.passed_over, result.exit_code) == (3, 0, 1)
    witness = Witness(made.root)
    seen, good, bad = witness.look()
    assert (witness.found.texts, seen) == ([], {0, 1, 2})
    batch = quality.run(made.rules, "whole", spark=quick, root=str(tmp_path / "other"))
    assert batch.data["rows"] == result.rows.to_dict()
    (record,) = records(tmp_path / "other", DATASET, "whole")
    sides = {side: rows(tmp_path / "other", record, side) for side in ("passed", "quarantine")}
    assert good == Counter((row["id"], row["amount"], row["name"]) for row in sides["passed"])
    assert bad == Counter(map(fate, sides["quarantine"]))
    # the readers of the package see all of it
    assert quality.read(quick, str(made.root), DATASET).count() == good.total()
    assert quality.read(quick, str(made.root), DATASET, side="quarantine").count() == bad.total()
    assert len(quality.History(str(made.root), DATASET).runs()) == 3


def test_a_killed_stream_goes_on_and_commits_each_micro_batch_once(tmp_path):
    made = Place(tmp_path, Directory(tmp_path / "in"))
    # behind the commit of its second micro-batch, before Spark notes it as done
    report = campaign(made, 5, 1, 1, moments=[Moment(1, change=6, when="after")], compare=False)
    assert not report.found.texts, str(report)
    assert (report.kills, report.batches, report.passed_over) == (1, 5, 1)


@pytest.mark.full
def test_a_hundred_micro_batches_with_kills_in_between(tmp_path):
    report = campaign(Place(tmp_path, Directory(tmp_path / "in")), 100, 25, 1)
    assert not report.found.texts, str(report)
    assert report.batches == 100
    assert report.kills > 10


def test_files_are_found_as_for_a_batch_whatever_their_name_age_and_place(place):
    place.put(
        {
            "a [1]{x}*.csv": "id,amount\n1,1\n",
            "deep/er/b c%20.csv": "amount,id,more\n2,2,m\n",
            "_no.csv": "id,amount\n8,8\n",
        }
    )
    streamed(place)
    place.put({"old.csv": "id,amount\n3,3\n", "empty.csv": "", "header.csv": "id,amount\n"})
    os.utime(place.directory / "in" / "old.csv", (1_000_000_000, 1_000_000_000))
    found, _ = streamed(place)
    assert ids(place) == [1, 2, 3]
    assert found.ended == "all that was there is read"
    assert streamed(place)[0].batches == 0


def test_directories_below_a_directory_are_columns_as_for_a_batch(place):
    place.put({"day=1/a.csv": "id,amount\n1,1\n", "day=2/a.csv": "id,amount\n2,2\n"})
    _, found = streamed(place)
    assert sorted(
        (row["id"], row["day"]) for record in found.values() for row in rows(place.root, record, "passed")
    ) == [(1, "1"), (2, "2")]


@pytest.mark.full
def test_directories_below_a_pattern_are_refused_as_for_a_batch(place):
    place.put({"x/day=1/a.csv": "id,amount\n1,1\n"})
    told: list[quality.RunResult] = []
    found = quality.stream(
        place.rules(top=COLUMNS, path="x*", input="options: {header: true}"),
        spark=place.spark,
        once=True,
        told=told.append,
    )
    assert (found.exit_code, len(told)) == (3, 1)
    assert "lies in a partition, and its column would be lost" in told[0].data["message"]


@pytest.mark.full
def test_json_and_parquet_are_streamed(place, tmp_path):
    place.put({"a.json": '{"id": 1, "amount": "2"}\n{"id": 2, "amount": -1}\nno\n'})
    rules = place.rules(top=COLUMNS, format="json")
    assert quality.stream(rules, spark=place.spark, once=True).rows.to_dict() == {
        "input": 3,
        "passed": 1,
        "quarantined": 2,
        "flagged": 0,
    }
    place.spark.range(5).selectExpr("id", "id - 2 as amount").write.parquet(str(tmp_path / "typed"))
    rules = place.rules(
        "- at_least: {column: amount, value: 0}",
        format="parquet",
        path="../typed",
        top=f"outputs: {{root: '{tmp_path}/second'}}",
    )
    assert quality.stream(rules, spark=place.spark, once=True).rows.to_dict() == {
        "input": 5,
        "passed": 3,
        "quarantined": 2,
        "flagged": 0,
    }


@pytest.mark.full
def test_a_type_that_an_earlier_micro_batch_pinned_is_judged_by_in_later_ones(place):
    place.put({"1.csv": "id,amount\n1,1\n"})
    streamed(place)
    place.put({"2.csv": "id,amount\nx,1\n"})
    found, _ = streamed(place, top="columns: {amount: {type: integer}}")
    assert found.rows.quarantined == 1


# how it ends


def test_it_ends_after_so_many_micro_batches_and_goes_on_there(place):
    place.put({f"{number}.csv": f"id,amount\n{number},1\n" for number in range(3)})
    top = f"{COLUMNS}\nstream: {{max_files: 1}}"
    found, _ = streamed(place, top=top, once=False, trigger="1s", max_batches=2)
    assert (found.batches, found.ended) == (2, "2 micro-batches were judged")
    found, _ = streamed(place, top=top)
    assert (found.batches, ids(place)) == (1, [0, 1, 2])


@pytest.mark.full
def test_it_waits_for_more_until_it_is_told_to_end(place):
    stop, told = threading.Event(), []

    def more(result):
        told.append(result.data["batch"])
        if len(told) == 1:
            place.put({"2.csv": "id,amount\n2,2\n"})
        else:
            stop.set()

    place.put({"1.csv": "id,amount\n1,1\n"})
    found, _ = streamed(place, once=False, trigger="1s", stop=stop, told=more)
    assert (found.ended, found.batches, ids(place)) == ("stopped", 2, [1, 2])
    assert told == [layout.micro_batch(found.stream, number) for number in (0, 1)]


def test_a_signal_ends_it_behind_the_micro_batch_that_is_worked_on(place):
    place.put({f"{number}.csv": f"id,amount\n{number},1\n" for number in range(2)})
    before = signal.getsignal(signal.SIGTERM)
    words = []

    def progress(text):
        words.append(text)
        if text.endswith("splitting and writing rows"):
            os.kill(os.getpid(), signal.SIGTERM)

    found, _ = streamed(place, top=f"{COLUMNS}\nstream: {{max_files: 1}}", once=False, signals=True, progress=progress)
    assert (found.ended, found.batches, len(ids(place)), found.exit_code) == ("stopped", 1, 1, 0)
    assert signal.getsignal(signal.SIGTERM) is before
    assert streamed(place)[0].rows.passed == 1
    assert ids(place) == [0, 1]


# held, wrong, lost


def test_nothing_overtakes_a_held_micro_batch_until_somebody_decides(place):
    place.put({"1.csv": "id,amount\n1,-1\n2,2\n"})
    strict = f"{COLUMNS}\nhold: {{quarantined_above: 10%}}"
    found, kept = streamed(place, top=strict)
    (name,) = kept
    assert (found.exit_code, found.batches, found.rows.passed) == (4, 1, 1)
    assert f"micro-batch {name} is held; publish it" in found.ended
    place.put({"2.csv": "id,amount\n3,3\n"})
    again, _ = streamed(place, top=strict)
    assert (again.exit_code, again.last.unchanged, again.ended) == (4, True, found.ended)
    assert [len(records(place.root, "d", name)), len(newest(place))] == [1, 1]
    with pytest.raises(InputError, match="has no published batch"):
        quality.read(place.spark, str(place.root), "d")
    quality.publish(
        place.rules(top=strict, path=""), name, root=str(place.root), spark=place.spark, reason="looked at it"
    )
    found, _ = streamed(place, top=strict)
    assert (found.exit_code, found.batches, found.passed_over) == (0, 1, 1)
    assert quality.read(place.spark, str(place.root), "d").count() == 2


@pytest.mark.full
def test_a_held_micro_batch_is_judged_again_by_changed_rules(place):
    place.put({"1.csv": "id,amount\n1,-1\n2,2\n"})
    streamed(place, top=f"{COLUMNS}\nhold: {{quarantined_above: 10%}}")
    found, kept = streamed(place)
    assert (found.exit_code, found.batches, found.rows.quarantined) == (1, 1, 1)
    (name,) = kept
    assert [record["decision"] for record in records(place.root, "d", name)] == ["held", "published"]


@pytest.mark.full
def test_a_stream_goes_on_past_a_held_micro_batch_when_told_so(place):
    place.put({"1.csv": "id,amount\n1,-1\n", "2.csv": "id,amount\n2,2\n"})
    top = f"{COLUMNS}\nhold: {{quarantined_above: 10%}}\nstream: {{max_files: 1, on_held: continue}}"
    found, kept = streamed(place, top=top)
    assert (found.exit_code, found.batches, found.ended) == (4, 2, "all that was there is read")
    assert sorted(record["decision"] for record in kept.values()) == ["held", "published"]


def test_a_checkpoint_that_was_lost_does_not_bring_rows_twice(place, tmp_path):
    place.put({"1.csv": "id,amount\n1,1\n"})
    first, _ = streamed(place)
    with pytest.raises(UsageError, match=f"was fed by stream {first.stream}"):
        streamed(place, checkpoint=str(tmp_path / "new"))
    assert ids(place) == [1]
    found, _ = streamed(place, checkpoint=str(tmp_path / "new"), new_stream=True)
    assert (found.batches, ids(place)) == (1, [1, 1])
    assert streamed(place, checkpoint=str(tmp_path / "new"))[0].batches == 0


@pytest.mark.full
def test_a_checkpoint_older_than_what_is_published_is_refused(place):
    place.put({"1.csv": "id,amount\n1,1\n"})
    found, _ = streamed(place, max_batches=1)
    name = layout.micro_batch(found.stream, 0)
    path = place.root / "commits" / "d" / name / "1.json"
    text = path.read_text()
    identity = quality.streams.digest([f"file:{place.directory}/in/1.csv"])  # type: ignore[attr-defined]
    assert identity in text
    path.write_text(text.replace(identity, "0" * 64))
    for noted in (place.root / "streams" / "d" / "checkpoint" / "commits").iterdir():
        noted.unlink()
    again, _ = streamed(place)
    assert again.exit_code == 3
    assert "the checkpoint is older than what is published" in again.last.data["message"]


def test_a_micro_batch_that_cannot_be_judged_comes_again(place):
    place.put({"1.csv": "id,amount\n1,1\n"})
    path = place.directory / "in" / "1.csv"
    content = path.read_text()
    moved: list[int] = []

    def progress(text):
        if text.endswith("splitting and writing rows") and not moved:
            moved.append(path.write_text(content + "2,2\n"))

    rules = place.rules(top=COLUMNS, input="options: {header: true}")
    found = quality.stream(rules, spark=place.spark, once=True, progress=progress)
    assert (found.exit_code, found.batches) == (3, 1)
    assert found.ended.endswith("could not be judged")
    assert found.last is not None
    assert "while it was read" in found.last.data["message"]
    again, _ = streamed(place)
    assert (again.exit_code, ids(place)) == (0, [1, 2])


# as a job


def test_a_job_streams_and_ends_by_the_gravest_exit_code(place, spark, capsys):
    place.put({"1.csv": "id,amount\n1,-1\n2,2\n", "2.csv": "id,amount\n3,3\n"})
    rules = place.rules(top=f"{COLUMNS}\nstream: {{max_files: 1}}", path="", input="options: {header: true}")
    summary = place.directory / "summary.json"
    argv = ["--rules", str(rules), "--stream", "once", "--result", str(summary), "--on-fail", "raise"]
    with pytest.raises(DataQualityFailed, match=r"1 of 3 rules failed|failed \(amount.at_least\)") as caught:
        main(argv)
    assert caught.value.exit_code == 1
    found = json.loads(summary.read_text())
    assert (found["schema"], found["batches"], found["exit_code"]) == ("quality.stream/1", 2, 1)
    assert capsys.readouterr().out.count("result JSON: ") == 3
    # the job shut down what calls back into Python: the next stream starts it again
    place.put({"3.csv": "id,amount\n4,4\n"})
    main(argv)
    assert ids(place) == [2, 3, 4]


# windows


def test_windows_add_up_micro_batches_and_judge_the_rules_about_the_batch(place):
    values = {0: (1, 2), 1: (3, -1), 2: (10, 20), 3: (5, "x"), 4: (7, 8)}
    place.put({f"{n}.csv": f"id,amount\n{n}0,{a}\n{n}1,{b}\n" for n, (a, b) in values.items()})
    for number in values:
        os.utime(place.directory / "in" / f"{number}.csv", (1e9 + number, 1e9 + number))
    text = "- row_count: {at_least: 3}\n- sum: {column: amount, below: 30}\n- mean: {column: amount, at_least: 0}\n- distinct_count: {column: amount, at_least: 1}"
    text += (
        "\n- {name: either, any: [{sum: {column: amount, above: 30}}, {compliance: {that: amount > 2, equals: 0.25}}]}"
    )
    text += "\n- {name: both, all: [{row_count: {equals: 4}}, {max: {column: id, at_most: 31}}]}"
    text += "\n- {name: mixed, any: [{row_count: {equals: 4}}, {distinct_count: {column: id, equals: 2}}]}"
    # a rule that windows do not judge decides in each micro-batch
    text += "\n- {name: grouped, mean: {column: amount, at_most: 14}, group_by: [id], where: amount is not null, on_fail: keep}"
    top = f"{COLUMNS}\nprofile: true\nstream: {{max_files: 1, window: 2}}"
    found, _ = streamed(place, text, top=top)
    # two rows would not be enough, and the sum of 10 and 20 is too much: each micro-batch is published all the same
    assert (found.batches, found.windows, found.exit_code) == (5, 2, 1)
    third = json.loads((place.root / records(place.root, "d", f"{found.stream}-000000002")[-1]["result"]).read_text())
    judged = {rule["id"]: (rule["status"], rule["severity"]) for rule in third["rules"]}
    assert (judged["grouped"], judged["mixed"]) == (("failed", "error"), ("passed", "error"))
    assert judged["both"] == ("failed", "info")
    folder = place.root / "commits" / "d.windows"
    names = sorted(path.name for path in folder.iterdir())
    assert names == [f"{found.stream}-00000000{first}-00000000{first + 1}" for first in (0, 2)]
    results = {
        n: json.loads((place.root / records(place.root, "d.windows", n)[-1]["result"]).read_text()) for n in names
    }
    told = [{rule["id"]: (rule["status"], rule["failed_rows"]) for rule in results[n]["rules"]} for n in names]
    assert told[0]["amount.at_least"] == ("failed", 1)
    assert told[1]["amount.type"] == ("failed", 1)
    assert [one["row_count"][0] for one in told] == ["passed", "passed"]
    assert [one["amount.sum"][0] for one in told] == ["passed", "failed"]
    assert [one["amount.mean"][0] for one in told] == ["passed", "passed"]
    for apart in ("amount.distinct_count", "mixed", "grouped"):
        assert [one[apart][0] for one in told] == ["not_applicable"] * 2
    # 1 of 4 above 2; 10 + 20 + 5 is above 30
    assert [one["either"][0] for one in told] == ["passed", "passed"]
    assert [one["both"][0] for one in told] == ["passed", "passed"]
    assert [results[n]["rows"]["input"] for n in names] == [4, 4]
    table = quality.History(str(place.root), "d.windows").metrics().to_pylist()
    of = {(row["batch"], row["name"], row["instance"]): row["value"] for row in table}
    for name, numbers in zip(names, ((1, 2, 3, -1), (10, 20, 5)), strict=True):
        assert of[name, "Sum", "amount"] == sum(numbers)
        assert of[name, "Mean", "amount"] == pytest.approx(sum(numbers) / len(numbers))
        assert (of[name, "Minimum", "amount"], of[name, "Maximum", "amount"]) == (min(numbers), max(numbers))
        assert of[name, "Completeness", "amount"] == len(numbers) / 4
    # killed before the last window was written
    shutil.rmtree(folder / names[1])
    again, _ = streamed(place, text, top=top)
    assert (again.batches, again.windows, sorted(path.name for path in folder.iterdir())) == (0, 1, names)


@pytest.mark.full
def test_a_window_of_time_is_written_when_it_is_over(place):
    place.put({"1.csv": "id,amount\n1,1\n"})
    stop = threading.Event()

    def told(result):
        if result.data["dataset"] == "d.windows":
            stop.set()

    found, _ = streamed(place, once=False, trigger="1s", window="2s", stop=stop, told=told)
    assert (found.batches, found.windows, found.last.data["dataset"]) == (1, 1, "d")


@pytest.mark.parametrize(
    ("input", "message"),
    (
        ("path: 'x/{{ batch }}.csv'", "is the path of a batch; name what a stream reads with --input DIRECTORY"),
        ("path: [a.csv, b.csv]", "reads one directory or pattern"),
        ("table: t", "reads files or a topic, not the table 't'"),
    ),
)
def test_what_cannot_be_streamed_is_refused_before_anything_starts(place, input, message):
    with pytest.raises(UsageError, match=message):
        quality.stream(place.rules(input=input))


def test_a_place_that_is_not_there_is_one_clear_message(place):
    with pytest.raises(InputError, match=r"in/nowhere cannot be read: .*not exist"):
        streamed(place, path="nowhere")
