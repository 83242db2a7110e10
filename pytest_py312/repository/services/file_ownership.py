"""Whose a file is that lies outside of all services: told by its path, and by the services that its parts name.

A workflow at the root has jobs for one service each, a compose file an entry for each: so every part of a file is asked
by itself, and a part that names no service goes by what the rest of the file names. Pure text, and never raises.

The files outside of all services that may say a Python version, and what is in them in one digest.
"""

import hashlib
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from pytest_py312.core.model.fleet import Service
from pytest_py312.core.service_patterns import matches
from pytest_py312.repository.declarations.reader import is_dockerfile, is_jenkinsfile, is_yaml, may_say_versions
from pytest_py312.repository.tree import Tree, join

Names = frozenset[str]
"""Names of services."""

_TOKEN = re.compile(r"[^\s\"'`,;()<>|=:\[\]]+")
_WORD = re.compile(r"[\w.-]+", re.ASCII)
_MANY_WORDS = re.compile(r"[a-z0-9][-_.0-9]", re.IGNORECASE | re.ASCII)
"""Names of one common word (``user``) stand for so much else that they count only where a service is meant."""
_TELLING_KEY = re.compile(
    r"(?:^|[\s{,-])(?:working[-_]directory|context|build|directory|path|folder|service|component|app|project|module)s?"
    r"[\"']?\s*[:=]\s*[\"']?(?:\./)?([\w.-]+)",
    re.IGNORECASE,
)
_LIST_ITEM = re.compile(
    r"(?m)^[ \t]*-[ \t]+[\"']?([\w.-]+)[\"']?[ \t]*(?:#.*)?$|[\[,][ \t]*[\"']?([\w.-]+)[\"']?(?=[ \t]*[,\]])"
)
_USES = re.compile(r"(?m)\b(?:uses|local|template):[ \t]*[\"']?\.?/([^\s\"'@,{}\]]+)")
_KEY = re.compile(
    r"(?m)^(?P<indent>[ ]{0,40})(?P<dash>-[ ]{1,8})?[\"']?(?P<key>[\w./-][\w. /-]{0,100}?)[\"']?[ ]{0,8}:(?=[ \r\n]|\Z)"
)
_DOCUMENT = re.compile(r"(?m)^---(?:[ \t].*)?$")
_HOLDERS = frozenset({"jobs", "services"})
_NO_JOBS = frozenset({"default", "variables", "include", "stages", "workflow", "image", "services", "cache", "pages"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Index:
    """How services may be named: by their path, by their name, or by their folder's where no other has the same."""

    paths: Mapping[str, str]
    names: Mapping[str, str]
    below: Mapping[str, Names]
    """Folder to the services beneath it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """The characters from ``start`` to before ``end``, and the services that they name."""

    start: int
    end: int
    names: Names
    uses: frozenset[str] = frozenset()
    """Files of the repository that it hands its work to."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Named:
    """The services that a file names: its parts, what stands around these (with its path), and all together."""

    parts: tuple[Part, ...]
    around: Part

    @property
    def all(self) -> Names:
        return self.around.names.union(*(part.names for part in self.parts))

    def at(self, start: int) -> Names:
        """The services that what stands at ``start`` is for; none: it names none, and nor does what is around it."""
        for part in self.parts:
            if part.start <= start < part.end:
                return part.names or self.around.names
        return self.all


def index_of(services: Iterable[Service]) -> Index:
    """How the ``services`` of a fleet may be named."""
    paths: dict[str, str] = {}
    folders: dict[str, list[str]] = {}
    below: dict[str, set[str]] = {}
    names: dict[str, str] = {}
    for service in services:
        paths[service.path] = service.name
        names[service.name.lower()] = service.name
        folders.setdefault(service.path.rpartition("/")[2].lower(), []).append(service.name)
        above = service.path.rpartition("/")[0]
        while above:
            below.setdefault(above, set()).add(service.name)
            above = above.rpartition("/")[0]
    for folder, owners in folders.items():
        if len(owners) == 1:
            names.setdefault(folder, owners[0])
    return Index(paths=paths, names=names, below={folder: frozenset(found) for folder, found in below.items()})


def named_in(text: str, path: str, index: Index) -> Named:
    """The services that the file at ``path`` names.

    Metadata, pins and settings of tools at the root are for all, whatever words are in their lists.
    """
    name = path.rpartition("/")[2]
    if not (is_yaml(name) or is_dockerfile(name) or is_jenkinsfile(name)):
        whole = Part(start=0, end=len(text), names=_of_path(path, index))
        return Named(parts=(), around=whole)
    spans = list(_parts(text, path)) if path.endswith((".yml", ".yaml")) else []
    parts = [
        _part(text[start:end], start, end, index, _by_word(key, index) if key else frozenset())
        for start, end, key in spans
    ]
    rest: list[str] = []
    last = 0
    for start, end, _ in spans:
        rest.append(text[last:start])
        last = end
    rest.append(text[last:])
    around = _part("".join(rest), 0, len(text), index, _of_path(path, index))
    return Named(parts=tuple(parts), around=around)


def _part(text: str, start: int, end: int, index: Index, more: Names) -> Part:
    uses = frozenset(posixpath.normpath(match[1]) for match in _USES.finditer(text))
    paths = {token for token in _TOKEN.findall(text) if "/" in token}
    plain = more.union(_words(text, index), *(_in_path(path, index) for path in paths))
    # services/${{ matrix.service }}: those that are listed or, where none is, all that it may be
    names = plain or frozenset().union(*(_by_glob(path, index) for path in paths))
    return Part(start=start, end=end, names=names, uses=uses)


def _words(text: str, index: Index) -> Iterator[str]:
    for word in set(_WORD.findall(text)):
        if _MANY_WORDS.search(word):
            yield from _by_word(word, index)
    for found in {*_TELLING_KEY.findall(text), *(one or two for one, two in _LIST_ITEM.findall(text))}:
        yield from _by_word(found, index)


def _by_word(word: str, index: Index) -> Names:
    name = index.names.get(word.lower())
    return frozenset((name,)) if name else frozenset()


def _of_path(path: str, index: Index) -> Names:
    """``k8s/user-service.yaml`` and ``docker/user-service.Dockerfile`` are of ``user-service``."""
    words = {word for step in path.split("/") for word in (step, *step.split("."), step.rpartition(".")[0])}
    return frozenset().union(*(_by_word(word, index) for word in words if word))


def _in_path(path: str, index: Index) -> Iterator[str]:
    steps = _steps(path)
    for first in range(len(steps)):
        for last in range(len(steps), first, -1):
            folder = "/".join(steps[first:last])
            # a single word is a service's folder only where the path begins: v1/api is no api
            if folder in index.paths and (first == 0 or last - first > 1):
                yield index.paths[folder]
                return


def _by_glob(path: str, index: Index) -> Names:
    steps = _steps(path)
    for last in range(1, len(steps)):
        if steps[last].startswith(("*", "$", "{")):
            return index.below.get("/".join(steps[:last]), frozenset())
    return frozenset()


def _steps(path: str) -> list[str]:
    return [step for step in path.split("/") if step not in ("", ".")][:20]


# ---- the parts of a YAML file


def _parts(text: str, path: str) -> Iterator[tuple[int, int, str]]:
    """(start, end, key) of each job, of each service of a compose file, of each document where there are several."""
    documents = [match.start() for match in _DOCUMENT.finditer(text)]
    if len(documents) > 1 or (documents and text[: documents[0]].strip()):
        bounds = [0, *(position for position in documents if position), len(text)]
        yield from ((start, end, "") for start, end in pairwise(bounds))
        return
    keys = list(_KEY.finditer(text))
    top = [match for match in keys if not match["indent"] and not match["dash"]]
    gitlab = "gitlab" in path.rpartition("/")[2] or "/.gitlab/" in f"/{path}"
    for number, match in enumerate(top):
        end = top[number + 1].start() if number + 1 < len(top) else len(text)
        if gitlab and match["key"] not in _NO_JOBS:
            yield match.start(), end, match["key"]
        elif match["key"] in _HOLDERS and not gitlab:
            yield from _children([key for key in keys if match.end() <= key.start() < end], end)


def _children(keys: list[re.Match[str]], end: int) -> Iterator[tuple[int, int, str]]:
    if not keys:
        return
    indent = len(keys[0]["indent"])
    own = [key for key in keys if len(key["indent"]) == indent and bool(key["dash"]) == bool(keys[0]["dash"])]
    for number, key in enumerate(own):
        yield key.start(), own[number + 1].start() if number + 1 < len(own) else end, "" if key["dash"] else key["key"]


OUTSIDE_DEPTH = 5
OUTSIDE_LIMIT = 5_000
"""Files outside of all services that are read."""

NOT_ITS_OWN = frozenset(
    {
        "vendor", "vendored", "_vendor", "third_party", "third-party", "fixtures", "testdata", "test_data", "test-data",
        "snapshots", "__snapshots__", "cassettes", "golden",
    }
)  # fmt: skip
"""Folders with files of others, and with files that only tests read."""
OF_TESTS = frozenset({"assets", "cases", "data", "examples", "files", "projects", "resources", "samples", "snippets"})
"""Folders with files that only tests read, where they lie beneath a folder of tests."""


def outside_files(tree: Tree, services: Mapping[str, Service], exclude: Sequence[str]) -> Iterator[str]:
    """Paths of such files. ``services`` are all, by their paths; ``exclude`` are patterns of folders that are nobody's.

    Where the root is a service, they are that one's; but what may speak of others has to be asked whether it does.
    """
    alone = "." in services and len(services) == 1
    says = may_speak_of_many if "." in services else may_say_versions
    pending = [] if alone else [(".", 0)]
    while pending:
        folder, depth = pending.pop()
        listing = tree.listing(folder)
        yield from (path for name in listing.files if says(path := join(folder, name)))
        if depth < OUTSIDE_DEPTH:
            inner = [join(folder, name) for name in reversed(listing.folders) if name not in NOT_ITS_OWN]
            pending += [(path, depth + 1) for path in inner if not _is_someones(path, services, exclude)]


def may_speak_of_many(path: str) -> bool:
    """Whether a file may have parts for several services: workflows, compose files, manifests, pipelines."""
    name = path.rpartition("/")[2]
    return (is_yaml(name) or is_jenkinsfile(name)) and may_say_versions(path)


def _is_someones(path: str, services: Mapping[str, Service], exclude: Sequence[str]) -> bool:
    name = path.rpartition("/")[2]
    return path in services or any(matches(pattern, name, path) for pattern in exclude)


def outside_digest(tree: Tree, services: Sequence[Service], exclude: Sequence[str]) -> str:
    """The same while these files, and whom they may name, are the same."""
    digest = hashlib.blake2b(digest_size=20)
    for service in services:
        digest.update(f"{service.name}\0{service.path}\0".encode("utf-8", "surrogatepass"))
    for number, path in enumerate(outside_files(tree, {service.path: service for service in services}, exclude)):
        text = (tree.text(path) if number < OUTSIDE_LIMIT else None) or ""
        digest.update(f"{path}\0{len(text)}\0{text}".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
