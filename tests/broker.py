"""A real Kafka broker on loopback, from its Maven jars, on the Java the package finds: one node that is its own controller.

`python tests/broker.py` fetches the jars (some 45 MB) into the cache and proves that it starts.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from quality import jars
from quality.backends.java import find_java
from quality.jars import Artifact
from tests.ports import free_ports

if TYPE_CHECKING:
    from typing_extensions import Self

    from tests.stream_harness import Parcel

#: Built with the Scala that Spark brings: Spark's resolver fetches no other.
KAFKA = Artifact("org.apache.kafka", "kafka_2.12", "3.9.1")
PATIENCE = 240.0

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs={folder}
num.partitions=2
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
num.network.threads=1
num.io.threads=2
log.cleaner.enable=false
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
"""


@contextmanager
def own_cache() -> Iterator[Path]:
    """A cache of the broker's own: all jars in it are its class path."""
    place, before = jars.cache_directory() / "broker-2.12", os.environ.get("QUALITY_CACHE")
    os.environ["QUALITY_CACHE"] = str(place)
    try:
        yield place / "ivy" / "jars"
    finally:
        if before is None:
            del os.environ["QUALITY_CACHE"]
        else:
            os.environ["QUALITY_CACHE"] = before


def class_path() -> str:
    """The jars of the broker, fetched the first time, and what Spark has of the rest: Scala, and a log."""
    with own_cache() as place:
        jars._fetched([KAFKA])
        found = sorted(place.glob("*.jar"))
    home = jars.spark_home()
    assert home is not None
    names = ("scala-library-*.jar", "log4j-1.2-api-*.jar", "log4j-api-2*.jar", "log4j-core-*.jar")
    found += [path for name in names for path in (home / "jars").glob(name)]
    return os.pathsep.join(map(str, found))


class Broker:
    """A broker in a process of its own, and a producer to fill its topics."""

    def __init__(self, folder: Path) -> None:
        self.folder, (self.port, controller) = folder, free_ports(2)
        (folder / "data").mkdir(parents=True)
        words = {"port": self.port, "controller": controller, "folder": folder / "data"}
        (folder / "server.properties").write_text(PROPERTIES.format(**words))
        # what the tool that formats a node writes
        (folder / "data" / "meta.properties").write_text("version=1\ncluster.id=AAAAAAAAQACAAAAAAAAAAQ\nnode.id=1\n")
        self.java, self.path = str(find_java().home / "bin" / "java"), class_path()
        self._process: subprocess.Popen[bytes] | None = None
        self._gateway: Any = None

    @property
    def servers(self) -> str:
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._gateway is not None:
            self._gateway.shutdown()
            self._gateway.java_process.stdin.close()
            self._gateway.java_process.wait(timeout=PATIENCE)
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self) -> None:
        small = ("-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
        words = [self.java, *small, "-cp", self.path, "kafka.Kafka", str(self.folder / "server.properties")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(words, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError(f"the broker did not start: {(self.folder / 'log').read_text()[-3000:]}")

    def kill(self) -> None:
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL) if self._process.poll() is None else None
            self._process.wait()

    def restart(self) -> None:
        """Killed and started again, on what it had on disk."""
        self.kill()
        self.start()

    @property
    def jvm(self) -> Any:
        """A Java with Kafka's own clients."""
        if self._gateway is None:
            from py4j.java_gateway import JavaGateway

            home = jars.spark_home()
            assert home is not None
            (py4j,) = (home / "jars").glob("py4j-*.jar")
            self._gateway = JavaGateway.launch_gateway(
                jarpath=str(py4j), classpath=self.path, java_path=self.java, die_on_exit=True
            )
        return self._gateway.jvm

    def send(self, topic: str, values: Sequence[tuple[int, str | None]]) -> None:
        """Messages as (partition, value), acknowledged when this returns. A topic that is not there is made."""
        jvm = self.jvm
        given = jvm.java.util.Properties()
        for name, word in (("bootstrap.servers", self.servers), ("acks", "all"), ("max.block.ms", "60000")):
            given.put(name, word)
        texts = jvm.org.apache.kafka.common.serialization.StringSerializer
        producer = jvm.org.apache.kafka.clients.producer.KafkaProducer(given, texts(), texts())
        try:
            for partition, value in values:
                record = jvm.org.apache.kafka.clients.producer.ProducerRecord(topic, partition, None, value)
                producer.send(record).get()
        finally:
            producer.close()


class Topic:
    """Parcels are messages, each of several lines."""

    def __init__(self, broker: Broker, name: str, partitions: int = 2) -> None:
        self.broker, self.name, self.partitions = broker, name, partitions

    def section(self) -> str:
        kafka = f"{{servers: '{self.broker.servers}', topic: {self.name}}}"
        return f"{{kafka: {kafka}, format: csv, schema: {{id: integer, amount: integer, name: string}}}}"

    def send(self, parcels: Sequence[Parcel]) -> None:
        self.broker.send(self.name, [(each.number % self.partitions, "\n".join(each.lines)) for each in parcels])

    def disturb(self) -> None:
        self.broker.restart()


if __name__ == "__main__":
    began = time.monotonic()
    with Broker(Path(tempfile.mkdtemp(prefix="broker-")) / "b") as broker:
        sys.stdout.write(f"up at {broker.servers} after {time.monotonic() - began:.1f} s\n")
        broker.send("t", [(0, "a"), (1, None)])
        broker.restart()
        broker.send("t", [(1, "b")])
        sys.stdout.write(f"sent and restarted after {time.monotonic() - began:.1f} s\n")
