"""The files outside of all services that may say a Python version, and what is in them in one digest."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence

from pytest_py312.model import Service
from pytest_py312.patterns import matches
from pytest_py312.readers.version_names import is_jenkinsfile, is_yaml, may_say_versions
from pytest_py312.tree import Tree, join

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
