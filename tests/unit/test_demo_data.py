"""The demo's year of flights, and the poisoned day."""

import csv
import importlib.util
from datetime import date

import pytest

from quality.demo_data import poison, write_batches
from quality.errors import EngineError, UsageError

HEADER = (
    "year,month,day,dep_time,sched_dep_time,dep_delay,arr_time,sched_arr_time,arr_delay,carrier,flight,tailnum,origin,"
    "dest,air_time,distance,hour,minute,time_hour"
)


@pytest.fixture(scope="module")
def year(tmp_path_factory):
    target = tmp_path_factory.mktemp("data") / "incoming"
    return target, write_batches(target, date(2013, 1, 1), 365)


@pytest.fixture(scope="module")
def poisoned(year, tmp_path_factory):
    out = tmp_path_factory.mktemp("poisoned") / "2013-01-15.csv"
    return year[1][14], out, poison(year[1][14], out)


def rows(path):
    return path.read_text().splitlines()[1:]


def test_the_year_has_365_days_and_every_flight(year):
    _, paths = year
    assert len(paths) == 365
    assert sum(map(len, map(rows, paths))) == 336_776


def test_a_file_holds_its_own_day_under_the_header(year):
    target, paths = year
    assert paths[31] == target / "flights" / "2013-02-01.csv"
    assert paths[31].read_text().splitlines()[0] == HEADER
    assert all(row.startswith("2013,2,1,") for row in rows(paths[31]))


def test_lines_are_copied_as_they_are(year):
    _, paths = year
    assert (
        rows(paths[0])[0] == "2013,1,1,517,515,2,830,819,11,UA,1545,N14228,EWR,IAH,227,1400,5,15,2013-01-01T10:00:00Z"
    )


def test_the_references_lie_beside_the_batches(year):
    target, _ = year
    found = {path.name for path in (target.parent / "reference").iterdir()}
    assert found == {"airlines.csv", "airports.csv", "planes.csv"}


def test_a_file_that_is_there_is_not_touched(year):
    target, paths = year
    before = paths[0].stat().st_mtime_ns
    assert write_batches(target, date(2013, 1, 1), 2) == paths[:2]
    assert paths[0].stat().st_mtime_ns == before


def test_a_file_with_other_content_is_written_again(tmp_path):
    (path,) = write_batches(tmp_path / "incoming", date(2013, 3, 1), 1)
    content = path.read_bytes()
    path.write_bytes(content[:100])
    write_batches(tmp_path / "incoming", date(2013, 3, 1), 1)
    assert path.read_bytes() == content
    assert [file.name for file in path.parent.iterdir()] == ["2013-03-01.csv"]


@pytest.mark.parametrize(("first", "days"), ((date(2012, 12, 31), 1), (date(2013, 12, 31), 2), (date(2013, 1, 1), 0)))
def test_days_outside_the_year_are_refused(tmp_path, first, days):
    with pytest.raises(UsageError, match="2013-01-01 to 2013-12-31"):
        write_batches(tmp_path, first, days)


def test_without_the_data_the_error_names_the_extra(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(EngineError, match=r"quality-engine\[demo\]"):
        write_batches(tmp_path, date(2013, 1, 1), 1)


class TestPoison:
    def test_it_damages_as_many_rows_as_it_says(self, poisoned):
        clean, out, counts = poisoned
        with out.open() as file:
            header, *found = csv.reader(file)
        whole = [dict(zip(header, row, strict=True)) for row in found if len(row) == len(header)]
        assert counts == {
            "missing_carrier": sum(row["carrier"] == "NA" for row in whole),
            "impossible_delay": sum(row["dep_delay"] == "99999" for row in whole),
            "unknown_origin": sum(row["origin"] == "XXX" for row in whole),
            "wrong_type": sum(row["distance"] == "far" for row in whole),
            "too_few_fields": sum(len(row) < len(header) for row in found),
            "too_many_fields": sum(len(row) > len(header) for row in found),
            "duplicates": len(rows(out)) - len(set(rows(out))),
        }
        assert all(counts.values())
        assert counts["missing_carrier"] == len(rows(clean)) // 10

    def test_a_row_has_at_most_one_damage_and_duplicates_are_clean(self, poisoned):
        clean, out, counts = poisoned
        damaged = set(rows(out)) - set(rows(clean))
        assert len(damaged) == sum(counts.values()) - counts["duplicates"]

    def test_it_is_the_same_on_every_call(self, poisoned, tmp_path):
        clean, out, counts = poisoned
        assert poison(clean, tmp_path / "again.csv") == counts
        assert (tmp_path / "again.csv").read_bytes() == out.read_bytes()

    def test_the_clean_day_has_none_of_it(self, poisoned):
        clean, _, _ = poisoned
        assert len(set(rows(clean))) == len(rows(clean))
        assert not any(word in clean.read_text() for word in ("XXX", "99999", "far"))

    def test_a_handful_of_rows_is_too_few(self, tmp_path):
        (tmp_path / "small.csv").write_text(HEADER + "\n")
        with pytest.raises(UsageError, match="too few to poison"):
            poison(tmp_path / "small.csv", tmp_path / "out.csv")
