"""Runs snippets and records what happens. Works on every interpreter from 3.9: standard library only.

Reads ``{"root": folder, "snippets": [id, ...]}`` from its input and prints one JSON object a snippet, in their order.
Each snippet runs in its own process (a fork), so that none sees what another imported.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import tempfile
import types
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

Place = tuple[str, int]

SECONDS = 30
ANNOUNCING = (DeprecationWarning, PendingDeprecationWarning, SyntaxWarning, FutureWarning)


PRELOADED = ("asyncio", "dataclasses", "enum", "inspect", "logging", "typing", "unittest.mock")
"""Imported once, before the forks: most snippets use one of these, and none of them warns or is judged."""


def main() -> None:
    task = json.load(sys.stdin)
    for name in PRELOADED:
        importlib.import_module(name)
    for snippet in task["snippets"]:
        with tempfile.TemporaryFile() as report, tempfile.TemporaryFile() as output:
            sys.stdout.flush()
            child = os.fork()
            if not child:
                run(task["root"] + "/" + snippet, report.fileno(), output.fileno())
            _, status = os.waitpid(child, 0)
            report.seek(0)
            output.seek(0)
            outcome = json.loads(report.read() or b"null") or {"error": f"died, status {status}", "lines": []}
            outcome["output"] = output.read().decode("utf-8", "replace")
        print(json.dumps(dict(outcome, id=snippet)))


def run(folder: str, report_fd: int, output_fd: int) -> None:
    """Run one snippet in this process, write the result to ``report_fd`` and end the process."""
    signal.alarm(SECONDS)
    os.dup2(output_fd, 1)
    os.dup2(os.open(os.devnull, os.O_RDWR), 2)
    os.chdir(folder)
    seen: list[dict[str, Any]] = []

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if issubclass(category, ANNOUNCING):
            # a warning of the compiler names the file as it was given; frozen modules have no file
            at = place(folder, filename, lineno) or next(places(folder, frames(sys._getframe(1))), None)
            seen.append({"category": category.__name__, "message": str(message)[:300], "at": at})

    warnings.resetwarnings()
    warnings.simplefilter("always")
    sys.warnoptions[:] = ["always"]  # unittest and pytest take it as the user's wish and leave the filters alone
    warnings.showwarning = show
    path = folder + "/main.py"
    sys.path.insert(0, folder)
    sys.argv[:] = [path]
    sys.dont_write_bytecode = True
    outcome: dict[str, Any] = {"error": "", "lines": [], "warnings": seen}
    module = sys.modules["__main__"] = types.ModuleType("__main__")
    module.__dict__.update(__file__=path, __builtins__=__builtins__)
    try:
        exec(compile(Path(path).read_bytes(), path, "exec", dont_inherit=True), module.__dict__)
    except BaseException as error:
        if not (isinstance(error, SystemExit) and not error.code):
            outcome.update(error=f"{type(error).__name__}: {str(error)[:300]}", lines=causes(folder, error))
    sys.stdout.flush()
    os.write(report_fd, json.dumps(outcome).encode())
    os._exit(0)


def causes(folder: str, error: BaseException | None) -> list[Place]:
    """Return the snippet's lines in the tracebacks of an exception and its causes; the innermost first."""
    lines: list[Place] = []
    while error is not None:
        steps, trace = [], error.__traceback__
        while trace:
            steps.append((trace.tb_frame.f_code.co_filename, trace.tb_lineno))
            trace = trace.tb_next
        if isinstance(error, SyntaxError) and error.filename:
            steps.append((error.filename, error.lineno or 0))
        lines += places(folder, reversed(steps))
        error = error.__cause__ or error.__context__
    return lines


def frames(frame: types.FrameType | None) -> Iterator[Place]:
    while frame:
        yield frame.f_code.co_filename, frame.f_lineno
        frame = frame.f_back


def places(folder: str, steps: Iterable[Place]) -> Iterator[Place]:
    return (at for at in (place(folder, path, line) for path, line in steps) if at)


def place(folder: str, path: str, line: int) -> Place | None:
    return (os.path.relpath(path, folder), line) if path.startswith(folder + "/") else None


if __name__ == "__main__":
    main()
