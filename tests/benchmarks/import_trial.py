"""Imports modules for real: ``python import_trial.py < request > answers``.

Uses only the standard library of 3.8 and later. The request is ``{"path": [folder, ...], "modules": [name, ...]}``;
an answer is a line of JSON, ``[name, null]`` where the module imports, else ``[name, {"error": ..., "places": [...],
"missing": ...}]``. ``places`` are the innermost ``[file, line]`` beneath the folders of ``path``: of the exception, and
of each that led to it; ``missing`` is the module that an ImportError names. Modules share a process until one fails, to
save time; that is tried again in a process of its own, unless another has failed at the same places.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from typing import Any

LIMIT = 60
"""Seconds for one process."""
TOGETHER = 20
"""Modules that share a process."""


def places(error: BaseException | None, folders: list[str]) -> list[list[Any]]:
    """Return where the exception and its causes were raised, as far as that is beneath ``folders``."""
    innermost: list[list[Any]] = []
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        frames: list[tuple[str, int]] = []
        trace = error.__traceback__
        while trace is not None:
            frames.append((trace.tb_frame.f_code.co_filename, trace.tb_lineno))
            trace = trace.tb_next
        if isinstance(error, SyntaxError) and error.filename:
            frames.append((error.filename, error.lineno or 1))
        inner = [frame for frame in frames if frame[0].startswith(tuple(folders))]
        if inner:
            innermost.append(list(inner[-1]))
        error = error.__cause__ or error.__context__
    return innermost


def attempt(name: str, folders: list[str]) -> dict[str, Any] | None:
    """Import a module; return ``None``, or a description of the failure."""
    try:
        importlib.import_module(name)
    except BaseException as error:
        return {
            "error": f"{type(error).__name__}: {error}"[:300],
            "places": places(error, folders),
            "missing": getattr(error, "name", None) or "",
        }
    return None


def tried(names: list[str], folders: list[str]) -> list[Any]:
    """Import modules in a child process up to the first failure, so that groups do not affect each other."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        signal.alarm(LIMIT)
        nothing = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(nothing, number)
        for name in names:
            wrong = attempt(name, folders)
            os.write(writer, (json.dumps(wrong) + "\n").encode())
            if wrong:
                break  # it may have left partially imported packages
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        lines = pipe.read().splitlines()
    os.waitpid(child, 0)
    return [json.loads(line) for line in lines]


def main() -> None:
    request = json.load(sys.stdin)
    folders = [folder.rstrip("/") + "/" for folder in request["path"]]
    sys.path[:0] = request["path"]
    modules = request["modules"]
    confirmed: list[Any] = []
    done = 0
    while done < len(modules):
        results = tried(modules[done : done + TOGETHER], folders) or [{"places": None}]
        if results[-1] and results[-1]["places"] not in confirmed:
            alone = tried([modules[done + len(results) - 1]], folders)
            results[-1] = alone[0] if alone else {"error": "the process ended", "places": [], "missing": ""}
            confirmed += [results[-1]["places"]] if results[-1] else []
        for result in results:
            print(json.dumps([modules[done], result]), flush=True)
            done += 1


if __name__ == "__main__":
    main()
