"""Notebooks run from their first cell to the last on a real history, and what they ask of it is what the data says."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from nbclient import NotebookClient

import quality
from quality import exploring
from quality.demo_data import poison, write_batches
from quality.errors import UsageError

ROOT = Path(__file__).parents[2]
#: That about rules starts a Spark of its own, and runs it for a while.
NOTEBOOKS = [
    pytest.param(path, id=path.stem, marks=[pytest.mark.full] if path.stem == "rules" else [])
    for path in sorted((ROOT / "notebooks").glob("*.ipynb"))
]
DAYS = 7


@pytest.fixture(scope="module")
def place(spark, tmp_path_factory):
    """Seven good days, and one that is poisoned."""
    folder = tmp_path_factory.mktemp("explored")
    days = write_batches(folder / "incoming", date(2013, 1, 1), DAYS + 1)
    clean = days[-1].with_suffix(".clean")
    days[-1].replace(clean)
    planted = poison(clean, days[-1])
    for day in days:
        found = quality.run(
            ROOT / "rules" / "flights.yml", day.stem, input=str(day), root=str(folder / "root"), spark=spark
        )
        assert found.exit_code < 2, found.data["message"]
    return folder, days, planted


@pytest.fixture(scope="module")
def history(place):
    return quality.History(str(place[0] / "root"), "flights")


@pytest.mark.parametrize("path", NOTEBOOKS)
def test_notebooks_run(place, path, monkeypatch):
    folder, days, planted = place
    monkeypatch.setenv("QUALITY_ROOT", str(folder / "root"))
    monkeypatch.setenv("QUALITY_INCOMING", str(folder / "incoming"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    book = nbformat.read(path, as_version=4)
    assert all(not cell.get("outputs") for cell in book.cells), "notebooks are kept without outputs"
    # where no fonts were looked for yet, a kernel that takes long for it says so on its standard error
    subprocess.run([sys.executable, "-c", "import matplotlib.font_manager"], check=True)
    NotebookClient(book, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(folder)}}).execute()
    outputs = [output for cell in book.cells for output in cell.get("outputs", [])]
    assert not [output for output in outputs if output.get("name") == "stderr"], outputs
    if path.stem == "explore":
        assert sum("image/png" in output.get("data", {}) for output in outputs) == 7
        said = "".join(output.get("text", "") for output in outputs)
        assert f"{days[-1].stem}: " in said
        assert str(planted["missing_carrier"]) in "".join(
            o["data"].get("text/plain", "") for o in outputs if "data" in o
        )


def frame(day, **options):
    return pd.read_csv(day, na_values=["NA"], keep_default_na=False, **options)


def test_completeness_is_the_share_of_values(place, history):
    _, days, _ = place
    found = exploring.completeness(history)
    assert list(found.columns) == [day.stem for day in days]
    for day in days[:-1]:
        expected = frame(day).notna().mean()
        for column in expected.index:
            assert found.loc[column, day.stem] == pytest.approx(expected[column])


def test_counts_add_up_over_batches(place, history):
    _, days, _ = place
    whole = pd.concat([frame(day) for day in days[:3]])
    wanted = [day.stem for day in days[:3]]
    assert exploring.counts(history, "origin", wanted) == whole["origin"].value_counts().to_dict()
    assert sum(exploring.counts(history, "dep_delay", wanted).values()) == whole["dep_delay"].notna().sum()
    own, others = [wanted[0]], wanted[1:]
    assert exploring.drift(history, "origin", own, own)["js"] == 0
    shares = [frame(day)["origin"].value_counts(normalize=True) for day in (days[0], days[1])]
    assert exploring.drift(history, "origin", own, others[:1])["linf"] == pytest.approx(
        (shares[0] - shares[1]).abs().max()
    )


def test_failures_name_every_reason_of_every_row(place):
    folder, days, planted = place
    found = exploring.failures(str(folder / "root"), "flights", days[-1].stem)
    files = [
        path.removeprefix("file://")
        for path in quality.paths(str(folder / "root"), "flights", days[-1].stem, side="quarantine")
    ]
    stored = pd.concat([pd.read_parquet(path) for path in files])["_quality"]
    assert len(found) == sum(len(said["failures"]) for said in stored)
    assert found["_row_id"].nunique() == len(stored)
    # pandas fills up lines that are too short
    missing = frame(days[-1], on_bad_lines="skip", engine="python")["carrier"].isna().sum() - planted["too_few_fields"]
    assert (found["_rule"] == "carrier.required").sum() == missing
    good = exploring.failures(str(folder / "root"), "flights", days[0].stem)
    assert len(good) == 0


def test_a_trend_has_the_metric_of_every_batch_and_what_was_usual(place, history):
    _, days, _ = place
    found = exploring.trend(history, "Size")
    assert list(found.index) == [day.stem for day in days]
    assert found.iloc[0] == len(frame(days[0]))
    usual = exploring.usual(pd.Series([10.0, 12, 11, 9, 13, 50]))
    assert usual["expected"].isna().tolist() == [True] * 5 + [False]
    # median 11, absolute deviations 1 1 0 2 2
    assert usual.iloc[5].tolist() == pytest.approx([11, 11 - 4 * 1.4826, 11 + 4 * 1.4826])


def test_what_is_not_there_is_told_with_what_is_near(history):
    with pytest.raises(UsageError, match=r"there is no metric Mean\(dep_dely\); did you mean 'Mean\(dep_delay\)'"):
        exploring.trend(history, "Mean", "dep_dely")
    with pytest.raises(UsageError, match="no profile has a column 'orign'; did you mean 'origin'"):
        exploring.counts(history, "orign", ["2013-01-01"])
    with pytest.raises(UsageError, match="a window needs at least one batch"):
        exploring.drift(history, "origin", [], ["2013-01-01"])
