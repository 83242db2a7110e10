"""Tell vendored files, shared files and data of tests that nothing of a service imports from those that it uses. Pure.

A vendored copy of another project often has parts for Pythons and situations that the service never meets. What no
import reaches from the service's own files, its tests included, cannot break it. In doubt a file counts as used: by any
import that ends like its path, and by all in a file that imports by name and mentions the folder. A file that only adds
the folder to ``sys.path`` imports nothing: what is imported from there ends like a path below it. It counts as such a
file if another one imports by name, and what it puts first is found by installed projects as well. The same holds for
files outside of the service, of packages that several services share.

Python files among the data of tests may be text that a test only parses. They count as used if a file names them with
dots, or names them or a folder of theirs where any file runs other files or imports by name.
"""

import re
import sys
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from pytest_py312.analysis.judging.evidence import Evidence
from pytest_py312.analysis.judging.reachability import Reachability
from pytest_py312.analysis.scanner.facts.facts import FileFacts, ModuleImport
from pytest_py312.core.model.findings import Finding, Severity
from pytest_py312.repository.tree import VENDORED_FOLDERS

_TEST_FOLDERS = frozenset({"tests", "test"})
_DATA_FOLDERS = frozenset(
    {
        "data", "fixtures", "fixture", "resources", "samples", "sample", "examples", "inputs", "input", "expected",
        "snapshots", "golden", "corpus", "cases", "assets", "files",
    }
)  # fmt: skip
"""Folders of data if they lie in a folder of tests."""
_TEST_DATA_FOLDERS = frozenset({"testdata", "test_data", "test-data"})
_COLLECTED = re.compile(r"(?:conftest|test.*|.*_tests?)\.py")
"""What pytest or unittest may collect. If a suite collects other files as well, it fails where they break."""
_RUNS_FILES = re.compile(
    rb"\bexec(?:file|_module|[lv]\w*)?\(|\b(?:system|spawn\w*|posix_spawn|[Pp]open)\(|subprocess|sys\.executable|pexpect|"
    rb"runpy|import_module|__import__|importlib\.(?:util|machinery)|SourceFileLoader|load_source|pkgutil|sys\.path|"
    rb"syspath_prepend|pytest_plugins|pytester|testdir|entry_points|from_pyfile|alembic|DagBag"
)
"""What a file contains that may run a file, or import a module without an import statement."""
_QUOTED = re.compile(rb"""(?<=["'/])[\w.-]+(?=["'/])""")
_DOTTED = re.compile(rb"[\w-]+(?:\.[\w-]+)+")

_BY_NAME = (b"import_module", b"__import__", b"runpy", b"spec_from_file_location")
_DYNAMIC = (*_BY_NAME, b"entry_points")
"""What a file contains that may import a module without an import statement."""
_ANY_OF_PACKAGE = (*_DYNAMIC, b"iter_modules", b"walk_packages", b"load_module")
"""What a module of a package contains that may import all others of the package."""
_PATH = b"sys.path"
_APPENDED = re.compile(rb"sys\.path\s*(?:\.(?:append|extend)\(|\+=)")
_TOP_DEPTH = 2
"""How deep below a folder of vendored code (``vendored/NAME/NAME``) the modules are that installed projects find."""

_Parts = tuple[str, ...]


def is_vendored(path: str) -> bool:
    """Whether a file lies in a folder of other projects' code."""
    return not VENDORED_FOLDERS.isdisjoint(path.split("/")[:-1])


def is_test_data(path: str, folder: str = ".") -> bool:
    """Whether a module lies among the data of the tests in ``folder``, and its name is not that of a test."""
    *folders, name = path.removeprefix(f"{folder}/").split("/")
    below_tests = next((folders[at:] for at, each in enumerate(folders) if each in _TEST_FOLDERS), [])
    in_data = not _DATA_FOLDERS.isdisjoint(below_tests) or not _TEST_DATA_FOLDERS.isdisjoint(folders)
    return in_data and name.endswith(".py") and _COLLECTED.fullmatch(name) is None


def mark_unused_files(
    findings: Sequence[Finding],
    files: Sequence[FileFacts],
    contents: Mapping[str, bytes],
    evidence: Evidence,
    programs: Collection[str] = (),
    folder: str = ".",
    shared: Collection[str] = (),
) -> tuple[Finding, ...]:
    """Return ``findings``, with errors in files as above that nothing uses on the target as warnings.

    :param programs: dotted names of modules that the service's start commands run.
    :param folder: that of the service.
    :param shared: folders outside of it with packages that it shares.
    """
    suspected = {
        path
        for finding in findings
        if finding.severity is Severity.ERROR
        and finding.location is not None
        and _is_foreign(path := finding.location.path, folder, shared)
    }
    if not suspected:
        return tuple(findings)
    unused = suspected - _used_files(files, contents, evidence, programs, folder, shared)
    return tuple(_as_unused(finding, shared) if finding.location and finding.location.path in unused else finding
                 for finding in findings)  # fmt: skip


def _as_unused(finding: Finding, shared: Collection[str]) -> Finding:
    if finding.severity is not Severity.ERROR:
        return finding
    path = finding.location.path if finding.location is not None else ""
    kind = "a shared file" if _is_shared(path, shared) else "a file of test data"
    kind = "a vendored file" if is_vendored(path) else kind
    message = f"{finding.message} (in {kind} that nothing of the service imports)"
    return replace(finding, severity=Severity.WARNING, message=message)


def _is_foreign(path: str, folder: str, shared: Collection[str]) -> bool:
    """Whether a file is the service's own code only if something uses it."""
    return is_vendored(path) or is_test_data(path, folder) or _is_shared(path, shared)


def _is_shared(path: str, shared: Collection[str]) -> bool:
    return path.endswith(".py") and any(path.startswith(f"{folder}/") for folder in shared)


def _used_files(
    files: Sequence[FileFacts],
    contents: Mapping[str, bytes],
    evidence: Evidence,
    programs: Collection[str],
    folder: str,
    shared: Collection[str],
) -> set[str]:
    """Return the files of the service itself, and those vendored or among test data that they use."""
    used = {facts.path for facts in files if not _is_foreign(facts.path, folder, shared)}
    pending = deque(facts for facts in files if facts.path in used)
    foreign = _by_module_name(facts for facts in files if facts.path not in used)
    any_dynamic = any(
        word in contents.get(facts.path, b"") for facts in files if not is_vendored(facts.path) for word in _BY_NAME
    )

    def use(candidates: Iterable[FileFacts]) -> None:
        new = [facts for facts in candidates if facts.path not in used]
        used.update(facts.path for facts in new)
        pending.extend(new)

    def named(names: _Parts) -> Iterator[FileFacts]:
        return (facts for parts, facts in foreign.get(names[-1], ()) if parts[-len(names) :] == names)

    for program in programs:
        use(named(tuple(program.split("."))))
    outside = [facts for facts in files if _is_shared(facts.path, shared)]
    folders = VENDORED_FOLDERS.union(*(facts.path.split("/")[:-1] for facts in outside))
    tops = _named_tops(contents.get(path, b"") for path in used) if outside else set()
    # a string may be imported: INSTALLED_APPS = ["shared"], include=["shared.tasks"]
    use(facts for facts in outside if not tops.isdisjoint(_module_parts(facts.path)))
    data = [facts for facts in files if facts.path not in used and is_test_data(facts.path, folder)]
    while pending:
        facts = pending.popleft()
        content = contents.get(facts.path, b"")
        for names in _imported(facts, evidence):
            use(named(names))
        if _is_shared(facts.path, shared) and any(word in content for word in _ANY_OF_PACKAGE):
            package = f"{facts.path.rpartition('/')[0]}/"
            use(other for other in outside if other.path.startswith(package))
        depth = 0 if is_vendored(facts.path) else _depth_of_use(content, any_dynamic=any_dynamic)
        if depth:
            mentioned = {name for name in folders if name.encode() in content}
            pairs = (pair for candidates in foreign.values() for pair in candidates)
            use(candidate for parts, candidate in pairs if _is_within(parts, mentioned, depth))
        unused_data = [candidate for candidate in data if candidate.path not in used]
        if unused_data and not pending:
            use(_named_data(unused_data, [contents.get(path, b"") for path in used], folder))
    return used


def _by_module_name(files: Iterable[FileFacts]) -> dict[str, list[tuple[_Parts, FileFacts]]]:
    """Return the files by the last part of their module's name, each with all parts."""
    by_name: dict[str, list[tuple[_Parts, FileFacts]]] = {}
    for facts in files:
        parts = _module_parts(facts.path)
        by_name.setdefault(parts[-1], []).append((parts, facts))
    return by_name


def _named_tops(contents: Iterable[bytes]) -> set[str]:
    """Return what dotted names in strings begin with, and names that are strings by themselves."""
    names = {name.partition(b".")[0] for content in contents for name in _QUOTED.findall(content)}
    return {name.decode("utf-8", "replace") for name in names}


def _named_data(data: Iterable[FileFacts], contents: Sequence[bytes], folder: str) -> Iterator[FileFacts]:
    """Yield the test data that ``contents`` name, and may run or import without an import statement."""
    quoted = {name for content in contents for name in _QUOTED.findall(content)}
    dotted = [text.split(b".") for text in {*quoted, *(text for each in contents for text in _DOTTED.findall(each))}]
    pairs = {pair for names in dotted for pair in pairwise(names)}
    runs_files = any(map(_RUNS_FILES.search, contents))
    for facts in data:
        parts = [part.encode() for part in _module_parts(facts.path.removeprefix(f"{folder}/"))]
        is_named = (parts[-1], b"py") in pairs or not quoted.isdisjoint(parts)
        if not pairs.isdisjoint(pairwise(parts)) or (runs_files and is_named):
            yield facts


def _depth_of_use(content: bytes, *, any_dynamic: bool) -> int:
    """Return how deep below the vendored folders that it mentions a file uses all modules; 0 if it does not.

    :param any_dynamic: a file of the service imports by name.
    """
    if any(word in content for word in _DYNAMIC) or (_PATH in content and any_dynamic):
        return sys.maxsize
    return _TOP_DEPTH if content.count(_PATH) > len(_APPENDED.findall(content)) else 0


def _is_within(parts: _Parts, folders: Collection[str], depth: int) -> bool:
    return any(part in folders and len(parts) - number - 1 <= depth for number, part in enumerate(parts))


def _imported(facts: FileFacts, evidence: Evidence) -> Iterator[_Parts]:
    """Yield the modules that a file may import on the target, with the packages around them."""
    reachability = Reachability(facts.guards, evidence.target, lambda _: None)
    for module_import in facts.imports:
        if module_import.scope == "type checking" or not reachability.may_run(module_import.guard):
            continue
        base = package_of(facts.path, module_import)
        names = (*base, *filter(None, module_import.module.split(".")))
        if module_import.name and module_import.name != "*":
            yield (*names, module_import.name)
        for end in range(len(names), len(base) if base else 0, -1):
            yield names[:end]
        if base:
            yield base


def package_of(path: str, module_import: ModuleImport) -> _Parts:
    """Return the package that a relative import starts in; empty for an absolute one."""
    folders = path.split("/")[:-1]
    return tuple(folders[: len(folders) - module_import.level + 1]) if module_import.level else ()


def _module_parts(path: str) -> _Parts:
    """Return the names of the folders and of the module; a package has the name of its folder."""
    parts = tuple(path.removesuffix(".py").split("/"))
    return parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts
