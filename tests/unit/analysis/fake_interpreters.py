"""Source judged without interpreters: their answers are made from a few names.

Names are written as in queries of the oracle: ``"imp"`` is a module, ``"inspect:getargspec"`` a name in one, and
``"threading:Thread().isAlive"`` a method of its instances.
"""

from collections.abc import Iterable, Mapping, Sequence
from textwrap import dedent

from pytest_py312.analysis.judging.evidence import Evidence
from pytest_py312.analysis.judging.judge import judge_files
from pytest_py312.analysis.judging.warning_filters import WarningFilters
from pytest_py312.analysis.linking.link import link_files
from pytest_py312.analysis.scanner.facts.facts import FileFacts
from pytest_py312.analysis.scanner.facts.stdlib_queries import InterpreterAnswers, Signature, StdlibAnswer, StdlibQuery
from pytest_py312.analysis.scanner.scan import scan_text
from pytest_py312.core.model.findings import Finding, Location
from pytest_py312.core.model.fleet import InterpreterVariable

BASELINE, TARGET = (3, 9), (3, 12)
GONE = ("imp", "inspect:getargspec", "collections:Mapping", "unittest:TestCase().assertEquals", "distutils")
"""Names that the target lacks by default."""
NEW = ("tomllib", "asyncio:timeout")
"""Names that the baseline lacks by default."""
IMAGE = Location(path="Dockerfile", line=2)
"""What sets the variables of production."""
ELSEWHERE = ("msvcrt", "_scproxy")
"""Names that both lack: the interpreters run on Linux."""


def facts_of(text: str, path: str = "main.py", local: Iterable[str] = ()) -> FileFacts:
    """Return the facts of a text, which may be indented."""
    return scan_text(dedent(text), path, local_modules=frozenset(local))


def fake_answers(
    version: tuple[int, int],
    questions: Iterable[StdlibQuery],
    *,
    lacks: Sequence[str] = (),
    warnings: Mapping[str, str] | None = None,
    signatures: Mapping[str, Signature] | None = None,
) -> InterpreterAnswers:
    """Return the answers of an interpreter that has all queried names except ``lacks`` and their members."""

    def answer(question: StdlibQuery) -> StdlibAnswer:
        key = f"{question.module}:{question.path}" if question.path else question.module
        inside = any(key == lack or key.startswith((f"{lack}.", f"{lack}:")) for lack in lacks)
        return StdlibAnswer(
            present=not inside,
            warning="" if inside else (warnings or {}).get(key, ""),
            warns_when_called=":" in key,
            signature=(signatures or {}).get(key),
        )

    return InterpreterAnswers(
        origin="a test", version=version, answers={question: answer(question) for question in questions}
    )


def judge_texts(
    text: str | Mapping[str, str],
    *,
    gone: Sequence[str] = GONE,
    new: Sequence[str] = NEW,
    warnings: Mapping[str, str] | None = None,
    baseline_signatures: Mapping[str, Signature] | None = None,
    target_signatures: Mapping[str, Signature] | None = None,
    lock: Mapping[str, str] | None = None,
    declared: Sequence[str] = (),
    target: tuple[int, int] = TARGET,
    local: Iterable[str] = (),
    baseline_warnings: Mapping[str, str] | None = None,
    python_warnings: str = "",
    without_shim: str = "",
) -> tuple[Finding, ...]:
    """Return the findings of a service on 3.9: of one file ``main.py``, or of several by path.

    :param python_warnings: the value of PYTHONWARNINGS in production.
    """
    texts = {"main.py": text} if isinstance(text, str) else dict(text)
    local_modules = {*local, *(path.removesuffix(".py") for path in texts if "/" not in path)}
    files = link_files([facts_of(source, path, local_modules) for path, source in texts.items()])
    questions = {question for facts in files for question in facts.queries()}
    evidence = Evidence(
        baseline=fake_answers(
            BASELINE,
            questions,
            lacks=(*new, *ELSEWHERE),
            warnings=baseline_warnings,
            signatures=baseline_signatures,
        ),
        target=fake_answers(
            target, questions, lacks=(*gone, *ELSEWHERE), warnings=warnings, signatures=target_signatures
        ),
        without_shim=without_shim,
        warning_filters=WarningFilters(
            variables=(InterpreterVariable(name="PYTHONWARNINGS", value=python_warnings, location=IMAGE),),
            files={path: dedent(source).encode() for path, source in texts.items()},
        ),
    )
    return judge_files(files, evidence, lock=lock, declared=declared)


def codes(findings: Iterable[Finding]) -> list[str]:
    """Return code and line of each finding, as in ``PY201 3``."""
    return [f"{finding.code} {finding.location.line}" for finding in findings if finding.location is not None]
