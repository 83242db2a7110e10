"""An installed distribution in the store, its byte code, and the file that describes it: ``entry.json``."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from pytest_py312.core.files import write_json_atomically
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.dependencies.system.file_manifests import content_digest_of, state_digest
from pytest_py312.runners.runner import Runner

ENTRY = "entry.json"
OF_REPOSITORY = "tree-"
"""Begins the names of the folders of what was built from the repository under test."""
NON_MODULE_FOLDERS = frozenset(
    ("tests", "test", "testing", "docs", "doc", "examples", "example", "benchmarks", "scripts")
)
"""Top-level folders that distributions install by mistake; they are not modules to import."""
CATALOGUE_SIZE = 64
"""A folder with more modules is a catalogue (lexers, locales), of which a program imports only a few."""

COMPILE_SCRIPT = """
import compileall, importlib.util, marshal, os, sys
root, catalogue_size, left_out = sys.argv[1], int(sys.argv[2]), sys.argv[3].split(",")
for folder, folders, files in os.walk(root):
    folders[:] = [name for name in folders if name not in ("__pycache__", "tests", *left_out)]
    modules = [name for name in files if name.endswith(".py")]
    if len(modules) > catalogue_size:
        modules = [name for name in modules if name.startswith("_")]
    for name in modules:
        path = os.path.join(folder, name)
        compileall.compile_file(path, quiet=2)
        compiled = importlib.util.cache_from_source(path)
        try:
            if os.path.getsize(compiled) % 512 == 0:
                with open(compiled, "rb") as stream:
                    marshal.loads(stream.read()[16:])
        except OSError:
            continue
        except (EOFError, TypeError, ValueError):
            os.remove(compiled)
"""
"""Compiles the modules that a cell is likely to import. uv's ``--compile-bytecode`` compiles everything, which takes a
third of a cold run: mostly in catalogues, in tests, and in a setuptools that is not required. A module that is left out
is compiled once per environment, when it is imported.

Until 3.12.8 and 3.13.1 a full disk leaves a file that was cut off at a block of the disk, and each import of it fails
(https://github.com/python/cpython/issues/126606). Such a file is removed here."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredDistribution:
    """An installed distribution in the store.

    ``modules`` are its importable top-level modules; ``requires_python`` and ``requires`` come from its metadata.
    """

    name: str
    version: str
    folder: Path
    modules: tuple[str, ...] = ()
    requires_python: str = ""
    requires: tuple[str, ...] = ()
    from_source: bool = False

    @property
    def is_of_repository(self) -> bool:
        """Whether it was built from a folder or file of the repository under test."""
        return self.folder.name.startswith(OF_REPOSITORY)


def installed_state(folder: Path) -> str:
    """Return a digest of what the file system says of the installed files; what others keep beside them is none."""
    return " ".join(state_digest(part) for part in _installed_folders(folder))


def installed_content(folder: Path) -> str:
    """Return a digest of the content of the installed files."""
    return " ".join(content_digest_of(part) for part in _installed_folders(folder))


def _installed_folders(folder: Path) -> list[Path]:
    return [folder / name for name in ("lib", "data") if (folder / name).is_dir()]


def is_unchanged(folder: Path) -> bool:
    """Return whether the files of an entry are those that were installed.

    Times and inodes are new where a cache was copied or restored; then the content decides.
    """
    try:
        facts = json.loads((folder / ENTRY).read_text(encoding="utf-8"))
        state = installed_state(folder)
        if state == facts["installed_state"]:
            return True
        if installed_content(folder) != facts["installed_content"]:
            return False
        write_json_atomically(folder / ENTRY, {**facts, "installed_state": state})
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return True


def load_distribution(folder: Path) -> StoredDistribution | None:
    try:
        facts = dict(json.loads((folder / ENTRY).read_text(encoding="utf-8")))
        for key in ("prefix", "installed_state", "installed_content"):
            facts.pop(key)
        lists = {key: tuple(facts[key]) for key in ("modules", "requires")}
        return StoredDistribution(**{**facts, **lists, "folder": folder})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def top_level_modules(lib: Path) -> tuple[str, ...]:
    """Return the importable top-level modules below ``lib``, without private ones and :data:`NON_MODULE_FOLDERS`."""
    module_names = set()
    for item in lib.iterdir() if lib.is_dir() else ():
        name = item.name.split(".")[0]
        if item.is_dir() and not item.name.endswith((".dist-info", ".data")) and item.name != "__pycache__":
            if item.name.isidentifier() and _holds_code(item):
                module_names.add(item.name)
        elif item.suffix in (".py", ".so", ".pyd") and name.isidentifier():
            module_names.add(name)
    return tuple(sorted(name for name in module_names if not name.startswith("_") and name not in NON_MODULE_FOLDERS))


def _holds_code(folder: Path) -> bool:
    """Return whether ``folder`` is a package or contains modules, rather than only data or stubs."""
    if (folder / "__init__.py").is_file():
        return True
    return next(folder.glob("*.py"), None) is not None or next(folder.glob("*.so"), None) is not None


def compile_modules(library: Path, left_out: Collection[str], build: InterpreterBuild, runner: Runner) -> None:
    """Compile the modules below ``library``, except for the projects ``left_out``.

    Failures do not matter: imports compile as well.
    """
    argv = ["{python}", "-I", "-c", COMPILE_SCRIPT, runner.path_inside(library), str(CATALOGUE_SIZE)]
    runner.run_tool(build, [*argv, ",".join(sorted(left_out))], time_limit=600)
