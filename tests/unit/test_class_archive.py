"""Classes of Spark that are kept between starts: when, where, and when not."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from quality.backends import class_archive as archives
from quality.backends.class_archive import ClassArchive, class_archive
from quality.backends.java import Java, find_java


@pytest.fixture
def java(tmp_path, monkeypatch):
    for name in ("SPARK_CONF_DIR", "HADOOP_CONF_DIR", "YARN_CONF_DIR", "SPARK_DIST_CLASSPATH"):
        monkeypatch.delenv(name, raising=False)
    home = tmp_path / "spark"
    (home / "jars").mkdir(parents=True)
    (home / "jars" / "spark.jar").write_text("spark")
    own = tmp_path / "java" / "lib" / "server"
    own.mkdir(parents=True)
    (own / "classes.jsa").touch()
    monkeypatch.setenv("SPARK_HOME", str(home))
    monkeypatch.setenv("QUALITY_CACHE", str(tmp_path / "cache"))
    return Java(tmp_path / "java", "17.0.9", "a test")


def started(java: Java, *, keep: bool) -> ClassArchive:
    """The archive of a start that has one."""
    archive = class_archive(java, "", keep=keep)
    assert archive is not None
    return archive


def part(archive: ClassArchive) -> Path:
    """Where a start keeps classes."""
    assert archive.part is not None
    return archive.part


def made(java: Java) -> Path:
    """The archive that a start made."""
    archive = started(java, keep=True)
    part(archive).write_text("classes")
    archive.ended(whole=True)
    return archive.path


def test_the_first_brief_start_makes_what_all_later_ones_use(java):
    assert class_archive(java, "", keep=False) is None
    first = started(java, keep=True)
    assert f"-XX:ArchiveClassesAtExit={part(first)}" in first.options
    assert not first.path.exists()
    part(first).write_text("classes")
    first.ended(whole=True)
    assert first.path.read_text() == "classes"
    assert [file.name for file in first.path.parent.iterdir()] == [first.path.name]
    for keep in (True, False):
        later = started(java, keep=keep)
        assert later.part is None
        assert f"-XX:SharedArchiveFile={first.path}" in later.java_options
        later.ended(whole=True)
        assert first.path.exists()


def test_what_a_killed_jvm_wrote_is_used_by_nobody(java):
    first = started(java, keep=True)
    part(first).write_text("half of the cla")
    first.ended(whole=False)
    assert list(first.path.parent.iterdir()) == []
    assert started(java, keep=True).part


def test_one_at_a_time_makes_it_and_one_that_died_is_in_nobodys_way(java):
    first = started(java, keep=True)
    assert class_archive(java, "", keep=True) is None
    mark, long_ago = first.path.with_suffix(".making"), time.time() - 3600
    part(first).write_text("half")
    for file in (mark, part(first)):
        os.utime(file, (long_ago, long_ago))
    assert started(java, keep=True).part
    assert not part(first).exists()


@pytest.mark.parametrize(
    "said", ("-Xshare:off", "-Xmx1g -XX:SharedArchiveFile=/mine.jsa", "-XX:ArchiveClassesAtExit=x")
)
def test_what_the_user_says_of_it_counts(java, said):
    made(java)
    assert class_archive(java, said, keep=True) is None


def test_another_java_or_spark_has_another(java, tmp_path):
    first = made(java)
    assert started(Java(java.home, "17.0.10", "a test"), keep=True).path != first
    jar = tmp_path / "spark" / "jars" / "spark.jar"
    jar.write_text("a later one")
    assert started(java, keep=True).path != first


def test_a_java_that_cannot_keep_classes_does_without(java):
    assert class_archive(Java(java.home, "11.0.2", "a test"), "", keep=True) is None


@pytest.mark.parametrize("where", ("SPARK_CONF_DIR", "HADOOP_CONF_DIR", "conf"))
def test_a_class_path_with_directories_does_without(java, where, monkeypatch, tmp_path):
    if where == "conf":
        (tmp_path / "spark" / "conf").mkdir()
    else:
        monkeypatch.setenv(where, str(tmp_path))
    assert class_archive(java, "", keep=True) is None


def test_a_cache_that_cannot_be_written_keeps_nobody_from_starting(java, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("QUALITY_CACHE", str(tmp_path / "file" / "cache"))
    assert class_archive(java, "", keep=True) is None


def test_archives_that_nobody_uses_are_removed(java):
    first = made(java)
    second = made(Java(java.home, "17.0.10", "a test"))
    assert first.exists()
    old = time.time() - archives._UNUSED_SECONDS - 60
    os.utime(first, (old, old))
    third = made(Java(java.home, "17.0.11", "a test"))
    assert [file.exists() for file in (first, second, third)] == [False, True, True]
    os.utime(second, (old, old))
    assert class_archive(Java(java.home, "17.0.10", "a test"), "", keep=False)
    assert second.stat().st_mtime > old + 60, "a start says when it was used"


def test_a_place_with_blanks_is_one_option(java, monkeypatch, tmp_path):
    monkeypatch.setenv("QUALITY_CACHE", str(tmp_path / "a cache"))
    path = made(java)
    assert f'"-XX:SharedArchiveFile={path}"' in started(java, keep=False).java_options


def test_a_real_java_takes_what_it_made(java):
    real = find_java()
    if real.major < 13:
        assert class_archive(real, "", keep=True) is None
        return

    def start(options: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
        command = [str(real.home / "bin" / "java"), *options, "-version"]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    first = started(real, keep=True)
    done = start(first.options)
    assert (done.returncode, done.stdout) == (0, "")
    first.ended(whole=True)
    later = started(real, keep=False)
    # -Xshare:on: a Java that cannot use the archive does not start
    done = start((*later.options, "-Xshare:on"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == ""
    later.path.unlink()
    assert start((*later.options, "-Xshare:on")).returncode != 0
