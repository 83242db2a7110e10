"""Own modules that have the name of a standard one. Which is meant is clear to the service that has them: its own.

It is not clear to the libraries it uses. What a release adds to the standard library, they soon import, and where the
service's folder is in front of the library's they get the service's module.
"""

from collections.abc import Iterator, Mapping, Sequence

from pytest_py312.analysis.judging.evidence import Witnesses, label
from pytest_py312.analysis.scanner.facts.facts import FileFacts
from pytest_py312.analysis.scanner.facts.stdlib_names import STANDARD
from pytest_py312.analysis.scanner.facts.stdlib_queries import Question
from pytest_py312.core.model.findings import Finding, Location, Severity


def shadows(files: Sequence[FileFacts], roots: Sequence[str]) -> Mapping[str, str]:
    """Standard names of top-level modules below the folders ``roots``, and the files that have them."""
    folders = frozenset(roots)
    found = {}
    for facts in files:
        folder, _, file = facts.path.removesuffix("/__init__.py").rpartition("/")
        name = file.removesuffix(".py")
        if name in STANDARD and (folder or ".") in folders:
            found[name] = facts.path
    return found


def questions_about(names: Mapping[str, str]) -> Iterator[Question]:
    """What has to be asked to judge :func:`shadows`."""
    for name in names:
        yield Question(module=name)


def shadow_findings(names: Mapping[str, str], witnesses: Witnesses) -> Iterator[Finding]:
    """Those whose name the target's library has and the baseline's has not. Others were as bad before."""
    for name, path in names.items():
        if witnesses.on_target(name, "").present and witnesses.on_baseline(name, "").present is False:
            yield Finding(
                code="PY208",
                message=f"{name} is a module of the standard library on {label(witnesses.target.version)}: "
                "whatever else imports it may get this one",
                remedy="give it another name",
                severity=Severity.WARNING,
                location=Location(path=path, line=1),
                names=(name,),
            )
