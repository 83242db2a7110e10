"""Hands work to a process of an interpreter that is asked, and takes what it says piece by piece.

Such a probe reads one JSON document, writes a line of JSON for each item of it, ``[number, answer]``, and ``["end"]``:
if an item takes the process down, it is the first without a line. It is given up, and the rest is handed over again.

What probes say, as nouns. They come from processes and files: what does not fit is no answer.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeGuard, TypeVar

from pytest_py312.analysis.scanner.facts.stdlib_queries import Answer, Complaint, Signature
from pytest_py312.core.json_cache import Memory
from pytest_py312.core.model.measurements import InterpreterBuild

T = TypeVar("T")

MOST_GIVEN_UP = 8
"""Items of one batch that may take their process down, before the whole batch counts as not asked."""


class Unanswered(Exception):
    """An interpreter that could not be asked. ``str()`` is a sentence that says why."""


class Said(Protocol):
    """What a command said (``core.process.CommandRun``)."""

    @property
    def ok(self) -> bool: ...
    @property
    def exit_code(self) -> int | None: ...
    @property
    def stdout(self) -> str: ...
    @property
    def stderr(self) -> str: ...


class Door(Protocol):
    """How a process is started beside a build (``runners.runner.Runner``)."""

    def tool(
        self, build: InterpreterBuild, argv: Sequence[str], *, stdin: str = "", time_limit: float = 600.0
    ) -> Said: ...

    def inside(self, path: Path) -> str: ...


def batches(items: Iterable[T], size: Callable[[T], int], limit: int) -> Iterator[list[T]]:
    """``items`` in their order, so many together as have no more than ``limit``; what is larger goes alone."""
    batch: list[T] = []
    held = 0
    for item in items:
        own = size(item)
        if batch and held + own > limit:
            yield batch
            batch, held = [], 0
        batch.append(item)
        held += own
    if batch:
        yield batch


class Exchange:
    """Starts probes beside builds. ``files`` gives the probes and what they import, which are put into ``folder``:
    their paths, which begin with the name of this package, and their contents.
    """

    def __init__(self, *, door: Door, folder: Path, files: Callable[[], Mapping[str, bytes]]) -> None:
        self._door = door
        self._folder = folder
        self._files = files

    def __call__(
        self,
        build: InterpreterBuild,
        probe: str,
        items: Sequence[T],
        document: Callable[[Sequence[T]], str],
        time_limit: float,
    ) -> list[tuple[int, Any]]:
        """What a probe says to each item, by its number; a string says why there is nothing.

        :raises Unanswered: the probe does not start, or its process ends all the time.
        """
        answers: dict[int, Any] = {}
        left = list(range(len(items)))
        given_up = 0
        argv = ["{python}", "-I", "-S", self._door.inside(self._place(probe))]
        while left:
            stdin = document([items[number] for number in left])
            done = self._door.tool(build, argv, stdin=stdin, time_limit=time_limit)
            lines, ended = read_lines(done.stdout)
            got = {left[place]: data for place, data in lines.items() if place < len(left)}
            if not got:
                # that nothing came is the fault of the first item, unless the probe did not get so far
                given_up += 1
                if ended or _never_began(done) or given_up > MOST_GIVEN_UP:
                    raise Unanswered(f"CPython {build.version} could not be asked: {_last_words(done)}")
                got = {left[0]: f"CPython {build.version} gave up on it: {_last_words(done)}"}
            answers |= got
            left = [number for number in left if number not in got]
        return sorted(answers.items())

    def _place(self, name: str) -> Path:
        """The probe's file where the interpreter can see it."""
        complete = self._folder / "pytest_py312" / "complete"
        if not (self._folder / name).is_file() or not complete.is_file():
            for probe, content in self._files().items():
                (self._folder / probe).parent.mkdir(parents=True, exist_ok=True)
                Memory.write(self._folder / probe, content)
            complete.parent.mkdir(parents=True, exist_ok=True)
            Memory.write(complete, b"")
        return self._folder / name


def read_lines(text: str) -> tuple[dict[int, Any], bool]:
    """The answers of a probe by their numbers, and whether it came to its end. What is no answer is passed over."""
    found: dict[int, Any] = {}
    ended = False
    for line in text.splitlines():
        try:
            data = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if data == ["end"]:
            ended = True
        elif isinstance(data, list) and len(data) == 2 and type(data[0]) is int and data[0] >= 0:
            found[data[0]] = data[1]
    return found, ended


def _never_began(done: Said) -> bool:
    """Whether the probe itself, rather than something it was asked about, ended the process."""
    return done.exit_code is None or done.exit_code in (1, 2, 126, 127)


def _last_words(done: Said) -> str:
    words = done.stderr.strip().splitlines()
    code = "it was stopped" if done.exit_code is None else f"exit code {done.exit_code}"
    return f"{words[-1][:200]} ({code})" if words else code


def answer_from(data: Any) -> Answer | None:
    """The answer that a probe gave, or ``None`` where this is not one."""
    if not isinstance(data, dict) or (type(present := data.get("present", "")) is not bool and present is not None):
        return None
    reason, warning, where = data.get("reason", ""), data.get("warning", ""), data.get("defined", "")
    members, stated = data.get("members"), data.get("signature")
    signature = signature_from(stated) if stated is not None else None
    if not _are_texts([reason, warning, where]) or (stated is not None and not signature):
        return None
    if members is not None and not _are_texts(members):
        return None
    return Answer(
        present=present,
        reason=reason,
        warning=warning,
        signature=signature,
        members=None if members is None else tuple(members),
        is_class=data.get("is_class") is True,
        defined=where,
        when_called=data.get("when_called") is True,
    )


def signature_from(data: Any) -> Signature | None:
    """The signature that a probe gave, or ``None`` where this is not one."""
    if not isinstance(data, dict):
        return None
    positional, keywords, deprecated = (data.get(name) for name in ("positional", "keywords", "deprecated"))
    required = data.get("required", [])
    if not (_are_texts(positional) and _are_texts(keywords) and _are_texts(required) and isinstance(deprecated, list)):
        return None
    if deprecated and not all(_are_texts(pair) and len(pair) == 2 for pair in deprecated):
        return None
    return Signature(
        positional=tuple(positional),
        keywords=tuple(keywords),
        any_positional=data.get("any_positional") is True,
        any_keyword=data.get("any_keyword") is True,
        deprecated=tuple((name, text) for name, text in deprecated),
        required=tuple(required),
    )


_TEXT = {str}


def complaint_from(data: Any) -> Complaint | None:
    """The complaint ``[error, category, message, line, column]`` of a compiler, or ``None`` where this is not one."""
    if not isinstance(data, list) or len(data) != 5:
        return None
    error, category, message, line, column = data
    if not (isinstance(error, bool) and isinstance(category, str) and isinstance(message, str)):
        return None
    if type(line) is not int or line < 1 or not (column is None or (type(column) is int and column > 0)):
        return None
    return Complaint(error=error, category=category, message=message, line=line, column=column)


def _are_texts(data: Any) -> TypeGuard[list[str]]:
    return isinstance(data, list) and {*map(type, data)} <= _TEXT  # thousands of lists are looked at
