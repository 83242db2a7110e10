"""Tell vendored files that nothing of a service imports from those that it uses. Pure.

A vendored copy of another project often has parts for Pythons and situations that the service never meets. What no
import reaches from the service's own files, its tests included, cannot break it. In doubt a file counts as used: by any
import that ends like its path, and by all in a file that imports by name and mentions the folder. A file that only adds
the folder to ``sys.path`` imports nothing: what is imported from there ends like a path below it. It counts as such a
file if another one imports by name, and what it puts first is found by installed projects as well.
"""

import re
import sys
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from pytest_py312.analysis.judging.evidence import Evidence
from pytest_py312.analysis.judging.reachability import Reachability
from pytest_py312.analysis.scanner.facts.facts import FileFacts, ModuleImport
from pytest_py312.core.model.findings import Finding, Severity

VENDOR_FOLDERS = frozenset(
    {
        "_vendor", "vendor", "vendored", "_vendored", "_vendored_packages", "third_party", "thirdparty",
        "_third_party", "third-party",
    }
)  # fmt: skip
_BY_NAME = (b"import_module", b"__import__", b"runpy", b"spec_from_file_location")
_DYNAMIC = (*_BY_NAME, b"entry_points")
"""What a file contains that may import a module without an import statement."""
_PATH = b"sys.path"
_APPENDED = re.compile(rb"sys\.path\s*(?:\.(?:append|extend)\(|\+=)")
_TOP_DEPTH = 2
"""How deep below a folder of vendored code (``vendored/NAME/NAME``) the modules are that installed projects find."""

_Parts = tuple[str, ...]


def is_vendored(path: str) -> bool:
    """Whether a file lies in a folder of other projects' code."""
    return not VENDOR_FOLDERS.isdisjoint(path.split("/")[:-1])


def mark_unused_vendored(
    findings: Sequence[Finding],
    files: Sequence[FileFacts],
    contents: Mapping[str, bytes],
    evidence: Evidence,
    programs: Collection[str] = (),
) -> tuple[Finding, ...]:
    """Return ``findings``, with errors in vendored files that nothing imports on the target as warnings.

    :param programs: dotted names of modules that the service's start commands run.
    """
    suspected = {
        finding.location.path
        for finding in findings
        if finding.severity is Severity.ERROR and finding.location is not None and is_vendored(finding.location.path)
    }
    if not suspected:
        return tuple(findings)
    unused = suspected - _used_files(files, contents, evidence, programs)
    return tuple(_as_unused(finding) if finding.location and finding.location.path in unused else finding
                 for finding in findings)  # fmt: skip


def _as_unused(finding: Finding) -> Finding:
    if finding.severity is not Severity.ERROR:
        return finding
    message = f"{finding.message} (in a vendored file that nothing of the service imports)"
    return replace(finding, severity=Severity.WARNING, message=message)


def _used_files(
    files: Sequence[FileFacts], contents: Mapping[str, bytes], evidence: Evidence, programs: Collection[str]
) -> set[str]:
    """Return the files of the service itself, and the vendored ones that they import."""
    vendored: dict[str, list[tuple[_Parts, FileFacts]]] = {}
    for facts in files:
        if is_vendored(facts.path):
            parts = _module_parts(facts.path)
            vendored.setdefault(parts[-1], []).append((parts, facts))
    used = {facts.path for facts in files if not is_vendored(facts.path)}
    pending = deque(facts for facts in files if facts.path in used)
    any_dynamic = any(word in contents.get(path, b"") for path in used for word in _BY_NAME)

    def use(names: _Parts) -> None:
        for parts, facts in vendored.get(names[-1], ()):
            if facts.path not in used and parts[-len(names) :] == names:
                used.add(facts.path)
                pending.append(facts)

    for program in programs:
        use(tuple(program.split(".")))
    while pending:
        facts = pending.popleft()
        for names in _imported(facts, evidence):
            use(names)
        depth = 0 if is_vendored(facts.path) else _depth_of_use(contents.get(facts.path, b""), any_dynamic=any_dynamic)
        if depth:
            mentioned = {folder for folder in VENDOR_FOLDERS if folder.encode() in contents[facts.path]}
            for candidates in vendored.values():
                for parts, candidate in candidates:
                    if candidate.path not in used and _is_within(parts, mentioned, depth):
                        used.add(candidate.path)
                        pending.append(candidate)
    return used


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
