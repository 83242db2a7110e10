"""Find the interpreters of this machine and identify their builds.

Searched in this order: the variable ``PY312_PYTHON_X_Y``, pyenv's versions, uv's, ``pythonX.Y`` on PATH, the usual
folders (deadsnakes and distributions: /usr/bin; Homebrew; python.org on macOS), the running interpreter, and the
``py`` launcher's list (PEP 773 and before). pyenv's shims are skipped: they start whatever the current folder selects,
and exit with 127 if their version is not selected.
"""

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pytest_py312.core import process
from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.progress.hub import PROGRESS
from pytest_py312.runners.runner import CellUnavailable

FINGERPRINT_SCRIPT = """
import json, platform, sys, sysconfig
try:
    import ensurepip
    setuptools = getattr(ensurepip, "_SETUPTOOLS_VERSION", "")
except ImportError:
    setuptools = ""
print(json.dumps({
    "implementation": sys.implementation.name,
    "version": platform.python_version(),
    "executable": sys.executable,
    "config_args": sysconfig.get_config_var("CONFIG_ARGS") or "",
    "build": platform.python_build(),
    "compiler": platform.python_compiler(),
    "libc": platform.libc_ver(),
    "machine": platform.machine(),
    "gil": not sysconfig.get_config_var("Py_GIL_DISABLED"),
    "seed": ["setuptools==" + setuptools] if setuptools else [],
}))
"""
"""Run by an interpreter (``-I -c``, 3.8+), this prints one JSON object that identifies its build.

``ensurepip._SETUPTOOLS_VERSION`` exists up to 3.11: the setuptools that ``python -m venv`` installs besides pip
(https://docs.python.org/3/whatsnew/3.12.html#ensurepip).
"""


def build_from_fingerprint(
    interpreter: Interpreter, data: Mapping[str, Any], *, origin: str, salt: str = ""
) -> InterpreterBuild:
    """Return the build that the output of :data:`FINGERPRINT_SCRIPT` describes.

    ``salt`` (an image id) becomes part of the digest.

    :raises CellUnavailable: it is not CPython ``interpreter``, or a free-threaded build of it.
    """
    version = str(data.get("version", ""))
    minor_version = ".".join(version.split(".")[:2])
    if data.get("implementation") != "cpython" or minor_version != str(interpreter) or not data.get("gil", True):
        kind = f"{data.get('implementation')} {version}{'' if data.get('gil', True) else ' (free-threaded)'}"
        raise CellUnavailable(f"{origin} holds {kind}, not CPython {interpreter}")
    arguments = str(data.get("config_args", ""))
    flags = "+".join(
        name for name, option in (("pgo", "--enable-optimizations"), ("lto", "--with-lto")) if option in arguments
    )
    identity = json.dumps([{key: data[key] for key in sorted(data)}, salt])
    return InterpreterBuild(
        interpreter=interpreter,
        version=version,
        executable=str(data["executable"]),
        origin=origin,
        digest=hashlib.sha256(identity.encode()).hexdigest()[:16],
        flags=flags or "plain",
        preinstalled=tuple(str(item) for item in data.get("seed", ())),
    )


def candidate_paths(interpreter: Interpreter, environ: Mapping[str, str], uv: str) -> Iterator[tuple[Path, str]]:
    """Yield (program, origin for users) for each path where ``interpreter`` may be, best first."""
    named = environ.get(f"PY312_PYTHON_{interpreter.major}_{interpreter.minor}")
    if named:
        yield Path(named), f"PY312_PYTHON_{interpreter.major}_{interpreter.minor}"
    name = f"python{interpreter}"
    pyenv = Path(environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    for root in _newest_first(pyenv, f"{interpreter}.*"):
        yield root / "bin" / name, "pyenv"
    uv_folder = Path(environ.get("UV_PYTHON_INSTALL_DIR") or _data_home(environ) / "uv" / "python")
    for root in _newest_first(uv_folder, f"cpython-{interpreter}.*"):
        yield root / "bin" / name, "uv"
    for folder in (environ.get("PATH") or "").split(os.pathsep):
        if folder and not folder.rstrip("/").endswith("shims"):
            yield Path(folder) / name, "PATH"
    for folder in ("/usr/local/bin", "/usr/bin", "/opt/homebrew/bin", f"/opt/python/{interpreter}/bin"):
        yield Path(folder) / name, "the system"
    yield Path(f"/Library/Frameworks/Python.framework/Versions/{interpreter}/bin/{name}"), "python.org"
    if sys.version_info[:2] == (interpreter.major, interpreter.minor):
        yield Path(os.path.realpath(sys.executable)), "the interpreter of this run"
    launcher = shutil.which("py", path=environ.get("PATH"))
    if launcher:
        yield from _from_launcher(launcher, interpreter)


def _newest_first(folder: Path, pattern: str) -> list[Path]:
    def patch(path: Path) -> tuple[int, ...]:
        digits = path.name.split("-")[1] if path.name.startswith("cpython-") else path.name
        return tuple(int(part) for part in digits.split(".") if part.isdigit())

    # 3.13.0t is pyenv's name of a free-threaded build; 3.13-dev is a moving target
    folders = [path for path in folder.glob(pattern) if path.is_dir() and not path.is_symlink()]
    return sorted((path for path in folders if not path.name.endswith("t")), key=patch, reverse=True)


def _data_home(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")


def _from_launcher(launcher: str, interpreter: Interpreter) -> Iterator[tuple[Path, str]]:
    listing = process.run([launcher, "--list-paths"], time_limit=10)
    for line in listing.stdout.splitlines():
        words = line.split()
        if words and words[0].lstrip("-").removeprefix("V:").split("-")[0] == str(interpreter):
            yield Path(words[-1]), "the py launcher"


def find_local(interpreter: Interpreter, *, uv: str, fetch: bool, cache: "FingerprintCache") -> InterpreterBuild:
    """Return the best build of ``interpreter`` on this machine; with ``fetch``, uv downloads one if there is none.

    :raises CellUnavailable: none was found. The text lists what was tried and how to get one.
    """
    rejected: list[str] = []
    variable = f"PY312_PYTHON_{interpreter.major}_{interpreter.minor}"
    for path, origin in candidate_paths(interpreter, os.environ, uv):
        if path.is_file() and os.access(path, os.X_OK):
            try:
                return _fingerprint(interpreter, path, origin, cache)
            except CellUnavailable as error:
                rejected.append(str(error))
        if origin == variable:
            raise CellUnavailable(
                f"{variable}={path} cannot be used: {rejected[0] if rejected else 'it is not executable'}"
            )
    hint = f"; rejected: {'; '.join(rejected)}" if rejected else ""
    if not fetch:
        raise CellUnavailable(
            f"no Python {interpreter} was found on this machine{hint}. Get one with `uv python install {interpreter}` "
            f"or `pyenv install {interpreter}`, name one with PY312_PYTHON_{interpreter.major}_{interpreter.minor}="
            "/path/to/python, or set `fetch-interpreters = true` in the plan"
        )
    return _fetch_with_uv(interpreter, uv, cache)


def find_installed(interpreter: Interpreter, cache_folder: Path) -> InterpreterBuild:
    """Return the best build of ``interpreter`` on this machine; nothing is downloaded.

    :param cache_folder: the folder of all caches.
    :raises CellUnavailable: none was found.
    """
    from uv import find_uv_bin

    return find_local(interpreter, uv=find_uv_bin(), fetch=False, cache=FingerprintCache(cache_folder / "interpreters"))


def _fetch_with_uv(interpreter: Interpreter, uv: str, cache: "FingerprintCache") -> InterpreterBuild:
    with PROGRESS.activity("downloading", f"Python {interpreter}"):
        install = process.run([uv, "python", "install", "--no-bin", "--no-config", str(interpreter)], time_limit=600)
    location = process.run(
        [uv, "python", "find", "--no-config", "--managed-python", "--no-python-downloads", str(interpreter)]
    )
    if not install.ok or not location.ok:
        error_lines = (install.stderr if not install.ok else location.stderr).strip().splitlines()
        raise CellUnavailable(
            f"no Python {interpreter} was found on this machine and uv could not fetch one: "
            f"{error_lines[-1] if error_lines else 'no reason given'}. Install it manually, or run where downloads are "
            "allowed"
        )
    return _fingerprint(interpreter, Path(location.stdout.strip()), "uv (fetched)", cache)


class FingerprintCache:
    """Cached fingerprints of interpreters that have not changed: a folder with one JSON file per program."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _file(self, path: Path) -> Path:
        real = os.path.realpath(path)
        status = Path(real).stat()
        state = f"{real}\0{status.st_size}\0{status.st_mtime_ns}\0{FINGERPRINT_SCRIPT}"
        return self._folder / f"{hashlib.sha256(state.encode()).hexdigest()[:32]}.json"

    def get(self, path: Path) -> Mapping[str, Any] | None:
        try:
            data = json.loads(self._file(path).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return data if isinstance(data, dict) and "executable" in data else None

    def put(self, path: Path, data: Mapping[str, Any]) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            file = self._file(path)
            temporary_file = file.with_suffix(f".{os.getpid()}")
            temporary_file.write_text(json.dumps(data), encoding="utf-8")
            temporary_file.replace(file)
        except OSError:
            return  # only a cache: a full disk is reported where it matters


def _fingerprint(interpreter: Interpreter, path: Path, origin: str, cache: FingerprintCache) -> InterpreterBuild:
    data = cache.get(path)
    if data is None:
        probe = process.run([str(path), "-I", "-c", FINGERPRINT_SCRIPT], time_limit=30)
        try:
            data = dict(json.loads(probe.stdout))
            data["executable"]
        except (ValueError, TypeError, KeyError):
            output_lines = (probe.stderr or probe.stdout).strip().splitlines()
            last_line = output_lines[-1] if output_lines else "nothing"
            raise CellUnavailable(f"{path} does not start as a Python (its output: {last_line})") from None
        cache.put(path, data)
    return build_from_fingerprint(interpreter, data, origin=f"{origin} ({path})")
