"""The certificates a Java is given: found on the machine, written in Java's format."""

import shutil
import ssl
import subprocess

import pytest

from quality.backends import trust
from quality.backends.java import find_java
from quality.errors import EngineError


@pytest.fixture
def certificates():
    found = trust.machine_certificates()
    if not found:
        pytest.skip("this machine trusts nobody")
    return found


def test_each_authority_is_listed_once(certificates):
    assert len(set(certificates)) == len(certificates)


def test_the_authorities_of_a_named_file_are_among_them(certificates, monkeypatch, tmp_path):
    bundle = tmp_path / "bundle.pem"
    damaged = "-----BEGIN CERTIFICATE-----\nnot base64\n-----END CERTIFICATE-----\n"
    bundle.write_text(damaged + "a comment\n" + ssl.DER_cert_to_PEM_cert(certificates[0]))
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    monkeypatch.setattr(trust, "_BUNDLES", ())
    assert certificates[0] in trust.machine_certificates()


def test_java_reads_the_store(certificates, tmp_path):
    try:
        keytool = find_java().home / "bin" / "keytool"
    except EngineError:
        pytest.skip("this machine has no Java")
    if not shutil.which(keytool):
        pytest.skip("this Java has no keytool")
    store = tmp_path / "trust.jks"
    assert trust.write_trust_store(store)[0] == f"-Djavax.net.ssl.trustStore={store}"
    listed = subprocess.run(
        [str(keytool), "-list", "-keystore", str(store), "-storepass", trust.PASSWORD],
        capture_output=True,
        text=True,
        check=True,
    )
    assert listed.stdout.count("trustedCertEntry") == len(certificates)


def test_without_authorities_java_is_left_alone(monkeypatch, tmp_path):
    monkeypatch.setattr(trust, "machine_certificates", list)
    assert trust.write_trust_store(tmp_path / "trust.jks") == []
    assert list(tmp_path.iterdir()) == []
