"""Where the Deequ jar is found, what is said when it is not, and what a cluster is told. Nothing is fetched here."""

import os
import zipfile
from pathlib import Path

import pytest

from quality import jars
from quality.backends.java import Java
from quality.errors import EngineError


def a_jar(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("META-INF/MANIFEST.MF", "")
    return path


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    """A machine with an empty cache and a Spark without Deequ."""
    for name in ("QUALITY_DEEQU_JAR", "QUALITY_IVY_SETTINGS", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("QUALITY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SPARK_HOME", str(tmp_path / "spark"))
    monkeypatch.setattr(jars, "find_java", lambda: Java(tmp_path / "java", "17.0.9", "test"))
    return tmp_path


def resolver(home: Path, script: str) -> None:
    """Puts a program in the place of spark-submit."""
    submit = home / "spark" / "bin" / "spark-submit"
    submit.parent.mkdir(parents=True)
    submit.write_text(f"#!/bin/sh\n{script}\n")
    submit.chmod(0o755)


def test_nothing_is_found_on_a_new_machine(home):
    assert jars.deequ_jar() is None


def test_the_jar_is_found_where_sparks_resolver_puts_it(home):
    jar = a_jar(home / "cache" / "ivy" / "jars" / "com.amazon.deequ_deequ-2.1.0-spark-3.5.jar")
    assert jars.deequ_jar() == jar


def test_a_jar_among_sparks_own_comes_before_the_cache(home):
    a_jar(home / "cache" / "ivy" / "jars" / jars.DEEQU.resolved_name)
    jar = a_jar(home / "spark" / "jars" / "deequ-2.1.0-spark-3.5.jar")
    assert jars.deequ_jar() == jar


def test_a_jar_that_is_still_being_written_is_not_taken(home):
    jar = a_jar(home / "cache" / "ivy" / "jars" / jars.DEEQU.resolved_name)
    jar.write_bytes(jar.read_bytes()[:-10])
    assert jars.deequ_jar() is None


def test_a_jar_named_by_the_environment_comes_first(home, monkeypatch):
    a_jar(home / "spark" / "jars" / jars.DEEQU.file_name)
    named = a_jar(home / "mine.jar")
    monkeypatch.setenv("QUALITY_DEEQU_JAR", str(named))
    assert jars.deequ_jar() == named


def test_a_named_jar_that_is_not_there_is_an_error_and_not_a_download(home, monkeypatch):
    monkeypatch.setenv("QUALITY_DEEQU_JAR", str(home / "gone.jar"))
    with pytest.raises(EngineError, match="there is no such jar"):
        jars.fetch()


@pytest.mark.parametrize(
    ("environment", "expected"),
    (
        ({"QUALITY_CACHE": "/q", "XDG_CACHE_HOME": "/x", "HOME": "/h"}, "/q"),
        ({"XDG_CACHE_HOME": "/x", "HOME": "/h"}, "/x/quality"),
        ({"HOME": "/h"}, "/h/.cache/quality"),
    ),
)
def test_the_cache_directory_follows_the_environment(monkeypatch, environment, expected):
    for name in ("QUALITY_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert jars.cache_directory() == Path(expected)


@pytest.mark.skipif(os.name == "nt", reason="the stand-in for spark-submit is a shell script")
class TestFetching:
    def test_a_cached_jar_is_not_fetched_again(self, home):
        jar = a_jar(home / "cache" / "ivy" / "jars" / jars.DEEQU.resolved_name)
        resolver(home, "exit 1")
        assert jars.fetch() == jar

    def test_sparks_own_resolver_fetches_into_the_cache(self, home):
        ready = a_jar(home / "ready.jar")
        target = home / "cache" / "ivy" / "jars"
        resolver(home, f'echo "$@" > {home}/words; mkdir -p {target}; cp {ready} {target}/{jars.DEEQU.resolved_name}')
        assert jars.fetch() == target / jars.DEEQU.resolved_name
        words = (home / "words").read_text()
        assert "--conf spark.jars.packages=com.amazon.deequ:deequ:2.1.0-spark-3.5" in words
        assert f"--conf spark.jars.ivy={home}/cache/ivy" in words

    def test_the_resolver_is_quiet_when_it_works(self, home, capfd):
        ready = a_jar(home / "ready.jar")
        target = home / "cache" / "ivy" / "jars"
        resolver(home, f"echo chatter >&2; mkdir -p {target}; cp {ready} {target}/{jars.DEEQU.resolved_name}")
        jars.fetch()
        assert capfd.readouterr() == ("", "")

    def test_offline_the_error_says_what_the_resolver_said_and_what_to_do(self, home):
        resolver(home, "echo ':: chatter'; echo 'Server access error: java.net.UnknownHostException'; exit 1")
        with pytest.raises(
            EngineError, match=r"(?s)could not be fetched.*QUALITY_DEEQU_JAR.*UnknownHostException"
        ) as failure:
            jars.fetch()
        assert ":: chatter" not in str(failure.value)

    def test_behind_a_proxy_that_opens_tls_the_machines_certificates_are_used(self, home, monkeypatch):
        ready = a_jar(home / "ready.jar")
        target = home / "cache" / "ivy" / "jars"
        monkeypatch.setattr(jars, "write_trust_store", lambda path: ["-Dtrust=machine"])
        resolver(
            home,
            'case "$*" in\n'
            f'  *"--driver-java-options -Dtrust=machine"*) mkdir -p {target}; cp {ready} {target}/{jars.DEEQU.resolved_name};;\n'
            "  *) echo javax.net.ssl.SSLHandshakeException; exit 1;;\n"
            "esac",
        )
        assert jars.fetch() == target / jars.DEEQU.resolved_name

    def test_the_new_jvm_does_not_attach_to_a_running_one(self, home, monkeypatch):
        monkeypatch.setenv("PYSPARK_GATEWAY_PORT", "1")
        resolver(home, f"env > {home}/environment")
        with pytest.raises(EngineError):
            jars.fetch()
        environment = (home / "environment").read_text()
        assert "PYSPARK_GATEWAY_PORT" not in environment
        assert f"JAVA_HOME={home}/java" in environment

    def test_a_restricted_site_names_its_own_repositories(self, home, monkeypatch):
        monkeypatch.setenv("QUALITY_IVY_SETTINGS", "/etc/ivy.xml")
        resolver(home, f'echo "$@" > {home}/words')
        with pytest.raises(EngineError):
            jars.fetch()
        assert "--conf spark.jars.ivySettings=/etc/ivy.xml" in (home / "words").read_text()

    def test_without_a_spark_the_error_names_the_extra_to_install(self, home, monkeypatch):
        monkeypatch.setattr(jars, "spark_home", lambda: None)
        with pytest.raises(EngineError, match=r"quality-engine\[local\]"):
            jars.fetch()

    def test_a_cache_that_cannot_be_written_is_named(self, home, monkeypatch):
        (home / "file").write_text("")
        monkeypatch.setenv("QUALITY_CACHE", str(home / "file" / "cache"))
        with pytest.raises(EngineError, match=r"cannot be written .*; set QUALITY_CACHE"):
            jars.fetch()


def test_a_cluster_is_told_the_coordinate_with_its_excludes(home):
    told = jars.describe()
    assert told.packages_options[:3] == ("--packages", "com.amazon.deequ:deequ:2.1.0-spark-3.5", "--exclude-packages")
    assert told.packages_options[3].split(",") == list(jars.DEEQU.excludes)
    assert told.jars_options == ("--jars", "deequ-2.1.0-spark-3.5.jar")
    assert told.to_dict()["cached"] is None


def test_a_cluster_without_internet_is_told_the_uploaded_jar(home):
    assert jars.describe("s3://bucket/jars/deequ.jar").jars_options == ("--jars", "s3://bucket/jars/deequ.jar")


def test_a_cluster_is_told_what_else_it_needs_for_a_table_format(home):
    told = jars.describe(formats=["delta", "iceberg"])
    assert told.packages_options[1].split(",") == [
        "com.amazon.deequ:deequ:2.1.0-spark-3.5",
        *(artifact.coordinate for artifact in (*jars.DELTA, *jars.ICEBERG)),
    ]
    assert "org.antlr:antlr4-runtime" in told.packages_options[3]
    assert told.jars_options[1].split(",")[1:] == [artifact.file_name for artifact in (*jars.DELTA, *jars.ICEBERG)]
    assert told.settings == tuple(f"{key}={value}" for key, value in jars.DELTA_SETTINGS.items())
    assert jars.describe(formats=["iceberg"]).settings == ()
