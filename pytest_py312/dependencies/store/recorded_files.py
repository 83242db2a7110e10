"""Take an environment apart into its distributions by their RECORD files; add what editable ones have beside these."""

import base64
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from csv import reader as csv_reader
from itertools import product
from pathlib import Path

from pytest_py312.runners.agent.probe import NOT_COPIED


def read_record(info: Path) -> dict[str, str]:
    """Return the files that RECORD lists, with their hashes (``sha256=...``, or empty)."""
    with (info / "RECORD").open(encoding="utf-8", newline="") as file:
        return {row[0]: row[1] if len(row) > 1 else "" for row in csv_reader(file) if row}


def is_overwritten(record: Mapping[str, str], shared: frozenset[str], site: Path) -> bool:
    """Return whether a file that several distributions have at the same path has the content of another one."""
    for name in shared & record.keys():
        algorithm, _, expected = record[name].partition("=")
        if algorithm != "sha256":
            continue
        try:
            digest = hashlib.sha256((site / name).read_bytes()).digest()
        except OSError:
            return True
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != expected:
            return True
    return False


def move_recorded(
    names: Iterable[str], site: Path, environment: Path, staging: Path, *, shared: frozenset[str] = frozenset()
) -> None:
    """Move the files that RECORD lists, and their byte code, from an environment into ``staging``.

    Files at ``shared`` paths belong to other distributions as well, so they are linked and stay.
    """
    shutil.rmtree(staging, ignore_errors=True)
    for name in names:
        source = (site / name).absolute()
        real = Path(os.path.normpath(source))  # without following links, as resolve() would
        if real.is_relative_to(site):
            target = staging / "lib" / real.relative_to(site)
        elif real.is_relative_to(environment):
            target = staging / "data" / real.relative_to(environment)
        else:
            continue  # never move a file outside of the environment, whatever RECORD lists
        transfer = link_or_copy if name in shared else Path.rename
        _transfer(real, target, transfer)
        if real.suffix == ".py":
            for compiled in (real.parent / "__pycache__").glob(f"{real.stem}.cpython-*.pyc"):
                _transfer(compiled, target.parent / "__pycache__" / compiled.name, transfer)
    (staging / "lib").mkdir(parents=True, exist_ok=True)


def add_unpackaged(lib: Path, project: Path) -> None:
    """Add the files beside the modules of a project that its wheel lacks to the packages in ``lib``.

    An editable installation imports the packages from the project's folder or its ``src``, with all that is there.
    """
    for folder, package in product((project, project / "src"), [item for item in lib.iterdir() if item.is_dir()]):
        for start, folders, files in os.walk(folder / package.name):
            folders[:] = [name for name in folders if name not in NOT_COPIED]
            target = package / Path(start).relative_to(folder / package.name)
            for source in (Path(start, name) for name in files):
                if not source.is_symlink():
                    _transfer(source, target / source.name, shutil.copy2)


def _transfer(source: Path, target: Path, transfer: Callable[[Path, Path], object]) -> None:
    if source.is_file() and not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        transfer(source, target)


def link_or_copy(source: str | Path, target: str | Path) -> None:
    try:
        Path(target).hardlink_to(source)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)
