"""Spark with S3A in a process of its own, for all tests that need it: it takes orders as JSON lines and answers with results.

A process of its own, because the Spark of the other tests has no S3A, and a process has one Spark.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from queue import Empty, Queue
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 400.0


class Driver:
    """Runs what it is told, one after another. What it writes to standard error is in `log`."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.log = folder / "driver.log"
        self._answers: Queue[str] = Queue()
        clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(Path(__file__).resolve())], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                cwd=ROOT, env={**clean, **environment, "PYTHONPATH": str(ROOT)}, text=True,
            )  # fmt: skip
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith('{"answer"'):
                self._answers.put(line)

    def run(self, rules: Path, batch: str, environment: Mapping[str, str], **given: Any) -> tuple[dict[str, Any], str]:
        """The result of a run with these credentials and this endpoint, and what was written to standard error."""
        order = {"rules": str(rules), "batch": batch, "environment": dict(environment), "given": given}
        return self._done(order)

    def redrive(self, rules: Path, environment: Mapping[str, str]) -> tuple[list[dict[str, Any]], str]:
        """What a re-drive of all batches came to, and what was written to standard error."""
        return self._done({"rules": str(rules), "environment": dict(environment)})

    def _done(self, order: Mapping[str, Any]) -> tuple[Any, str]:
        start = self.log.stat().st_size
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        try:
            answer = json.loads(self._answers.get(timeout=PATIENCE))["answer"]
        except Empty:
            raise TimeoutError(f"no answer in {PATIENCE} s:\n{self.log.read_text()[-3000:]}") from None
        return answer, self.log.read_bytes()[start:].decode(errors="replace")

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


#: S3A's own patience is minutes; these are enough for what tests do to it.
SETTINGS = {
    "fs.s3a.attempts.maximum": "4",
    "fs.s3a.retry.limit": "4",
    "fs.s3a.retry.interval": "50ms",
    "fs.s3a.retry.throttle.limit": "4",
    "fs.s3a.retry.throttle.interval": "50ms",
    "fs.s3a.connection.timeout": "2000",
    "fs.s3a.connection.establish.timeout": "2000",
    # each order has its own endpoint and credentials
    "fs.s3.impl.disable.cache": "true",
}


def main() -> None:
    from quality import run
    from quality.backends.session import session
    from quality.redrive import redrive

    java = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
    settings = {
        "spark.driver.memory": "800m",
        "spark.sql.shuffle.partitions": "1",
        "spark.driver.extraJavaOptions": java,
    }
    s3a = {f"spark.hadoop.{name}": value for name, value in SETTINGS.items()}
    with session(master="local[2]", extra={**settings, **s3a}, needs=["s3"]) as own:
        for line in sys.stdin:
            order = json.loads(line)
            become(own.spark, order["environment"])
            if "batch" in order:
                answer: Any = dict(run(order["rules"], order["batch"], spark=own.spark, **order["given"]).data)
            else:
                answer = [one.to_dict() for one in redrive(order["rules"], spark=own.spark)]
            sys.stdout.write(json.dumps({"answer": answer}) + "\n")
            sys.stdout.flush()


def become(spark: Any, environment: Mapping[str, str]) -> None:
    """Take on credentials and endpoint: for boto3 by the environment, for S3A by Java's properties, which its chain asks
    next, as the environment of a JVM cannot change and has none."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(environment)
    system = spark._jvm.java.lang.System
    system.setProperty("aws.accessKeyId", environment["AWS_ACCESS_KEY_ID"])
    system.setProperty("aws.secretKey", environment["AWS_SECRET_ACCESS_KEY"])
    hadoop = spark._jsc.hadoopConfiguration()
    hadoop.set("fs.s3a.endpoint", environment["AWS_ENDPOINT_URL_S3"])


if __name__ == "__main__":
    main()
