"""A real S3 server with authentication on loopback, one for all tests here. Without it they fail, never skip."""

from __future__ import annotations

import os

import pytest

from tests.s3 import server as weed


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """The URL of the server."""
    with weed.started(tmp_path_factory.mktemp("weed")) as url:
        yield url


@pytest.fixture
def environment(server, monkeypatch):
    """The owner's credentials and the server's address, and nothing of the machine's own AWS settings."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "QUALITY_S3_"))]:
        monkeypatch.delenv(name)
    for name, value in weed.environment(server).items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.fixture
def root(environment, request):
    """A prefix of its own for each test."""
    return f"s3://{weed.BUCKET}/{abs(hash(request.node.nodeid)):x}"
