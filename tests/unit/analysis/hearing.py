"""Source judged without interpreters: what they would say is played by a few names.

A name is written as the oracle asks for it: ``"imp"`` is a module, ``"inspect:getargspec"`` a name in one, and
``"threading:Thread().isAlive"`` a method of its instances.
"""

from collections.abc import Iterable, Mapping, Sequence
from textwrap import dedent

from pytest_py312.analysis.judging.evidence import Witnesses
from pytest_py312.analysis.judging.judge import judge
from pytest_py312.analysis.linking.link import linked
from pytest_py312.analysis.scanner.facts.facts import FileFacts
from pytest_py312.analysis.scanner.facts.stdlib_queries import Answer, Question, Signature
from pytest_py312.analysis.scanner.facts.stdlib_queries import Testimony as Said
from pytest_py312.analysis.scanner.scan import scan_text
from pytest_py312.core.model.findings import Finding

BASELINE, TARGET = (3, 9), (3, 12)
GONE = ("imp", "inspect:getargspec", "collections:Mapping", "unittest:TestCase().assertEquals", "distutils")
"""What the target lacks, unless a test says otherwise."""
NEW = ("tomllib", "asyncio:timeout")
"""What the baseline lacks."""
ELSEWHERE = ("msvcrt", "_scproxy")
"""What both lack: these are interpreters of Linux."""


def facts_of(text: str, path: str = "main.py", local: Iterable[str] = ()) -> FileFacts:
    """What the scanner sees in a text, which may be indented."""
    return scan_text(dedent(text), path, local=frozenset(local))


def speaker(
    version: tuple[int, int],
    questions: Iterable[Question],
    *,
    lacks: Sequence[str] = (),
    warnings: Mapping[str, str] | None = None,
    signatures: Mapping[str, Signature] | None = None,
) -> Said:
    """An interpreter that has all it is asked for, save ``lacks`` and what is in it."""

    def answer(question: Question) -> Answer:
        key = f"{question.module}:{question.path}" if question.path else question.module
        inside = any(key == lack or key.startswith((f"{lack}.", f"{lack}:")) for lack in lacks)
        return Answer(
            present=not inside,
            warning="" if inside else (warnings or {}).get(key, ""),
            when_called=":" in key,
            signature=(signatures or {}).get(key),
        )

    return Said(origin="a test", version=version, answers={one: answer(one) for one in questions})


def heard(
    text: str | Mapping[str, str],
    *,
    gone: Sequence[str] = GONE,
    new: Sequence[str] = NEW,
    warnings: Mapping[str, str] | None = None,
    before: Mapping[str, Signature] | None = None,
    after: Mapping[str, Signature] | None = None,
    lock: Mapping[str, str] | None = None,
    declared: Sequence[str] = (),
    target: tuple[int, int] = TARGET,
    local: Iterable[str] = (),
) -> tuple[Finding, ...]:
    """The findings of a service on its way from 3.9: of one file ``main.py``, or of several by their path."""
    texts = {"main.py": text} if isinstance(text, str) else dict(text)
    own = {*local, *(path.removesuffix(".py") for path in texts if "/" not in path)}
    files = linked([facts_of(one, path, own) for path, one in texts.items()])
    questions = {question for facts in files for question in facts.questions()}
    witnesses = Witnesses(
        baseline=speaker(BASELINE, questions, lacks=(*new, *ELSEWHERE), signatures=before),
        target=speaker(target, questions, lacks=(*gone, *ELSEWHERE), warnings=warnings, signatures=after),
    )
    return judge(files, witnesses, lock=lock, declared=declared)


def codes(findings: Iterable[Finding]) -> list[str]:
    """``PY201 3``: code and line of each finding."""
    return [f"{one.code} {one.location.line}" for one in findings if one.location is not None]
