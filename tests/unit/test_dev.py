"""What dev.py decides: which Python, whether to install, what to show. Nothing is installed here."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import dev
from tests.conftest import FIRST


def a_python(directory: Path, name: str, version: tuple[int, int], ensurepip: bool = True) -> Path:
    """A program that answers the probe as this Python would."""
    directory.mkdir(exist_ok=True)
    path = directory / name
    path.write_text(f"#!/bin/sh\necho {version[0]} {version[1]} {ensurepip}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def path(monkeypatch, tmp_path):
    """An empty PATH, and a running Python that is too new."""
    directory = tmp_path / "path"
    directory.mkdir()
    monkeypatch.setenv("PATH", str(directory))
    running = a_python(tmp_path / "running", "python3", (3, 13))
    monkeypatch.setattr(sys, "_base_executable", str(running), raising=False)
    return directory


@pytest.fixture
def checkout(monkeypatch, tmp_path):
    """A checkout whose environment was just installed with the demo's extras."""
    monkeypatch.setattr(dev, "ROOT", tmp_path)
    monkeypatch.setattr(dev, "ENVIRONMENT", tmp_path / ".venv")
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    dev.program("python").parent.mkdir(parents=True)
    dev.program("python").write_text("")
    dev.stamp().write_text(json.dumps({"project": dev.fingerprint(), "extras": list(dev.DEMO_EXTRAS)}))
    return tmp_path


@pytest.fixture
def installations(monkeypatch):
    """The requirements that would have been installed."""
    asked: list[str] = []
    monkeypatch.setattr(dev, "working", lambda python: True)
    monkeypatch.setattr(dev, "pip_install", asked.append)
    return asked


class TestPython:
    def test_the_running_one_is_taken_when_it_fits(self, path, tmp_path, monkeypatch):
        running = a_python(tmp_path, "fits", (3, 11))
        a_python(path, "python3.12", (3, 12))
        monkeypatch.setattr(sys, "_base_executable", str(running))
        assert dev.find_python() == (str(running), "3.11")

    def test_otherwise_the_newest_on_the_path(self, path):
        a_python(path, "python3.10", (3, 10))
        newest = a_python(path, "python3.12", (3, 12))
        assert dev.find_python() == (str(newest), "3.12")

    def test_a_placeholder_that_does_not_start_is_passed_over(self, path):
        a_python(path, "python3.12", (3, 12)).write_text("#!/bin/sh\nexit 127\n")
        works = a_python(path, "python3.10", (3, 10))
        assert dev.find_python() == (str(works), "3.10")

    def test_one_without_ensurepip_is_passed_over(self, path):
        a_python(path, "python3.12", (3, 12), ensurepip=False)
        works = a_python(path, "python3.11", (3, 11))
        assert dev.find_python() == (str(works), "3.11")

    def test_when_only_ensurepip_is_missing_the_message_says_how_to_get_it(self, path):
        a_python(path, "python3.11", (3, 11), ensurepip=False)
        with pytest.raises(dev.Stop, match=r"has no ensurepip.*\n.*apt install python3\.11-venv"):
            dev.find_python()

    def test_when_none_fits_the_message_says_which_do(self, path):
        with pytest.raises(dev.Stop, match=r"Python 3\.10, 3\.11 or 3\.12 is needed"):
            dev.find_python()


class TestInstalling:
    def test_what_is_installed_is_not_installed_again(self, checkout, installations):
        dev.install(dev.DEMO_EXTRAS)
        assert installations == []

    def test_a_changed_project_is_installed_again(self, checkout, installations):
        (checkout / "pyproject.toml").write_text("[project]\nname = 'other'\n")
        dev.install(dev.DEMO_EXTRAS)
        assert installations == [".[cli,demo,local]"]

    def test_more_extras_are_added_and_none_lost(self, checkout, installations):
        dev.install(dev.DEV_EXTRAS)
        assert installations == [".[cli,demo,dev,local]"]
        dev.install(dev.DEMO_EXTRAS)
        assert len(installations) == 1

    def test_an_interrupted_installation_is_done_again(self, checkout, installations):
        dev.stamp().unlink()
        dev.install(dev.DEMO_EXTRAS)
        assert installations == [".[cli,demo,local]"]

    def test_a_broken_environment_is_made_anew(self, checkout, installations, monkeypatch):
        made = []
        monkeypatch.setattr(dev, "working", lambda python: False)
        monkeypatch.setattr(dev, "create_environment", lambda: made.append(True))
        dev.stamp().unlink()
        dev.install(dev.DEMO_EXTRAS)
        assert made

    def test_a_failed_installation_shows_what_pip_said(self, checkout):
        dev.program("python").write_text("#!/bin/sh\necho 'No matching distribution'\nexit 1\n")
        dev.program("python").chmod(0o755)
        with pytest.raises(dev.Stop, match="No matching distribution"):
            dev.pip_install(".[dev]")

    @pytest.mark.parametrize(
        ("line", "shown"),
        (
            ("Downloading pyspark-3.5.9.tar.gz (317.4 MB)", "downloading pyspark-3.5.9.tar.gz (317.4 MB)"),
            ("Downloading six-1.17.0-py2.py3-none-any.whl (11 kB)", ""),
            ("Downloading rich-15.0.0-py3-none-any.whl (0.3 MB)", ""),
            ("Building wheel for pyspark (setup.py): started", "building pyspark"),
            ("Installing collected packages: py4j, pyspark", "unpacking 2 packages"),
            ("Collecting pyspark", ""),
        ),
    )
    def test_only_what_takes_time_is_shown(self, line, shown):
        assert dev.pip_progress(line) == shown


class TestCommands:
    def test_exit_codes_pass_through(self, checkout, monkeypatch):
        monkeypatch.setattr(dev, "install", lambda extras: None)
        monkeypatch.setattr(subprocess, "call", lambda command, cwd: 5)
        assert dev.main(["test", "-x"]) == 5

    def test_options_go_to_pytest(self, checkout, monkeypatch):
        calls = []
        monkeypatch.setattr(dev, "install", lambda extras: None)
        monkeypatch.setattr(subprocess, "call", lambda command, cwd: calls.append(command))
        dev.main(["test", "-k", "java"])
        assert calls[0][1:] == ["-m", "pytest", "-k", "java"]

    def test_the_whole_suite_is_done_by_two_processes(self, checkout, monkeypatch):
        calls = []
        monkeypatch.setattr(dev, "install", lambda extras: None)
        monkeypatch.setattr(subprocess, "call", lambda command, cwd: calls.append(command))
        dev.main(["test"])
        assert calls[0][1:5] == ["-m", "pytest", "-n", "2"]

    def test_the_files_that_are_begun_first_exist(self):
        folder = Path(__file__).parents[1]
        assert [name for name in FIRST if not (folder / name).is_file()] == []
        assert len(set(FIRST)) == len(FIRST)

    def test_every_linter_runs_and_the_first_complaint_counts(self, checkout, monkeypatch):
        codes = iter((0, 2, 1))
        monkeypatch.setattr(dev, "install", lambda extras: None)
        monkeypatch.setattr(subprocess, "call", lambda command, cwd: next(codes))
        assert dev.main(["lint"]) == 2
        assert list(codes) == []

    def test_the_demo_becomes_the_installed_command(self, checkout, monkeypatch):
        became: list[list[str]] = []
        monkeypatch.setattr(dev, "install", lambda extras: None)
        monkeypatch.setattr(dev, "become", became.append)
        dev.main(["demo", "--days", "3"])
        assert became == [[str(dev.program("quality")), "demo", "--days", "3"]]

    def test_an_unknown_command_is_a_usage_error(self, capsys):
        assert dev.main(["deploy"]) == 2
        assert "'deploy' is not a command; commands: demo, test, lint, build" in capsys.readouterr().err

    def test_a_problem_is_one_message_and_no_traceback(self, checkout, monkeypatch, capsys):
        def stop(extras):
            raise dev.Stop("no Python")

        monkeypatch.setattr(dev, "install", stop)
        assert dev.main(["test"]) == 3
        assert capsys.readouterr().err == "dev.py: no Python\n"


class TestCache:
    @pytest.fixture(autouse=True)
    def unset(self, monkeypatch):
        monkeypatch.setenv("QUALITY_CACHE", "")
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)

    def test_without_a_home_the_cache_is_in_the_environment(self, checkout, monkeypatch):
        monkeypatch.setenv("HOME", "/nowhere")
        dev.use_a_writable_cache()
        assert os.environ["QUALITY_CACHE"] == str(checkout / ".venv" / "cache")

    def test_with_a_home_it_is_left_to_the_engine(self, checkout, monkeypatch, tmp_path):
        monkeypatch.setenv("HOME", str(tmp_path))
        dev.use_a_writable_cache()
        assert os.environ["QUALITY_CACHE"] == ""
