"""What the doctor finds, and that it never breaks off."""

import pytest

from quality import doctor, jars
from quality.errors import EngineError


class Store:
    """A place that enforces put-if-absent, or accepts every write as some S3 look-alikes do."""

    def __init__(self, enforces: bool) -> None:
        self.enforces = enforces
        self.keys: set[str] = set()

    def put_if_absent(self, key, data):
        if key in self.keys and self.enforces:
            return False
        self.keys.add(key)
        return True

    def delete(self, keys):
        self.keys -= set(keys)


def found(name, root=None):
    return next(check for check in doctor.checks(root) if check.name == name)


@pytest.mark.parametrize("version", ((3, 10), (3, 11), (3, 12)))
def test_pythons_that_pyspark_runs_on_are_well(version):
    assert doctor.python_check(version).ok


@pytest.mark.parametrize(
    ("version", "reason"),
    (((3, 13), "pyspark 3.5 does not run on Python 3.13"), ((3, 9), "Python 3.9 is too old")),
)
def test_other_pythons_are_refused_for_their_own_reason(version, reason):
    check = doctor.python_check(version)
    assert not check.ok
    assert check.advice == f"{reason}; use Python 3.10, 3.11 or 3.12"


def test_a_jar_that_is_not_fetched_yet_is_no_failure(monkeypatch):
    monkeypatch.setattr(jars, "deequ_jar", lambda: None)
    assert found("deequ jar").ok is None


def test_a_check_that_breaks_is_a_finding_with_its_advice(monkeypatch):
    def no_java():
        raise EngineError("Spark needs Java 11 or 17\ninstall one")

    monkeypatch.setattr(doctor, "find_java", no_java)
    check = found("java")
    assert (check.ok, check.found, check.advice) == (False, "Spark needs Java 11 or 17", "install one")


def test_without_a_root_nothing_is_written():
    assert [check.name for check in doctor.checks()] == ["python", "java", "pyspark", "deequ jar", "pydeequ", "boto3"]


@pytest.mark.parametrize("enforces", (True, False))
def test_a_root_is_tried_with_two_writers_and_left_clean(monkeypatch, tmp_path, enforces):
    store = Store(enforces)
    monkeypatch.setattr("quality.storage.store.open_store", lambda root: store)
    assert found("put-if-absent", str(tmp_path)).ok is enforces
    assert store.keys == set()


def test_a_root_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    assert found("space", str(tmp_path / "file" / "below")).ok is False


def test_space_is_not_looked_for_in_a_bucket(monkeypatch):
    monkeypatch.setattr("quality.storage.store.open_store", lambda root: Store(enforces=True))
    assert found("space", "s3://bucket/prefix").ok is None
