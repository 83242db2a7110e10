"""Ask interpreters what their standard library contains, and what their compiler reports about files.

The queries are answered by ``analysis/oracle/probe/stdlib_probe.py`` and ``analysis/oracle/probe/compiler_probe.py``
inside of the interpreter. One process answers many of them, and the answers are cached for each build. No code of the
repository is executed: the interpreter is started isolated, imports nothing but its own library, and compiles files
without running them.
"""

import base64
import hashlib
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from operator import attrgetter
from pathlib import Path
from typing import Any

from pytest_py312.analysis.oracle.probe_protocol import (
    ProbeClient,
    ToolRunner,
    batches,
    parse_answer,
    parse_compiler_message,
)
from pytest_py312.analysis.oracle.stub_returns import ReturnTypeCache
from pytest_py312.analysis.scanner.facts.stdlib_names import STDLIB_MODULES
from pytest_py312.analysis.scanner.facts.stdlib_queries import (
    CompilerMessage,
    InterpreterAnswers,
    StdlibAnswer,
    StdlibQuery,
)
from pytest_py312.core.json_cache import JsonCache
from pytest_py312.core.model.measurements import InterpreterBuild

PROBE_FILES = tuple(
    f"pytest_py312/analysis/oracle/probe/{name}.py"
    for name in (
        "compiler_probe", "functions", "layout", "library", "signatures", "sources", "stdlib_probe", "tables",
        "warning_texts",
    )
)  # fmt: skip

ASKABLE_MODULES = STDLIB_MODULES | sys.stdlib_module_names
"""Top-level modules that some release has. No others are queried."""

BATCH_QUERIES = 4000
"""Queries per process. A large batch, because each process imports the modules that it is asked about. An answer has
about 250 bytes; the runner keeps the last few MiB of the output, and lost answers are queried again."""
BATCH_BYTES = 8 * 1024 * 1024
"""Bytes of files that one process compiles."""
MAX_FILE_BYTES = 8 * 1024 * 1024
ANSWER_TIMEOUT = 120.0
COMPILE_TIMEOUT = 120.0
"""Seconds for one process."""
COMPILER_MEMORY_BYTES = 2 * 1024**3

NOT_COMPILED = "NotCompiled"
"""Category of the message about a file that the compiler could not judge: it is too large, it crashed the compiler, or
it took too long. The message is an error, but not one of the syntax: whether the file is valid is unknown."""


class Oracle:
    """Oracle that asks builds of interpreters and caches the answers.

    Safe for use by threads, and by several runs with one cache folder.
    """

    def __init__(self, *, cache: Path, tool_runner: ToolRunner) -> None:
        self._folder = cache / "oracle" / probe_version()
        self._probe_client = ProbeClient(tool_runner=tool_runner, folder=self._folder, probe_files=_probe_files)
        self._return_types = ReturnTypeCache(folder=self._folder)

    def ask(self, queries: Iterable[StdlibQuery], build: InterpreterBuild) -> InterpreterAnswers:
        """Return what ``build`` answers to each of ``queries``.

        :raises InterpreterUnavailable: it could not be asked at all. Exceptions of the tool runner pass through.
        """
        unique_queries = sorted(set(queries), key=attrgetter("module", "path"))
        answer_cache = JsonCache(self._folder / f"{build.digest}.answers.json")
        cached = {query: parse_answer(answer_cache.get(_cache_key(query))) for query in unique_queries}
        missing = [query for query, answer in cached.items() if answer is None]
        fresh = self._query(missing, build) if missing else {}
        answer_cache.put(
            {_cache_key(query): data for query, data in fresh.items()}, used_keys=map(_cache_key, unique_queries)
        )
        answers = {
            query: answer
            or parse_answer(fresh.get(query))
            or StdlibAnswer(present=None, reason="the interpreter did not answer")
            for query, answer in cached.items()
        }
        return InterpreterAnswers(
            origin=f"CPython {build.version}",
            version=(build.interpreter.major, build.interpreter.minor),
            answers=answers,
        )

    def compile(self, files: Mapping[str, bytes], build: InterpreterBuild) -> Mapping[str, tuple[CompilerMessage, ...]]:
        """Return the compiler messages of ``build`` about ``files`` (path to content), ordered by line.

        :raises InterpreterUnavailable: it could not be asked at all.
        """
        return self.prepare_compilation(files, build)()

    def prepare_compilation(
        self, files: Mapping[str, bytes], build: InterpreterBuild
    ) -> Callable[[], Mapping[str, tuple[CompilerMessage, ...]]]:
        """Prepare :meth:`compile`: do the work of this process now, and return a function that asks ``build``.

        Hashing releases the global interpreter lock for each file. In a thread beside a scan, it would wait for the
        lock each time, and the compiler would not start before the end of the scan.
        """
        keys = {path: hashlib.sha256(content).hexdigest()[:32] for path, content in files.items()}
        contents = {keys[path]: content for path, content in files.items()}
        message_cache = JsonCache(self._folder / f"{build.digest}.compiled.json")
        cached = {key: _parse_messages(message_cache.get(key)) for key in contents}
        missing = [(key, contents[key]) for key, messages in cached.items() if messages is None]

        def compile_missing() -> Mapping[str, tuple[CompilerMessage, ...]]:
            fresh = self._compile(missing, build) if missing else {}
            message_cache.put(fresh, used_keys=contents)
            messages_by_key = {key: messages for key, messages in cached.items() if messages is not None}
            messages_by_key |= {key: _parse_messages(data) or () for key, data in fresh.items()}
            return {path: messages_by_key[key] for path, key in keys.items()}

        return compile_missing

    # ---- queries

    def _query(self, queries: Sequence[StdlibQuery], build: InterpreterBuild) -> dict[StdlibQuery, Any]:
        """Return answers as parsed from JSON.

        A query about the result of a function is asked for each class that it may return.
        """
        result_queries = self._return_types.returned_classes([query for query in queries if is_askable(query.module)])
        answers: dict[StdlibQuery, Any] = {}
        distinct_items: dict[tuple[str, str, bool], None] = {}
        for query in queries:
            if not is_askable(query.module):
                answers[query] = {"present": None, "reason": f"{query.module} is not a module of the standard library"}
            elif query in result_queries:
                distinct_items |= dict.fromkeys(
                    (result_query.module, result_query.path, True) for result_query in result_queries[query]
                )
            else:
                distinct_items[(query.module, query.path, False)] = None
        items = list(distinct_items)
        replies: dict[tuple[str, str, bool], Any] = {}
        for start in range(0, len(items), BATCH_QUERIES):
            batch = items[start : start + BATCH_QUERIES]
            for number, data in self._probe_client(
                build, "pytest_py312/analysis/oracle/probe/stdlib_probe.py", batch, _query_document, ANSWER_TIMEOUT
            ):
                failure = {"present": None, "reason": f"the query failed: {data}"}
                replies[batch[number]] = failure if isinstance(data, str) else data
        for query in queries:
            if query not in answers:
                classes = [
                    (result_query.module, result_query.path, True) for result_query in result_queries.get(query, ())
                ]
                answers[query] = merge_answers(
                    [replies[item] for item in classes or [(query.module, query.path, False)]]
                )
        return answers

    # ---- files

    def _compile(self, files: Sequence[tuple[str, bytes]], build: InterpreterBuild) -> dict[str, Any]:
        messages: dict[str, Any] = {
            key: [_not_compiled(f"the file is larger than {MAX_FILE_BYTES // 1024**2} MiB")]
            for key, content in files
            if len(content) > MAX_FILE_BYTES
        }
        small = [(key, content) for key, content in files if key not in messages]
        for batch in batches(small, lambda file: len(file[1]), BATCH_BYTES):
            texts = [text for _, text in batch]
            for number, data in self._probe_client(
                build, "pytest_py312/analysis/oracle/probe/compiler_probe.py", texts, _file_document, COMPILE_TIMEOUT
            ):
                messages[batch[number][0]] = [_not_compiled(data)] if isinstance(data, str) else data
        return messages


@cache
def _probe_files() -> Mapping[str, bytes]:
    root = Path(__file__).parents[3]
    return {name: (root / name).read_bytes() for name in PROBE_FILES}


@cache
def probe_version() -> str:
    """Return a digest of the probes. It is part of the cache path, so answers of other versions are not used."""
    state = hashlib.sha256()
    for name, content in sorted(_probe_files().items()):
        state.update(name.encode() + b"\0" + content + b"\0")
    return state.hexdigest()[:12]


def is_askable(module: str) -> bool:
    """Return whether some release of Python may have a stdlib module of this name."""
    parts = module.split(".")
    return parts[0] in ASKABLE_MODULES and all(part.isidentifier() for part in parts) and len(module) < 200


def merge_answers(answers: Sequence[Any]) -> Any:
    """Merge the answers for several classes: the first one, if all agree whether the name is present.

    Classes that do not exist are ignored.
    """
    answers = [
        candidate for candidate in answers if not (isinstance(candidate, dict) and candidate.get("no_class"))
    ] or answers
    presence_values = {answer.get("present") if isinstance(answer, dict) else None for answer in answers}
    if len(presence_values) == 1:
        return answers[0]
    return {"present": None, "reason": "it depends on the type that the call returns"}


def _cache_key(query: StdlibQuery) -> str:
    return f"{query.module}:{query.path}"


def _query_document(items: Sequence[tuple[str, str, bool]]) -> str:
    return json.dumps({"questions": items, "known": sorted(ASKABLE_MODULES)})


def _file_document(texts: Sequence[bytes]) -> str:
    return json.dumps({"files": [base64.b64encode(text).decode() for text in texts], "memory": COMPILER_MEMORY_BYTES})


def _not_compiled(reason: str) -> list[Any]:
    return [True, NOT_COMPILED, reason, 1, None]


def _parse_messages(data: Any) -> tuple[CompilerMessage, ...] | None:
    """Return the messages of a probe; ``None`` if the data is malformed."""
    if not isinstance(data, list):
        return None
    parsed = [parse_compiler_message(item) for item in data]
    messages = [message for message in parsed if message is not None]
    return tuple(sorted(messages, key=lambda one: (one.line, not one.is_error))) if len(messages) == len(data) else None
