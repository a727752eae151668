"""Starts Spark's JVM with its classes at hand: read, checked and laid out once, kept in a file, and mapped into memory by every
later start (HotSpot's application class-data sharing). Starting and a first query take about half the time.

The file is made by HotSpot at the end of a brief run of ours, which takes some seconds once. HotSpot itself checks whether a file
fits the Java and the jars it is given, and does without it, silently, where it does not.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from quality import jars
from quality.backends.java import Java

#: Where HotSpot takes class data of applications beside its own (JEP 350).
_FIRST_JAVA = 13
#: Directories that Spark puts on its class path when they are set. HotSpot keeps no classes when there is something in them.
_DIRECTORIES = ("SPARK_CONF_DIR", "HADOOP_CONF_DIR", "YARN_CONF_DIR", "SPARK_DIST_CLASSPATH")
#: What its user says of the matter counts.
_SAID = ("SharedArchiveFile", "ArchiveClassesAtExit", "-Xshare")
#: An archive that nobody started with for so long is removed when another is made.
_UNUSED_SECONDS = 30 * 24 * 3600
#: Whoever makes one is through by then, or died.
_MAKING_SECONDS = 600
#: Classes of the archive that cannot be kept are told line by line otherwise.
_QUIET = "-Xlog:cds*=off"


@dataclass(frozen=True)
class ClassArchive:
    """The archive of a start: `options` are for the JVM; `part` is what it writes when it ends, None when nothing is kept."""

    path: Path
    options: tuple[str, ...] = ()
    part: Path | None = None

    @property
    def java_options(self) -> str:
        """The options as `spark.driver.extraJavaOptions` takes them."""
        return " ".join(f'"{option}"' if " " in option else option for option in self.options)

    def ended(self, *, whole: bool) -> None:
        """Put what the JVM wrote in its place; to be called when it has ended. `whole`: it ended by itself."""
        if self.part is None:
            return
        with contextlib.suppress(OSError):
            if whole:
                self.part.replace(self.path)
            self.part.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            _mark(self.path).unlink()


def class_archive(java: Java, said: str, *, keep: bool) -> ClassArchive | None:
    """The archive for this Java and this Spark; None where there is none. Where it has not been made yet, and `keep`, the JVM
    makes it when it ends. `said`: the options of Java that the user gives."""
    home = jars.spark_home()
    if home is None or java.major < _FIRST_JAVA or any(word in said for word in _SAID) or _has_directories(home):
        return None
    try:
        path = jars.cache_directory() / f"classes-{_fingerprint(java, home)}.jsa"
        if path.exists():
            # says when it was used last
            os.utime(path)
            return ClassArchive(path, (f"-XX:SharedArchiveFile={path}", _QUIET))
        if not keep or not _alone(path):
            return None
        _remove_old(path.parent)
    except OSError:
        return None
    part = path.with_suffix(f".{os.getpid()}.part")
    below = _below(java, path)
    base = () if below is None else (f"-XX:SharedArchiveFile={below}",)
    return ClassArchive(path, (*base, f"-XX:ArchiveClassesAtExit={part}", _QUIET), part)


def _has_directories(home: Path) -> bool:
    named = [Path(os.environ[name]) for name in _DIRECTORIES if os.environ.get(name)]
    return bool(named) or (home / "conf").exists()


def _fingerprint(java: Java, home: Path) -> str:
    """Of all that HotSpot compares: another archive is made when Java or Spark are others."""
    found = sorted((entry.name, entry.stat().st_size, entry.stat().st_mtime_ns) for entry in os.scandir(home / "jars"))
    return hashlib.sha256(repr((str(java.home), java.version, str(home), found)).encode()).hexdigest()[:16]


def _below(java: Java, path: Path) -> Path | None:
    """The archive of Java's own classes that this one stands on, where a Java comes without."""
    if list(java.home.glob("lib/server/classes.jsa")):
        return None
    base = path.with_name(path.name.replace("classes-", "java-"))
    if not base.exists():
        made = base.with_suffix(f".{os.getpid()}.part")
        command = [str(java.home / "bin" / "java"), "-Xshare:dump", f"-XX:SharedArchiveFile={made}"]
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run(command, capture_output=True, timeout=60, check=False)
            made.replace(base)
    return base


def _mark(path: Path) -> Path:
    return path.with_suffix(".making")


def _alone(path: Path) -> bool:
    """Whether nobody else makes this archive: it takes a processor for seconds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mark = _mark(path)
    with contextlib.suppress(FileNotFoundError):
        if time.time() - mark.stat().st_mtime > _MAKING_SECONDS:
            mark.unlink()
    try:
        mark.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def _remove_old(directory: Path) -> None:
    """Archives that nobody uses, and what was left by those who died."""
    now = time.time()
    for pattern, seconds in (("classes-*.jsa", _UNUSED_SECONDS), ("*-*.part", _MAKING_SECONDS)):
        for file in directory.glob(pattern):
            with contextlib.suppress(OSError):
                if now - file.stat().st_mtime > seconds:
                    file.unlink()
