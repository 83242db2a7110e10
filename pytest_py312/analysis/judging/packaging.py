"""``distutils``, ``setuptools``, ``pkg_resources``: what hangs on the lock of the cell, not on the interpreter alone.

Up to 3.11 ``venv`` puts setuptools beside pip, from 3.12 on it does not. A setuptools from 60 on brings ``distutils``
back; one from 82 on has no ``pkg_resources``.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from pytest_py312.analysis.judging import replacements
from pytest_py312.analysis.judging.evidence import Witnesses, confidence, label, location, since
from pytest_py312.analysis.judging.reachability import Reach
from pytest_py312.analysis.scanner.facts.facts import FileFacts, ModuleImport, Reference
from pytest_py312.core.model.findings import Finding, Location, Severity

OF_SETUPTOOLS = ("pkg_resources", "setuptools")
WITHOUT_PKG_RESOURCES = Version("82")
WITH_DISTUTILS = Version("60")
NO_LONGER_SEEDED = (3, 12)
IMPORT_FAILS = frozenset({"ImportError", "ModuleNotFoundError"})
BUILD_FILES = ("setup.py",)


class Lock:
    """The distributions of the target's cell, and the modules that the service has itself."""

    def __init__(
        self, versions: Mapping[str, str] | None, files: Sequence[FileFacts], declared: Collection[str] = ()
    ) -> None:
        """``declared`` are the projects that the service requires itself: all that is known where no lock is."""
        self.known = versions is not None
        self._declared = frozenset(() if self.known else map(canonicalize_name, declared))
        self._versions: dict[str, str] = {
            canonicalize_name(name): version for name, version in (versions or {}).items()
        }
        self._own = {part.removesuffix(".py") for facts in files for part in facts.path.split("/")}

    def version(self, name: str) -> Version | None:
        """The locked version; ``None`` where it is not in the lock."""
        try:
            return Version(self._versions[name])
        except (KeyError, InvalidVersion):
            return None

    def has(self, name: str) -> bool:
        """Whether a project is in the lock or, where that is not known, required."""
        return name in self._versions or name in self._declared

    def brings_back(self, module: str) -> bool:
        """Whether a project in the lock installs a module that the library no longer has."""
        top = module.partition(".")[0]
        return any(map(self.has, (f"standard-{canonicalize_name(top)}", *replacements.BROUGHT_BACK.get(top, ()))))

    def is_provided(self, module: str) -> bool | None:
        """Whether a foreign module can be imported in the cell; ``None`` where that cannot be told."""
        top = module.partition(".")[0]
        if not top or top in self._own:
            return True
        if not self.known:
            return None
        name = canonicalize_name(top)
        return any(name in one for one in self._versions) or (None if self._versions else False)

    def distutils_finding(self, reference: Reference, path: str, witnesses: Witnesses) -> Finding:
        """About an import of ``distutils`` that the target's library does not have."""
        setuptools = self.version("setuptools")
        brought = setuptools >= WITH_DISTUTILS if setuptools is not None else self.has("setuptools")
        name = f"{reference.module}.{reference.path}" if reference.path else reference.module
        builds = path.rpartition("/")[2] in BUILD_FILES
        known = replacements.of_name(name)
        message = f"{reference.module} is gone{since(witnesses.first_without('distutils', ''))}"
        if brought:
            which = f"setuptools {setuptools}" if setuptools is not None else "setuptools"
            message += f", and works only because {which} puts its own in place"
        elif builds:
            message += ", and works only where setuptools builds this"
        return Finding(
            code="PY209",
            message=message,
            remedy=known.remedy if known is not None else "use setuptools",
            severity=Severity.WARNING if brought or builds else Severity.ERROR,
            confidence=confidence(reference.sure),
            location=location(path, reference),
            names=(name.replace("()", ""),),
        )


def packaging_findings(facts: FileFacts, witnesses: Witnesses, on_target: Reach, lock: Lock) -> Iterator[Finding]:
    """Imports of setuptools and pkg_resources that the cell does not have by itself any more."""
    if witnesses.target.version < NO_LONGER_SEEDED or facts.path.rpartition("/")[2] in BUILD_FILES:
        return
    seen: set[tuple[str, int]] = set()
    for one in facts.imports:
        top = one.module.partition(".")[0]
        if one.level or top not in OF_SETUPTOOLS or one.place == "type checking" or (top, one.line) in seen:
            continue
        seen.add((top, one.line))
        trouble = _trouble(top, witnesses, lock)
        if trouble and on_target.runs(one.guard) and not on_target.catches(one.guard, IMPORT_FAILS):
            yield _finding(facts.path, one, top, *trouble, lock.known)


def _trouble(top: str, witnesses: Witnesses, lock: Lock) -> tuple[str, str] | None:
    version = lock.version("setuptools")
    if not lock.has("setuptools") and witnesses.baseline.version < NO_LONGER_SEEDED:
        wanted = "setuptools<82" if top == "pkg_resources" else "setuptools"
        target = label(witnesses.target.version)
        return (
            f"{top} is not there: nothing requires setuptools, and a new environment of {target} has none",
            f"require {wanted}" + _instead(top),
        )
    if version is not None and top == "pkg_resources" and version >= WITHOUT_PKG_RESOURCES:
        return f"setuptools {version} has no pkg_resources any more", "require setuptools<82" + _instead(top)
    return None


def _instead(top: str) -> str:
    return ", or use importlib.metadata and importlib.resources" if top == "pkg_resources" else ""


def _finding(path: str, one: ModuleImport, top: str, message: str, remedy: str, sure: bool) -> Finding:
    return Finding(
        code="PY209",
        message=message,
        remedy=remedy,
        confidence=confidence(sure),
        location=Location(path=path, line=one.line, column=one.column),
        names=(top,),
    )
