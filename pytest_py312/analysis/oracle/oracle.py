"""Asks interpreters what is in their standard library, and what their compilers say of files.

The questions are answered by ``analysis/oracle/probe/stdlib_probe.py`` and ``analysis/oracle/probe/compiler_probe.py``
inside of the interpreter, one process for all of them, and remembered for each build: a build never changes its mind.
Neither runs anything of the repository: the interpreter is started isolated, sees nothing but its own library, and
compiles texts that it is handed.
"""

import base64
import hashlib
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from operator import attrgetter
from pathlib import Path
from typing import Any

from pytest_py312.analysis.oracle.probe_protocol import Door, Exchange, Unanswered, answer_from, batches, complaint_from
from pytest_py312.analysis.oracle.stub_returns import Stubs
from pytest_py312.analysis.scanner.facts.stdlib_names import STANDARD
from pytest_py312.analysis.scanner.facts.stdlib_queries import Answer, Complaint, Question, Testimony
from pytest_py312.core.json_cache import Memory
from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.model.measurements import InterpreterBuild

PROBES = tuple(
    f"pytest_py312/analysis/oracle/probe/{name}.py"
    for name in (
        "compiler_probe", "functions", "layout", "library", "signatures", "sources", "stdlib_probe", "tables",
        "warning_texts",
    )
)  # fmt: skip

ASKABLE = STANDARD | sys.stdlib_module_names
"""Modules at the top that some release has: nothing else is asked for."""

BATCH = 4000
"""Questions asked of one process, which prints about 250 bytes for each; of what it prints some MiB are kept, and what
is lost is asked again. Many together, because each process imports what they are about."""
BATCH_BYTES = 8 * 1024 * 1024
"""Of files compiled by one process."""
LARGEST_FILE = 8 * 1024 * 1024
ANSWER_LIMIT = 120.0
COMPILE_LIMIT = 120.0
"""Seconds for one process."""
COMPILER_MEMORY = 2 * 1024**3

NOT_COMPILED = "NotCompiled"
"""Category of the complaint about a file that the compiler was not able to judge: it is too large, or it made the
compiler crash or take for ever. It is an error, and none of the syntax: whether the file is well cannot be told."""


class Oracle:
    """Asks builds of interpreters, and remembers. Safe for threads and for several runs on one cache folder."""

    def __init__(self, *, cache: Path, door: Door) -> None:
        self._folder = cache / "oracle" / probe_version()
        self._exchange = Exchange(door=door, folder=self._folder, files=_probe_files)
        self._stubs = Stubs(memory=self._folder)

    def ask(self, questions: Iterable[Question], build: InterpreterBuild) -> Testimony:
        """What ``build`` answers to each of ``questions``.

        :raises Unanswered: it could not be asked at all. What the door raises passes through.
        """
        wanted = sorted(set(questions), key=attrgetter("module", "path"))
        memory = Memory(self._folder / f"{build.digest}.answers.json")
        known = {question: answer_from(memory.get(_key(question))) for question in wanted}
        missing = [question for question, answer in known.items() if answer is None]
        fresh = self._answers(missing, build) if missing else {}
        memory.keep({_key(question): data for question, data in fresh.items()}, used=map(_key, wanted))
        answers = {
            question: answer or answer_from(fresh.get(question)) or Answer(present=None, reason="it did not answer")
            for question, answer in known.items()
        }
        return Testimony(
            origin=f"CPython {build.version}",
            version=(build.interpreter.major, build.interpreter.minor),
            answers=answers,
        )

    def ask_all(
        self, questions: Iterable[Question], builds: Iterable[InterpreterBuild]
    ) -> dict[Interpreter, Testimony | Unanswered]:
        """What each of ``builds`` answers, or why it does not; they are asked side by side."""
        wanted = tuple(questions)
        self._stubs.results([question for question in wanted if is_askable(question.module)])  # once for all

        def testimony(build: InterpreterBuild) -> Testimony | Unanswered:
            try:
                return self.ask(wanted, build)
            except Unanswered as reason:
                return reason

        asked = {build.interpreter: build for build in builds}
        with ThreadPoolExecutor(max_workers=max(1, len(asked))) as threads:
            return dict(zip(asked, threads.map(testimony, asked.values()), strict=True))

    def compile(self, files: Mapping[str, bytes], build: InterpreterBuild) -> Mapping[str, tuple[Complaint, ...]]:
        """What the compiler of ``build`` says of ``files`` (path to content), in the order of the lines.

        :raises Unanswered: it could not be asked at all.
        """
        return self.compiler(files, build)()

    def compiler(
        self, files: Mapping[str, bytes], build: InterpreterBuild
    ) -> Callable[[], Mapping[str, tuple[Complaint, ...]]]:
        """:meth:`compile` by halves: what this process does itself is done, and ``build`` is asked by the call.

        Hashing lets go of the interpreter's lock at each file. In a thread beside one that scans, it would wait for
        that lock as many times, and the compiler would begin when the scan is over.
        """
        keys = {path: hashlib.sha256(content).hexdigest()[:32] for path, content in files.items()}
        contents = {keys[path]: content for path, content in files.items()}
        memory = Memory(self._folder / f"{build.digest}.compiled.json")
        known = {key: _complaints(memory.get(key)) for key in contents}
        missing = [(key, contents[key]) for key, complaints in known.items() if complaints is None]

        def answered() -> Mapping[str, tuple[Complaint, ...]]:
            fresh = self._compiled(missing, build) if missing else {}
            memory.keep(fresh, used=contents)
            said = {key: complaints for key, complaints in known.items() if complaints is not None}
            said |= {key: _complaints(data) or () for key, data in fresh.items()}
            return {path: said[key] for path, key in keys.items()}

        return answered

    # ---- questions

    def _answers(self, questions: Sequence[Question], build: InterpreterBuild) -> dict[Question, Any]:
        """Answers as JSON has them. A question about what a function gives is asked of each class it may give."""
        given = self._stubs.results([question for question in questions if is_askable(question.module)])
        answers: dict[Question, Any] = {}
        asked: dict[tuple[str, str, bool], None] = {}
        for question in questions:
            if not is_askable(question.module):
                answers[question] = {"present": None, "reason": f"{question.module} is no standard module"}
            elif question in given:
                asked |= dict.fromkeys((found.module, found.path, True) for found in given[question])
            else:
                asked[(question.module, question.path, False)] = None
        items = list(asked)
        said: dict[tuple[str, str, bool], Any] = {}
        for start in range(0, len(items), BATCH):
            batch = items[start : start + BATCH]
            for number, data in self._exchange(
                build, "pytest_py312/analysis/oracle/probe/stdlib_probe.py", batch, _question_document, ANSWER_LIMIT
            ):
                reason = {"present": None, "reason": f"asking about it failed: {data}"}
                said[batch[number]] = reason if isinstance(data, str) else data
        for question in questions:
            if question not in answers:
                classes = [(found.module, found.path, True) for found in given.get(question, ())]
                answers[question] = agreed(
                    [said[item] for item in classes or [(question.module, question.path, False)]]
                )
        return answers

    # ---- files

    def _compiled(self, files: Sequence[tuple[str, bytes]], build: InterpreterBuild) -> dict[str, Any]:
        said: dict[str, Any] = {
            key: [_not_compiled(f"the file is larger than {LARGEST_FILE // 1024**2} MiB")]
            for key, content in files
            if len(content) > LARGEST_FILE
        }
        small = [(key, content) for key, content in files if key not in said]
        for batch in batches(small, lambda file: len(file[1]), BATCH_BYTES):
            texts = [text for _, text in batch]
            for number, data in self._exchange(
                build, "pytest_py312/analysis/oracle/probe/compiler_probe.py", texts, _file_document, COMPILE_LIMIT
            ):
                said[batch[number][0]] = [_not_compiled(data)] if isinstance(data, str) else data
        return said


@cache
def _probe_files() -> Mapping[str, bytes]:
    root = Path(__file__).parents[3]
    return {name: (root / name).read_bytes() for name in PROBES}


@cache
def probe_version() -> str:
    """Changes with the probes, so that no answer of an older one is believed."""
    state = hashlib.sha256()
    for name, content in sorted(_probe_files().items()):
        state.update(name.encode() + b"\0" + content + b"\0")
    return state.hexdigest()[:12]


def is_askable(module: str) -> bool:
    """Whether some release of Python may have a standard module of this name."""
    parts = module.split(".")
    return parts[0] in ASKABLE and all(part.isidentifier() for part in parts) and len(module) < 200


def agreed(answers: Sequence[Any]) -> Any:
    """One answer where several classes were asked: the first, if all that are there say the same of presence."""
    answers = [one for one in answers if not (isinstance(one, dict) and one.get("no_class"))] or answers
    presences = {answer.get("present") if isinstance(answer, dict) else None for answer in answers}
    if len(presences) == 1:
        return answers[0]
    return {"present": None, "reason": "it depends on what the call gives"}


def _key(question: Question) -> str:
    return f"{question.module}:{question.path}"


def _question_document(items: Sequence[tuple[str, str, bool]]) -> str:
    return json.dumps({"questions": items, "known": sorted(ASKABLE)})


def _file_document(texts: Sequence[bytes]) -> str:
    return json.dumps({"files": [base64.b64encode(text).decode() for text in texts], "memory": COMPILER_MEMORY})


def _not_compiled(reason: str) -> list[Any]:
    return [True, NOT_COMPILED, reason, 1, None]


def _complaints(data: Any) -> tuple[Complaint, ...] | None:
    """``None`` where the data is not what a probe says."""
    if not isinstance(data, list):
        return None
    found = [complaint_from(item) for item in data]
    complaints = [complaint for complaint in found if complaint is not None]
    return (
        tuple(sorted(complaints, key=lambda one: (one.line, not one.error))) if len(complaints) == len(data) else None
    )
