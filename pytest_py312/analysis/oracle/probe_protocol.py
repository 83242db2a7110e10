"""Run probes inside of interpreters, and parse what they print.

A probe reads one JSON document and writes a line of JSON for each item, ``[number, answer]``, then ``["end"]``. If an
item crashes the process, it is the first one without a line: it is given up, and the remaining items are sent to a new
process.

Answers come from other processes and from cache files, so malformed data is treated as no answer.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeGuard, TypeVar

from pytest_py312.analysis.scanner.facts.stdlib_queries import CompilerMessage, Signature, StdlibAnswer
from pytest_py312.core.files import write_atomically
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.text import shorten

T = TypeVar("T")

MAX_CRASHES = 8
"""Items of one batch that may crash their process before the whole batch fails."""


class InterpreterUnavailable(Exception):
    """An interpreter that could not be asked. ``str()`` is the reason, as a sentence."""


class ToolResult(Protocol):
    """The result of a command (``core.process.CommandResult``)."""

    @property
    def ok(self) -> bool: ...
    @property
    def exit_code(self) -> int | None: ...
    @property
    def stdout(self) -> str: ...
    @property
    def stderr(self) -> str: ...


class ToolRunner(Protocol):
    """Starter of a process in the environment of a build (``runners.runner.Runner``)."""

    def run_tool(
        self, build: InterpreterBuild, argv: Sequence[str], *, stdin: str = "", time_limit: float = 600.0
    ) -> ToolResult: ...

    def path_inside(self, path: Path) -> str: ...


def batches(items: Iterable[T], size: Callable[[T], int], limit: int) -> Iterator[list[T]]:
    """Yield ``items`` in order, in batches of at most ``limit``. A larger item gets a batch of its own."""
    batch: list[T] = []
    batch_size = 0
    for item in items:
        item_size = size(item)
        if batch and batch_size + item_size > limit:
            yield batch
            batch, batch_size = [], 0
        batch.append(item)
        batch_size += item_size
    if batch:
        yield batch


class ProbeClient:
    """Starter of probes in the environment of a build.

    ``probe_files`` returns the probes and their imports, as paths inside of this package with their contents. They are
    copied into ``folder``.
    """

    def __init__(
        self, *, tool_runner: ToolRunner, folder: Path, probe_files: Callable[[], Mapping[str, bytes]]
    ) -> None:
        self._tool_runner = tool_runner
        self._folder = folder
        self._probe_files = probe_files

    def __call__(
        self,
        build: InterpreterBuild,
        probe: str,
        items: Sequence[T],
        make_request: Callable[[Sequence[T]], str],
        time_limit: float,
    ) -> list[tuple[int, Any]]:
        """Return the answer of a probe to each item, by its number. A string is the reason why there is no answer.

        :raises InterpreterUnavailable: the probe does not start, or its process crashes repeatedly.
        """
        answers: dict[int, Any] = {}
        remaining = list(range(len(items)))
        crashes = 0
        argv = ["{python}", "-I", "-S", self._tool_runner.path_inside(self._install_probe(probe))]
        while remaining:
            stdin = make_request([items[number] for number in remaining])
            result = self._tool_runner.run_tool(build, argv, stdin=stdin, time_limit=time_limit)
            lines, ended = read_replies(result.stdout)
            replies = {remaining[index]: data for index, data in lines.items() if index < len(remaining)}
            if not replies:
                # without any answer the first item is to blame, unless the probe itself did not start
                crashes += 1
                if ended or _failed_to_start(result) or crashes > MAX_CRASHES:
                    raise InterpreterUnavailable(f"CPython {build.version} could not be asked: {_failure_text(result)}")
                replies = {remaining[0]: f"CPython {build.version} failed on it: {_failure_text(result)}"}
            answers |= replies
            remaining = [number for number in remaining if number not in replies]
        return sorted(answers.items())

    def _install_probe(self, name: str) -> Path:
        """Copy the probes to where the interpreter can read them, and return the path of one."""
        complete = self._folder / "pytest_py312" / "complete"
        if not (self._folder / name).is_file() or not complete.is_file():
            for probe, content in self._probe_files().items():
                (self._folder / probe).parent.mkdir(parents=True, exist_ok=True)
                write_atomically(self._folder / probe, content)
            complete.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(complete, b"")
        return self._folder / name


def read_replies(text: str) -> tuple[dict[int, Any], bool]:
    """Return the answers of a probe by number, and whether it reached its end. Malformed lines are skipped."""
    replies: dict[int, Any] = {}
    ended = False
    for line in text.splitlines():
        try:
            data = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if data == ["end"]:
            ended = True
        elif isinstance(data, list) and len(data) == 2 and type(data[0]) is int and data[0] >= 0:
            replies[data[0]] = data[1]
    return replies, ended


def _failed_to_start(result: ToolResult) -> bool:
    """Return whether the probe itself failed, rather than an item of the batch."""
    return result.exit_code is None or result.exit_code in (1, 2, 126, 127)


def _failure_text(result: ToolResult) -> str:
    error_lines = result.stderr.strip().splitlines()
    code = "it was stopped" if result.exit_code is None else f"exit code {result.exit_code}"
    return f"{shorten(error_lines[-1], 200)} ({code})" if error_lines else code


def parse_answer(data: Any) -> StdlibAnswer | None:
    """Parse the answer of a probe; ``None`` if it is malformed."""
    if not isinstance(data, dict) or (type(present := data.get("present", "")) is not bool and present is not None):
        return None
    reason, warning = data.get("reason", ""), data.get("warning", "")
    members, signature_data = data.get("members"), data.get("signature")
    signature = parse_signature(signature_data) if signature_data is not None else None
    if not _are_texts([reason, warning]) or (signature_data is not None and not signature):
        return None
    if members is not None and not _are_texts(members):
        return None
    return StdlibAnswer(
        present=present,
        reason=reason,
        warning=warning,
        signature=signature,
        members=None if members is None else tuple(members),
        is_class=data.get("is_class") is True,
        warns_when_called=data.get("when_called") is True,
    )


def parse_signature(data: Any) -> Signature | None:
    """Parse a signature in the answer of a probe; ``None`` if it is malformed."""
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


def parse_compiler_message(data: Any) -> CompilerMessage | None:
    """Parse the message ``[error, category, message, line, column]`` of a compiler; ``None`` if it is malformed."""
    if not isinstance(data, list) or len(data) != 5:
        return None
    is_error, category, message, line, column = data
    if not (isinstance(is_error, bool) and isinstance(category, str) and isinstance(message, str)):
        return None
    if type(line) is not int or line < 1 or not (column is None or (type(column) is int and column > 0)):
        return None
    return CompilerMessage(is_error=is_error, category=category, message=message, line=line, column=column)


def _are_texts(data: Any) -> TypeGuard[list[str]]:
    return isinstance(data, list) and {*map(type, data)} <= _TEXT  # for speed: this runs for thousands of lists
