"""The environment of a cell: a venv put together from the store by hard links, once for each content.

    <cache>/envs/<key>/
        bin/python, pyvenv.cfg, lib/pythonX.Y/site-packages/...
        environment.json    what is in it, written last: without it the folder is not an environment

It is made beside its place and renamed into it, so an interrupted build leaves nothing that looks finished.
"""

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.dependencies.installation.distribution_store import Entry
from pytest_py312.runners.runner import Runner

SITE_HOOK = (
    "import os, sys; sys.path.extend("
    "item for item in os.environ.get('PY312_PATH', '').split(os.pathsep) if item and item not in sys.path)\n"
)
"""A .pth line: a service that is laid in without a build stands on the path after site-packages, as an editable
installation would, in every interpreter that its suite starts. https://docs.python.org/3/library/site.html"""

FORM = "2"
"""Goes into every key: raised when environments are put together in another way."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Environment:
    """An installed environment. ``versions`` are normalised project names; ``modules`` those of each of them."""

    key: str
    folder: Path
    versions: Mapping[str, str]
    modules: Mapping[str, tuple[str, ...]]


class Environments:
    """Makes environments, and remembers what has been proven of them."""

    def __init__(self, *, cache: Path, runner: Runner) -> None:
        self._root = cache / "envs"
        self._runner = runner

    def key_of(self, lines: Sequence[str], build: InterpreterBuild) -> str:
        """The key of the environment that holds ``lines`` (of pins) on ``build``."""
        content = json.dumps([FORM, self._runner.name, build.digest, build.executable, sorted(lines)])
        return hashlib.sha256(content.encode()).hexdigest()[:32]

    def get(self, key: str) -> Environment | None:
        """A finished environment, or ``None``."""
        folder = self._root / key
        try:
            facts = json.loads((folder / "environment.json").read_text(encoding="utf-8"))
            modules = {name: tuple(names) for name, names in facts["modules"].items()}
            os.utime(folder / "environment.json")  # when it was last used, for `py312 cache prune`
            return Environment(key=key, folder=folder, versions=facts["versions"], modules=modules)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def make(self, key: str, entries: Sequence[Entry], build: InterpreterBuild) -> Environment:
        """Put an environment together; one that is there already is returned as it is."""
        found = self.get(key)
        if found is not None:
            return found
        folder = self._root / key
        part = self._root / f".{key}.{uuid.uuid4().hex[:8]}"
        try:
            self._lay_out(part, folder, build)
            site = part / "lib" / f"python{build.interpreter}" / "site-packages"
            for entry in entries:
                _link_tree(entry.folder / "lib", site)
                self._link_data(entry, part, folder)
            facts = {
                "manifest": manifest(part),
                "entries": [str(entry.folder) for entry in entries],
                "versions": {entry.name: entry.version for entry in entries},
                "modules": {entry.name: list(entry.modules) for entry in entries},
            }
            (part / "environment.json").write_text(json.dumps(facts), encoding="utf-8")
            if not _rename(part, folder) and self.get(key) is None:
                shutil.rmtree(folder, ignore_errors=True)  # an unfinished one from before, without environment.json
                _rename(part, folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        made = self.get(key)
        if made is None:
            raise OSError(f"the environment {folder} could not be put in its place")
        return made

    def _lay_out(self, part: Path, folder: Path, build: InterpreterBuild) -> None:
        programs = part / "bin"
        site = part / "lib" / f"python{build.interpreter}" / "site-packages"
        programs.mkdir(parents=True)
        site.mkdir(parents=True)
        (programs / "python").symlink_to(build.executable)
        for name in ("python3", f"python{build.interpreter}"):
            (programs / name).symlink_to("python")
        home = str(Path(build.executable).parent)
        (part / "pyvenv.cfg").write_text(
            f"home = {home}\nimplementation = CPython\nversion_info = {build.version}\n"
            "include-system-site-packages = false\n",
            encoding="utf-8",
        )
        (site / "py312.pth").write_text(SITE_HOOK, encoding="utf-8")

    def _link_data(self, entry: Entry, part: Path, folder: Path) -> None:
        """Link what lies beside site-packages; scripts are copied, for their first line names the environment."""
        data = entry.folder / "data"
        if not data.is_dir():
            return
        prefix = json.loads((entry.folder / "entry.json").read_text(encoding="utf-8"))["prefix"].encode()
        _link_tree(data, part, skip=data / "bin")
        for script in sorted((data / "bin").iterdir()) if (data / "bin").is_dir() else ():
            if script.is_file():
                content = script.read_bytes()
                target = part / "bin" / script.name
                if content.startswith(b"#!"):
                    content = content.replace(prefix, self._runner.inside(folder).encode(), 2)
                target.unlink(missing_ok=True)
                target.write_bytes(content)
                target.chmod(0o755)

    def is_intact(self, environment: Environment) -> bool:
        """Whether an environment is as it was made. One that a suite has written to is thrown away.

        Its files are hard links to the store: what was written through one of them is in every environment that has
        the distribution. So the entries go as well, and are installed anew for whoever asks next.
        """
        try:
            facts = json.loads((environment.folder / "environment.json").read_text(encoding="utf-8"))
            if facts["manifest"] == manifest(environment.folder):
                return True
            touched = [Path(entry) for entry in facts["entries"]]
        except (OSError, ValueError, KeyError, TypeError):
            touched = []
        for folder in (environment.folder, *touched):
            gone = folder.with_name(f".gone-{uuid.uuid4().hex[:8]}")
            with suppress(OSError):
                folder.rename(gone)
                shutil.rmtree(gone, ignore_errors=True)
        return False

    def recall(self, key: str, question: str) -> object:
        """What :meth:`remember` was told of ``question``, or ``None``."""
        try:
            return json.loads((self._root / f"{key}.{question}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    def remember(self, key: str, question: str, answer: object) -> None:
        """Keep what was found out about an environment beside it; its content never changes, so neither does that."""
        part = self._root / f".{key}.{uuid.uuid4().hex[:8]}"
        part.write_text(json.dumps(answer), encoding="utf-8")
        part.replace(self._root / f"{key}.{question}.json")


def manifest(folder: Path) -> str:
    """A digest of the names, sizes and times of an environment's files; byte code may come and go."""
    digest = hashlib.sha256()
    pending = [str(folder)]
    while pending:
        with os.scandir(pending.pop()) as items:
            entries = sorted(items, key=lambda item: item.name)
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if entry.name != "__pycache__":
                    pending.append(entry.path)
            elif entry.name != "environment.json":
                status = entry.stat(follow_symlinks=False)
                digest.update(
                    f"{entry.name}\0{status.st_size}\0{status.st_mtime_ns}\n".encode("utf-8", "surrogatepass")
                )
    return digest.hexdigest()


def _rename(part: Path, folder: Path) -> bool:
    try:
        part.rename(folder)
    except OSError:
        return False  # one is there: of a quicker process, which is the same, or an unfinished one
    return True


def _link_tree(source: Path, target: Path, *, skip: Path | None = None) -> None:
    """Hard-link every file below ``source`` to the same place below ``target``.

    Where two distributions hold the same file (namespace packages), the first stays, as with any installer.
    """
    pending = [(str(source), str(target))]
    while pending:
        start, end = pending.pop()
        if not os.path.isdir(start):  # noqa: PTH112 - os.* throughout: this loop links thousands of files a cell
            continue
        os.makedirs(end, exist_ok=True)  # noqa: PTH103 - see above
        with os.scandir(start) as items:
            for item in items:
                place = f"{end}/{item.name}"
                if item.is_dir(follow_symlinks=False):
                    if skip is None or item.path != str(skip):
                        pending.append((item.path, place))
                else:
                    _link(item.path, place)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except FileExistsError:
        return
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)  # a file system without hard links, or too many of them
