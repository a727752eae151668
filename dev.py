"""Does what a developer does with a fresh checkout; needs nothing but a Python.

    python3 dev.py demo [options]    the demo, in an environment of its own (.venv), Spark and Java included
    python3 dev.py test [options]    the tests; options go to pytest
    python3 dev.py lint              ruff and mypy
    python3 dev.py build             the wheel, and the same file as .zip, the only form Spark workers import

The first call creates .venv and installs into it; later ones start at once, until pyproject.toml changes.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Iterator, List, Optional, Sequence, Tuple

ROOT = Path(__file__).resolve().parent
ENVIRONMENT = ROOT / ".venv"
DEMO_EXTRAS = ("local", "cli", "demo")
DEV_EXTRAS = (*DEMO_EXTRAS, "dev")
SUITABLE = ((3, 12), (3, 11), (3, 10))
LINTERS = (("ruff", "check", "."), ("ruff", "format", "--check", "."), ("mypy",))

_PROBE = "import sys, importlib.util as u; print(*sys.version_info[:2], u.find_spec('ensurepip') is not None)"
_DOWNLOADING = re.compile(r"Downloading (?:.*/)?(\S+) \((\d+(?:\.\d+)? [MG]B)\)")


class Stop(Exception):
    """Ends the program with a message."""


def main(arguments: Sequence[str]) -> int:
    """Runs one command and returns its exit code; `demo` replaces this process."""
    commands = {"demo": demo, "test": test, "lint": lint, "build": build}
    if not arguments or arguments[0] in ("-h", "--help"):
        print(__doc__)
        return 0 if arguments else 2
    if arguments[0] not in commands:
        print(f"dev.py: '{arguments[0]}' is not a command; commands: {', '.join(commands)}", file=sys.stderr)
        return 2
    try:
        return commands[arguments[0]](list(arguments[1:]))
    except Stop as stop:
        print(f"dev.py: {stop}", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        return 130


def demo(arguments: List[str]) -> int:
    """Installs what the demo needs and becomes `quality demo`."""
    install(DEMO_EXTRAS)
    use_a_writable_cache()
    return become([str(program("quality")), "demo", *arguments])


def test(arguments: List[str]) -> int:
    """Runs pytest in the checkout."""
    install(DEV_EXTRAS)
    use_a_writable_cache()
    # two side by side, but only for the whole suite: each process starts a Spark of its own. A file is done by one of them, so
    # that what its tests share is made once, in the order of tests/conftest.py: the long ones first
    options = arguments or ["-n", "2", "--dist", "loadfile", "--no-loadscope-reorder"]
    return subprocess.call([str(program("python")), "-m", "pytest", *options], cwd=str(ROOT))


def lint(arguments: List[str]) -> int:
    """Runs every linter, also after one complained, and returns the first exit code that is not 0."""
    if arguments:
        raise Stop(f"lint takes no options, got {' '.join(arguments)}")
    install(DEV_EXTRAS)
    codes = []
    for command in LINTERS:
        say(" ".join(command))
        codes.append(subprocess.call([str(program("python")), "-m", *command], cwd=str(ROOT)))
    return next((code for code in codes if code), 0)


def build(arguments: List[str]) -> int:
    """Builds the wheel into dist/, and puts a copy named .zip beside it."""
    if arguments:
        raise Stop(f"build takes no options, got {' '.join(arguments)}")
    install(DEV_EXTRAS)
    target = ROOT / "dist"
    code = subprocess.call([str(program("python")), "-m", "build", "--wheel", "--outdir", str(target), str(ROOT)])
    if code == 0:
        wheel = max(target.glob("*.whl"), key=lambda path: path.stat().st_mtime)
        # --py-files takes a wheel for the driver, but workers import only from .zip
        twin = wheel.with_suffix(".zip")
        shutil.copyfile(str(wheel), str(twin))
        say(f"built {wheel.relative_to(ROOT)} and {twin.relative_to(ROOT)}")
    return code


def install(extras: Sequence[str]) -> None:
    """Makes .venv hold the project with these extras. Returns at once when it does."""
    missing = set(extras) - set(installed_extras())
    if not missing:
        return
    if not working(program("python")):
        create_environment()
    wanted = sorted({*extras, *installed_extras()})
    say(f"installing the project with {', '.join(wanted)} into {ENVIRONMENT.name} (minutes the first time)")
    started = time.monotonic()
    pip_install(f".[{','.join(wanted)}]")
    stamp().write_text(json.dumps({"project": fingerprint(), "extras": wanted}), encoding="utf-8")
    say(f"installed in {time.monotonic() - started:.0f} s")


def installed_extras() -> List[str]:
    """The extras .venv was last installed with; none when pyproject.toml or the Python changed since."""
    try:
        content: Dict[str, object] = json.loads(stamp().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    extras = content.get("extras")
    same = content.get("project") == fingerprint() and program("python").exists()
    return [str(extra) for extra in extras] if same and isinstance(extras, list) else []


def stamp() -> Path:
    """Written last: an installation that was interrupted has none, and is done again."""
    return ENVIRONMENT / ".installed.json"


def fingerprint() -> str:
    """What the installation rests on: the project's requirements, and where the checkout lies (it is installed in place)."""
    return hashlib.sha256((ROOT / "pyproject.toml").read_bytes() + str(ROOT).encode()).hexdigest()


def create_environment() -> None:
    """Creates .venv with the first suitable Python; raises Stop when there is none."""
    python, version = find_python()
    say(f"creating {ENVIRONMENT.name} with Python {version}")
    # --clear: what is there belongs to a Python that is gone, or was left half made
    done = run([python, "-m", "venv", "--clear", str(ENVIRONMENT)])
    if done.returncode:
        raise Stop(f"{python} cannot create a virtual environment\n{done.stdout}")


def find_python() -> Tuple[str, str]:
    """A Python 3.10 to 3.12 that can create environments, and its version: the running one, else one on PATH."""
    crippled = []
    for candidate in pythons():
        found = probe(candidate)
        if found is None or found[0] not in SUITABLE:
            continue
        version = ".".join(str(part) for part in found[0])
        if found[1]:
            return candidate, version
        crippled.append((candidate, version))
    if crippled:
        python, version = crippled[0]
        raise Stop(
            f"{python} (Python {version}) has no ensurepip, which virtual environments need\n"
            f"install it (Debian and Ubuntu: apt install python{version}-venv), or put another Python 3.10 to 3.12 on PATH"
        )
    running = ".".join(str(part) for part in sys.version_info[:2])
    raise Stop(
        f"Python 3.10, 3.11 or 3.12 is needed (pyspark 3.5 runs on no other), this is {running}\n"
        "none of python3.12, python3.11, python3.10 on PATH works; install one and run this again"
    )


def pythons() -> Iterator[str]:
    """The running Python (the one a virtual environment was made with, not the environment's), then those on PATH."""
    yield getattr(sys, "_base_executable", None) or sys.executable
    for major, minor in SUITABLE:
        on_path = shutil.which(f"python{major}.{minor}")
        if on_path:
            yield on_path


def probe(python: str) -> Optional[Tuple[Tuple[int, int], bool]]:
    """The version of a Python and whether it has ensurepip; None when it does not start (version managers put
    placeholders on PATH)."""
    done = run([python, "-c", _PROBE])
    words = done.stdout.split()
    if done.returncode or len(words) != 3:
        return None
    return (int(words[0]), int(words[1])), words[2] == "True"


def working(python: Path) -> bool:
    """Whether the environment's Python is there, of a version we run on, and has pip."""
    if not python.exists():
        return False
    found = probe(str(python))
    return found is not None and found[0] in SUITABLE and run([str(python), "-m", "pip", "--version"]).returncode == 0


def pip_install(requirement: str) -> None:
    """Installs in place; prints a line for what takes time, and pip's whole output when it fails."""
    options = ["--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
    command = [str(program("python")), "-m", "pip", "install", *options, "--editable", requirement]
    output = []
    with subprocess.Popen(
        command, cwd=str(ROOT), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True
    ) as pip:
        assert pip.stdout is not None
        for line in pip.stdout:
            output.append(line)
            progress = pip_progress(line.strip())
            if progress:
                say(f"  {progress}")
    if pip.returncode:
        raise Stop(f"pip could not install {requirement}\n{''.join(output)}")


def pip_progress(line: str) -> str:
    """What to show of a line of pip's: big downloads, builds, and the installation itself."""
    download = _DOWNLOADING.search(line)
    if download:
        size = download.group(2)
        big = size.endswith("GB") or float(size.split()[0]) >= 5
        return f"downloading {download.group(1)} ({size})" if big else ""
    if line.startswith("Building wheel for") and line.endswith("started"):
        return f"building {line.split()[3]}"
    if line.startswith("Installing collected packages:"):
        return f"unpacking {line.count(',') + 1} packages"
    return ""


def become(command: List[str]) -> int:
    """Replaces this process by a program. On Windows, where the shell would not wait for it, runs it."""
    if os.name != "nt":
        sys.stdout.flush()
        os.execv(command[0], command)
    return subprocess.call(command)


def use_a_writable_cache() -> None:
    """Without a home to write to, what is fetched once is kept in .venv."""
    if os.environ.get("QUALITY_CACHE") or os.environ.get("XDG_CACHE_HOME"):
        return
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 - Path.expanduser raises where there is no home
    if not (home.is_dir() and os.access(str(home), os.W_OK)):
        os.environ["QUALITY_CACHE"] = str(ENVIRONMENT / "cache")


def program(name: str) -> Path:
    """A program of the environment."""
    if os.name == "nt":
        return ENVIRONMENT / "Scripts" / f"{name}.exe"
    return ENVIRONMENT / "bin" / name


def run(command: List[str]) -> subprocess.CompletedProcess[str]:
    """Runs a program quietly; one that cannot be started counts as failed."""
    try:
        return subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, check=False
        )
    except OSError as error:
        return subprocess.CompletedProcess(command, 127, str(error))


def say(line: str) -> None:
    """A line of progress, on stderr: the output of what is run stays its own."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
