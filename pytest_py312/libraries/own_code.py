"""The service's own files as far as imports go: what they import from outside, and which of them are run. Pure."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from pytest_py312.libraries.conditions import how_run
from pytest_py312.libraries.digest import How, Part
from pytest_py312.libraries.files import part_of
from pytest_py312.libraries.graph import Root
from pytest_py312.libraries.surroundings import TOP, Surroundings, surroundings_of
from pytest_py312.source.facts import FileFacts, ModuleImport
from pytest_py312.source.linking import Modules
from pytest_py312.source.stdlib import is_standard

BESIDE_THE_CODE = frozenset(
    {"alembic", "bench", "benchmark", "benchmarks", "ci", "demo", "demos", "deploy", "deployment", "dev", "doc", "docs",
     "example", "examples", "hack", "k8s", "migrations", "notebooks", "sample", "samples", "script", "scripts", "tool",
     "tools", "utils_dev"}
)  # fmt: skip
"""Folders of programs that do not run where the service does."""
TOOL_FILES = frozenset({"conftest.py", "fabfile.py", "locustfile.py", "noxfile.py", "setup.py", "tasks.py"})
STARTS = frozenset({"__main__.py", "app.py", "asgi.py", "main.py", "manage.py", "run.py", "server.py", "wsgi.py"})
"""Files by which a service is started."""


def is_test(path: str) -> bool:
    """Whether a file of a service is part of its tests."""
    return part_of(path) == Part.TESTS or path.rpartition("/")[2] == "conftest.py"


def is_run_time(path: str, service: str) -> bool:
    """Whether a file is code that runs where the service does, by its name and its folders."""
    inner = path if service == "." else path.removeprefix(f"{service}/")
    *folders, name = inner.split("/")
    return not is_test(inner) and name not in TOOL_FILES and BESIDE_THE_CODE.isdisjoint(folders)


def foreign_roots(files: Sequence[FileFacts], local: Collection[str], version: tuple[int, int]) -> Iterator[Root]:
    """The imports of what is neither standard nor the service's own, in all of its files. See also :func:`refined`."""
    for facts in files:
        tests = is_test(facts.path)
        for one in facts.imports:
            if not is_foreign(one, local):
                continue
            how = how_run(one, facts.guards, version)
            if how is None:
                continue
            target = f"{one.module}.{one.name}" if one.name and one.name != "*" else one.module
            yield Root(path=facts.path, line=one.line, target=target, how=how, in_tests=tests)


def refined(roots: Sequence[Root], contents: Mapping[str, bytes]) -> tuple[Root, ...]:
    """``roots`` with what the text of their files (path to content) says of the conditions that they stand under."""
    around: dict[str, Mapping[int, Surroundings]] = {}
    done = []
    for root in roots:
        if root.how == How.AT_IMPORT:
            if root.path not in around:
                around[root.path] = surroundings_of(contents.get(root.path, b""))
            if around[root.path].get(root.line, TOP).conditional:
                root = replace(root, how=How.PERHAPS)
        done.append(root)
    return tuple(done)


def is_foreign(one: ModuleImport, local: Collection[str]) -> bool:
    """Whether an import is of a module from outside."""
    top = one.module.partition(".")[0]
    return bool(top) and not one.level and one.place != "type checking" and not is_standard(top) and top not in local


def used_files(files: Sequence[FileFacts], service: str) -> frozenset[str]:
    """The files by which the service is started, and those that its other run-time files import."""
    modules = Modules(files)
    used = set()
    for facts in files:
        if not is_run_time(facts.path, service):
            continue
        if facts.path.rpartition("/")[2] in STARTS:
            used.add(facts.path)
        for one in facts.imports:
            start = "." * one.level + one.module
            for name in (_inner(start, one.name), start):
                found = modules.find(name, facts.path) if name.strip(".") or one.level else None
                if found is not None and found.path != facts.path:
                    used.add(found.path)
    return frozenset(used)


def _inner(module: str, name: str) -> str:
    if not name or name == "*":
        return module
    return f"{module}{name}" if module.endswith(".") or not module else f"{module}.{name}"
