"""Build the environment of a cell: a venv of hard links to the distribution store, one per content.

    <cache>/envs/<key>/
        bin/python, pyvenv.cfg, lib/pythonX.Y/site-packages/...
        environment.json    its content, written last: without it the folder is not an environment

It is built in a temporary folder and renamed, so an interrupted build leaves nothing that looks complete.
"""

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_py312.core.files import discard_folder
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.dependencies.store.stored_distribution import StoredDistribution
from pytest_py312.runners.runner import Runner

SITE_HOOK = (
    "import os, sys; sys.path.extend("
    "item for item in os.environ.get('PY312_PATH', '').split(os.pathsep) if item and item not in sys.path)\n"
)
"""A line of a .pth file: puts a service that is not built on the path after site-packages, as an editable installation
would, in every interpreter that its suite starts. https://docs.python.org/3/library/site.html"""

LAYOUT_VERSION = "3"
"""Part of each key. Raise it when environments are built in another way."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Environment:
    """An installed environment.

    ``versions`` maps normalised project names to versions, ``modules`` maps them to their top-level modules.
    """

    key: str
    folder: Path
    versions: Mapping[str, str]
    modules: Mapping[str, tuple[str, ...]]


class EnvironmentStore:
    """Builder of environments, and cache of the results of what was run in them."""

    def __init__(self, *, cache: Path, runner: Runner) -> None:
        self._root = cache / "envs"
        self._runner = runner
        self._verified: set[str] = set()

    def key_for(self, lines: Sequence[str], build: InterpreterBuild) -> str:
        """Return the key of the environment that holds ``lines`` (of pins) on ``build``."""
        content = json.dumps([LAYOUT_VERSION, self._runner.name, build.digest, build.executable, sorted(lines)])
        return hashlib.sha256(content.encode()).hexdigest()[:32]

    def get(self, key: str) -> Environment | None:
        """Return a complete environment; ``None`` if there is none, or one that has changed since it was built.

        It is compared once per run: with its own manifest, and with the stored distributions that it shares files with.
        """
        folder = self._root / key
        try:
            facts = json.loads((folder / "environment.json").read_text(encoding="utf-8"))
            if key not in self._verified and (
                facts["manifest"] != content_digest(folder) or facts["entries"] != _states(facts["entries"])
            ):
                discard_folder(folder)
                return None
            self._verified.add(key)
            modules = {name: tuple(names) for name, names in facts["modules"].items()}
            os.utime(folder / "environment.json")  # records the last use, for `py312 cache prune`
            return Environment(key=key, folder=folder, versions=facts["versions"], modules=modules)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def create(self, key: str, distributions: Sequence[StoredDistribution], build: InterpreterBuild) -> Environment:
        """Build an environment, or return the existing one."""
        existing = self.get(key)
        if existing is not None:
            return existing
        folder = self._root / key
        staging = self._root / f".{key}.{uuid.uuid4().hex[:8]}"
        try:
            self._create_skeleton(staging, folder, build)
            site = staging / "lib" / f"python{build.interpreter}" / "site-packages"
            for distribution in distributions:
                _link_tree(distribution.folder / "lib", site)
                self._link_data(distribution, staging, folder)
            facts = {
                "manifest": content_digest(staging),
                "entries": _states([str(distribution.folder) for distribution in distributions]),
                "versions": {distribution.name: distribution.version for distribution in distributions},
                "modules": {distribution.name: list(distribution.modules) for distribution in distributions},
            }
            (staging / "environment.json").write_text(json.dumps(facts), encoding="utf-8")
            if not _rename(staging, folder) and self.get(key) is None:
                shutil.rmtree(folder, ignore_errors=True)  # an incomplete one, without environment.json
                _rename(staging, folder)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        created = self.get(key)
        if created is None:
            raise OSError(f"the environment {folder} could not be moved to its place")
        return created

    def _create_skeleton(self, staging: Path, folder: Path, build: InterpreterBuild) -> None:
        programs = staging / "bin"
        site = staging / "lib" / f"python{build.interpreter}" / "site-packages"
        programs.mkdir(parents=True)
        site.mkdir(parents=True)
        (programs / "python").symlink_to(build.executable)
        for name in ("python3", f"python{build.interpreter}"):
            (programs / name).symlink_to("python")
        home = str(Path(build.executable).parent)
        (staging / "pyvenv.cfg").write_text(
            f"home = {home}\nimplementation = CPython\nversion_info = {build.version}\n"
            "include-system-site-packages = false\n",
            encoding="utf-8",
        )
        (site / "py312.pth").write_text(SITE_HOOK, encoding="utf-8")

    def _link_data(self, distribution: StoredDistribution, staging: Path, folder: Path) -> None:
        """Link the files outside of site-packages; scripts are copied, as their first line names the environment."""
        data = distribution.folder / "data"
        if not data.is_dir():
            return
        prefix = json.loads((distribution.folder / "entry.json").read_text(encoding="utf-8"))["prefix"].encode()
        _link_tree(data, staging, skip=data / "bin")
        for script in sorted((data / "bin").iterdir()) if (data / "bin").is_dir() else ():
            if script.is_file():
                content = script.read_bytes()
                target = staging / "bin" / script.name
                if content.startswith(b"#!"):
                    content = content.replace(prefix, self._runner.path_inside(folder).encode(), 2)
                target.unlink(missing_ok=True)
                target.write_bytes(content)
                target.chmod(0o755)

    def is_intact(self, environment: Environment) -> bool:
        """Return whether an environment is unchanged. One that a suite has written to is removed.

        Its files are hard links to the store, so a write reaches every environment with the same distribution.
        Therefore its stored distributions are removed as well, and are installed again when they are needed.
        """
        try:
            facts = json.loads((environment.folder / "environment.json").read_text(encoding="utf-8"))
            if facts["manifest"] == content_digest(environment.folder):
                return True
            store_folders = [Path(store_folder) for store_folder in facts["entries"]]
        except (OSError, ValueError, KeyError, TypeError):
            store_folders = []
        for folder in (environment.folder, *store_folders):
            discard_folder(folder)
        return False

    def cached_result(self, key: str, name: str) -> object:
        """Return the value that :meth:`store_result` was given for ``name``, or ``None``."""
        try:
            return json.loads((self._root / f"{key}.{name}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    def store_result(self, key: str, name: str, result: object) -> None:
        """Store a result next to an environment. It stays valid, because the content of an environment is fixed."""
        part = self._root / f".{key}.{uuid.uuid4().hex[:8]}"
        part.write_text(json.dumps(result), encoding="utf-8")
        part.replace(self._root / f"{key}.{name}.json")


def _states(store_folders: Iterable[str]) -> dict[str, str]:
    """Return the state of each stored distribution, which is another one once it is installed again."""
    return {
        folder: str(json.loads((Path(folder) / "entry.json").read_text(encoding="utf-8")).get("installed_state", ""))
        for folder in store_folders
    }


def content_digest(folder: Path) -> str:
    """Return a digest of the names, sizes and times of an environment's files, without byte code."""
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


def _rename(staging: Path, folder: Path) -> bool:
    try:
        staging.rename(folder)
    except OSError:
        return False  # another process was faster, or an incomplete one exists
    return True


def _link_tree(source: Path, target: Path, *, skip: Path | None = None) -> None:
    """Hard-link every file below ``source`` to the same relative path below ``target``.

    If two distributions have the same file (namespace packages), the first one is kept.
    """
    pending = [(str(source), str(target))]
    while pending:
        source_folder, target_folder = pending.pop()
        if not os.path.isdir(source_folder):  # noqa: PTH112 - os.* throughout: this loop links thousands of files a cell
            continue
        os.makedirs(target_folder, exist_ok=True)  # noqa: PTH103 - see above
        with os.scandir(source_folder) as items:
            for item in items:
                target_path = f"{target_folder}/{item.name}"
                if item.is_dir(follow_symlinks=False):
                    if skip is None or item.path != str(skip):
                        pending.append((item.path, target_path))
                else:
                    _link(item.path, target_path)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except FileExistsError:
        return
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)  # a file system without hard links, or too many of them
