"""Map paths of an image, or of a working folder, to files of the repository: build contexts and what they copy."""

import json
import posixpath
import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import lru_cache
from itertools import islice

from pytest_py312.core.model.fleet import InstallStep
from pytest_py312.repository.formats.dockerfile import DockerfileText, Instruction
from pytest_py312.repository.tree import Tree, join_path, leaves_root, lies_in, with_outer_folders

WORKSPACE = "/repository"
"""Where the checkout is, for commands of CI and of test runners that ask for it."""
FOLDER_LIMIT = 50
"""Maximum number of folders of an image in which requirements by path are looked for."""
LINUX_FOLDERS = frozenset(
    {
        "/", "/etc", "/home", "/mnt", "/opt", "/root", "/run", "/srv", "/tmp", "/usr", "/usr/bin", "/usr/lib",
        "/usr/local", "/usr/local/bin", "/usr/local/lib", "/usr/share", "/usr/src", "/var", "/var/lib", "/var/tmp",
    }
)  # fmt: skip
"""Folders that every image has: a file that is copied there keeps its name."""
PATTERN_LIMIT = 200
"""Folders that a pattern such as ``services/*/tests`` is looked for in."""
_WILDCARD = re.compile(r"[*?\[]")
MOUNT_LIMIT = 2_000
"""Maximum number of files and folders that are tracked in one image."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mount:
    """``destination`` (absolute) has the content of ``source`` (relative to the root), or what a command generates.

    ``appends``: the command adds to what an earlier one has generated there.
    """

    destination: str
    source: str = ""
    generated: InstallStep | None = None
    appends: bool = False


@dataclass(slots=True)
class FileMap:
    """The files of an image that come from the repository. Later mounts hide earlier ones."""

    tree: Tree
    mounts: list[Mount] = field(default_factory=list)

    def copy(self) -> "FileMap":
        return FileMap(self.tree, list(self.mounts))

    def add(self, destination: str, source: str) -> None:
        """Record that ``source`` of the repository lies at ``destination``."""
        self._add(Mount(destination=_absolute(destination, "/"), source=source))

    def add_generated(self, destination: str, step: InstallStep, *, appends: bool = False) -> None:
        """Record that ``step`` generates the file or folder ``destination``, or adds to it."""
        self._add(Mount(destination=_absolute(destination, "/"), generated=step, appends=appends))

    def _add(self, mount: Mount) -> None:
        if len(self.mounts) < MOUNT_LIMIT:
            self.mounts.append(mount)

    def find(self, path: str) -> str | None:
        """Return the file or folder of the repository at an absolute ``path``."""
        for mount in reversed(self.mounts):
            inner = _inside(path, mount.destination)
            if inner is None:
                continue
            if mount.generated is not None:
                if inner == ".":
                    return None
                continue  # what lies beside generated files in their folder is still there
            source = join_path(mount.source, inner)
            if not leaves_root(source) and self.tree.exists(source):
                return source
        return None

    def folders(self) -> tuple[tuple[str, str], ...]:
        """Return the absolute paths at which folders of the repository lie, with these folders; the last ones first."""
        paths = dict.fromkeys(mount.destination for mount in reversed(self.mounts) if mount.destination != WORKSPACE)
        found = ((path, self.find(path)) for path in islice(paths, FOLDER_LIMIT))
        return tuple((path, folder) for path, folder in found if folder is not None and self.tree.is_folder(folder))

    def find_generated(self, path: str) -> tuple[InstallStep, ...]:
        """Return the commands that generate the file at ``path``, or write to the same folder around it."""
        steps: list[InstallStep] = []
        destination = ""
        for mount in reversed(self.mounts):
            if _inside(path, mount.destination) is not None:
                if mount.generated is not None and destination in ("", mount.destination):
                    steps.append(mount.generated)
                    destination = mount.destination
                    if path == destination and _has_suffix(path) and "*" not in path and not mount.appends:
                        break  # a file is overwritten, a folder is filled
                elif mount.generated is None and self.find(path) is not None:
                    break
        return tuple(reversed(steps))

    def copy_from(self, other: "FileMap", path: str, destination: str, *, into_folder: bool) -> None:
        """Copy the file or folder at ``path`` of another image to ``destination``."""
        target = posixpath.join(destination, posixpath.basename(path)) if into_folder else destination
        found = other.find(path)
        if found is not None:
            is_folder = self.tree.is_folder(found)
            self.add(destination if is_folder else target, found)
        for mount in list(other.mounts):
            inner = _inside(mount.destination, path)
            if inner is not None and inner != ".":
                self._add(replace(mount, destination=_absolute(inner, destination)))
        for step in other.find_generated(path):
            self.add_generated(target if _has_suffix(path) else destination, step)

    def expand(self, pattern: str) -> list[str]:
        """Return the absolute paths that a pattern fits, ``/svc/*/tests``; the pattern itself if none does."""
        if not _WILDCARD.search(pattern):
            return [pattern]
        folder, name = posixpath.split(pattern)
        paths: list[str] = []
        for place in self.expand(folder)[:PATTERN_LIMIT]:
            found = self.find(place)
            if found is None or not self.tree.is_folder(found):
                continue
            listing = self.tree.list_folder(found)
            names = sorted(entry for entry in (*listing.files, *listing.folders) if fnmatchcase(entry, name))
            paths += [posixpath.join(place, entry) for entry in names]
        return paths or [pattern]


def resolve_path(path: str, folder: str) -> str:
    """Return the absolute path of ``path`` in ``folder``."""
    if path == "~" or path.startswith("~/"):
        path = f"/root{path[1:]}"
    return _absolute(path, folder)


def is_related(first: str, others: Iterable[str]) -> bool:
    """Whether ``first`` contains one of ``others``, or is in it."""
    return any(_inside(first, other) is not None or _inside(other, first) is not None for other in others)


def _absolute(path: str, folder: str) -> str:
    joined = posixpath.normpath(posixpath.join("/", folder, path))
    return f"/{joined.lstrip('/')}"


def _inside(path: str, folder: str) -> str | None:
    """Return ``path`` relative to ``folder``; ``None`` if it is not in it."""
    if path == folder:
        return "."
    prefix = folder.rstrip("/") + "/"
    return path.removeprefix(prefix) if path.startswith(prefix) else None


def _has_suffix(path: str) -> bool:
    return "." in posixpath.basename(path)


def find_build_context(tree: Tree, service_path: str, dockerfile: DockerfileText) -> str:
    """Return the folder with most of what the Dockerfile copies: the service's, the Dockerfile's, or one around it."""
    candidates = build_contexts(service_path, dockerfile.path)
    sources = copied_sources(dockerfile)
    return max(candidates, key=lambda folder: sum(_exists_in_context(tree, folder, source) for source in sources))


def build_contexts(service_path: str, dockerfile: str) -> tuple[str, ...]:
    """Return the folders in which an image may be built, the most likely first.

    A Dockerfile in a folder around the service is that folder's own, if it fits there: ``COPY . .`` fits everywhere.
    """
    around = tuple(with_outer_folders(dockerfile.rpartition("/")[0] or "."))
    is_own = lies_in(dockerfile, service_path) or service_path == "."
    return tuple(dict.fromkeys((service_path, *around) if is_own else (*around, service_path)))


def copied_sources(dockerfile: DockerfileText) -> list[str]:
    """Return what the stages of a Dockerfile take from the build context, as far as it is literal."""
    return [source for instruction in dockerfile.instructions for source in sources_of_copy(instruction)]


def context_path(source: str) -> str:
    """Return the source of a COPY relative to its build context, which it cannot leave: ``../a`` is ``a``.

    https://docs.docker.com/reference/dockerfile/#copy
    """
    return resolve_path(source, "/").lstrip("/") or "."


def sources_of_copy(instruction: Instruction) -> Iterator[str]:
    """Yield what a COPY or ADD takes from the build context."""
    if instruction.keyword not in ("COPY", "ADD") or "<<" in instruction.arguments or "--from" in instruction.arguments:
        return
    words = [word for word in instruction_words(instruction.arguments) if not word.startswith("--")]
    for word in words[:-1]:
        if "$" not in word and "://" not in word and not word.startswith("git@"):
            yield context_path(word)


@lru_cache(maxsize=256)
def instruction_words(arguments: str) -> tuple[str, ...]:
    """Split the arguments of a Dockerfile instruction, in JSON or shell form. Cached, as ``COPY . .`` is everywhere."""
    try:
        if arguments.lstrip().startswith("["):
            parsed = json.loads(arguments)
            return tuple(map(str, parsed)) if isinstance(parsed, list) else ()
        return tuple(shlex.split(arguments))
    except (ValueError, RecursionError):
        return tuple(arguments.split())


def instruction_lines(text: str, instruction: Instruction) -> str:
    """Return an instruction as shell text of as many lines, with its here-documents."""
    head, body = text[instruction.start : instruction.end], text[instruction.end : instruction.body_end]
    lines = re.split(r"\r\n|\r|\n", head)
    for number, line in enumerate(lines):
        is_last = number == len(lines) - 1
        if number and (line.lstrip().startswith("#") or not line.strip()) and not is_last:
            lines[number] = "\\"  # comments and empty lines do not end a continued instruction
        elif instruction.escape != "\\" and line.rstrip().endswith(instruction.escape):
            lines[number] = line.rstrip()[: -len(instruction.escape)] + "\\"
        else:
            lines[number] = line.rstrip() if line.rstrip().endswith("\\") else line
    return "\n".join(lines) + body.replace("\r\n", "\n")


def _exists_in_context(tree: Tree, folder: str, source: str) -> bool:
    fixed = re.split(r"[*?\[]", source, maxsplit=1)[0]
    path = join_path(folder, (fixed if fixed == source else fixed.rpartition("/")[0]) or ".")
    return not leaves_root(path) and tree.exists(path)
