"""Digests of folders: equal content gives equal digests."""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path, PurePosixPath

from pytest_py312.runners.agent.probe import FOLLOWED_LINKS_LIMIT, NOT_COPIED, FolderCopy


def tree_digest(
    folder: Path, *, within: Path | None = None, leave_out: Callable[[Path], bool] = lambda file: False
) -> str:
    """Return a digest of the relative path, executable bit and content of every file that a cell sees.

    Files and folders of ``NOT_COPIED`` and nested virtual environments are skipped. Symlinks count by their target
    path, and those that stay in the folder ``within`` also by the content there. A missing folder has the same digest
    as an empty one. If ``folder`` is a file (a wheel that is required by path), its name and content count.

    :param leave_out: whether a regular file does not count.
    """
    return _digest(folder, f"{os.path.realpath(within)}{os.sep}" if within else "", frozenset(), leave_out)


def _digest(
    folder: Path,
    allowed_prefix: str,
    entered: frozenset[str],
    leave_out: Callable[[Path], bool] = lambda file: False,
) -> str:
    digest = hashlib.blake2b(digest_size=20)
    if folder.is_file():
        digest.update(os.fsencode(folder.name) + b"\0" + _content(str(folder)))
    if not folder.is_dir():
        return digest.hexdigest()
    pending = [(str(folder), "")]
    while pending:
        start, inside = pending.pop()
        with os.scandir(start) as items:
            entries = sorted(items, key=lambda item: item.name)
        if any(entry.name == "pyvenv.cfg" for entry in entries) and inside:
            continue
        for entry in entries:
            name = f"{inside}/{entry.name}"
            if entry.name in NOT_COPIED:
                continue
            if entry.is_symlink():
                content = os.fsencode(os.readlink(entry.path))  # noqa: PTH115 - scandir gives strings
                content += _link_content(Path(entry.path), allowed_prefix, entered)
            elif entry.is_dir():
                pending.append((entry.path, name))
                continue
            elif entry.is_file() and not leave_out(Path(entry.path)):
                content = _content(entry.path)
            else:
                continue
            digest.update(os.fsencode(name) + b"\0" + _kind(entry) + str(len(content)).encode() + b"\0" + content)
    return digest.hexdigest()


def _link_content(link: Path, allowed_prefix: str, entered: frozenset[str]) -> bytes:
    """Return the content behind a link that stays below ``allowed_prefix``.

    A folder that contains the link, or was ``entered`` already, is skipped, as it would recurse without end.
    """
    real = os.path.realpath(link)
    if not allowed_prefix or not real.startswith(allowed_prefix):
        return b""
    if Path(real).is_file():
        return b"\0" + _content(real)
    if real in entered or f"{os.path.realpath(link.parent)}{os.sep}".startswith(f"{real}{os.sep}"):
        return b""
    return b"\0" + _digest(Path(real), allowed_prefix, entered | {real}).encode()


def _content(path: str) -> bytes:
    """Return the content of a file. An unreadable file counts by its errno; it is reported when a cell needs it."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        return f"unreadable: {error.errno}".encode()


def _kind(entry: "os.DirEntry[str]") -> bytes:
    if entry.is_symlink():
        return b"link"
    try:
        return b"x" if entry.stat(follow_symlinks=False).st_mode & 0o100 else b"-"
    except OSError:
        return b"?"


def copy_tree(source: Path, target: Path, *, within: Path | None = None) -> None:
    """Copy what :func:`tree_digest` counts.

    Symlinks stay symlinks, but for those that leave ``source`` and stay ``within`` a folder: what they point to is
    copied in their place.
    """
    if source.is_file():
        shutil.copyfile(source, target)
        return
    FolderCopy(str(within or source), [str(source)]).copy(str(source), str(target))


def linked_paths(root: Path, folders: Iterable[PurePosixPath]) -> tuple[PurePosixPath, ...]:
    """Return what symlinks in ``folders`` (relative to ``root``) point to outside of them and inside ``root``.

    Folders that are pointed to are searched for links as well, up to :data:`FOLLOWED_LINKS_LIMIT` paths.
    """
    base = Path(os.path.realpath(root))
    searched = [base / folder for folder in folders]
    linked: dict[Path, None] = {}
    for folder in searched:
        for link in _links(folder):
            real = Path(os.path.realpath(link))
            if (
                len(linked) < FOLLOWED_LINKS_LIMIT
                and real.is_relative_to(base)
                and real.exists()
                and NOT_COPIED.isdisjoint(real.relative_to(base).parts)
                and not any(real.is_relative_to(other) for other in (*searched, *linked))
                and not Path(os.path.realpath(link.parent)).is_relative_to(real)
            ):
                linked[real] = None
                searched += [real] if real.is_dir() else []
    return tuple(PurePosixPath(path.relative_to(base).as_posix()) for path in linked)


def _links(folder: Path) -> Iterator[Path]:
    for start, folders, files in os.walk(folder):
        here = Path(start)
        yield from (here / name for name in (*folders, *files) if name not in NOT_COPIED and (here / name).is_symlink())
        folders[:] = [name for name in folders if name not in NOT_COPIED and not (here / name / "pyvenv.cfg").exists()]


@cache
def code_digest() -> str:
    """Return a digest of this package's own code, so that results of another version are not reused."""
    return _folder_digest(Path(__file__).parents[1])


def module_digest(name: str) -> str:
    """Return a digest of the code of a module, with all of the package that has it; empty if it cannot be found.

    The package is the outermost one that is no namespace, which other distributions have parts of.
    """
    try:
        outermost, *inner = name.split(".")
        spec = find_spec(outermost)
        for part in inner:
            if spec is None or spec.origin is not None or spec.submodule_search_locations is None:
                break
            spec = PathFinder.find_spec(f"{spec.name}.{part}", spec.submodule_search_locations)
        if spec is None:
            return ""
        if spec.submodule_search_locations is not None:
            return "".join(_folder_digest(Path(folder)) for folder in spec.submodule_search_locations)
        return hashlib.blake2b(Path(spec.origin or "").read_bytes(), digest_size=20).hexdigest()
    except (OSError, ValueError):  # it has no file, or was made by a program
        return ""


def _folder_digest(root: Path) -> str:
    digest = hashlib.blake2b(digest_size=20)
    for folder, folders, files in os.walk(root):
        folders.sort()
        for name in sorted(files):
            if name.endswith(".py"):
                path = Path(folder, name)
                content = path.read_bytes()
                header = f"{path.relative_to(root)}\0{len(content)}\0"
                digest.update(header.encode("utf-8", "surrogateescape") + content)
    return digest.hexdigest()
