"""Answer queries about the stdlib inside the queried interpreter.

Run as ``python -I -S stdlib_probe.py``: standard library only, for Python 3.8 and later, with the other modules of this
folder beside it. Reads one JSON document from stdin, ``{"questions": [[module, path, assumed], ...], "known":
[top-level module, ...]}``, and writes a JSON line for each question, ``[number, {...}]``, then ``["end"]``. All pending
lines are written before a module is imported: if the import crashes the process, the first question without a line is
the cause.

``assumed`` questions concern a class that a function returns according to typeshed. If the class itself is missing,
there is no answer but ``no_class``: the function cannot return it here.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import types
import warnings
from typing import TYPE_CHECKING

_ROOT = os.path.abspath(os.path.join(__file__, *[".."] * 5))  # noqa: PTH100, PTH118 - pathlib is slow to import
sys.path.insert(0, _ROOT)
from pytest_py312.analysis.oracle.probe.functions import getattr_static, underlying_function  # noqa: E402 - found only now
from pytest_py312.analysis.oracle.probe.library import (  # noqa: E402 - as above
    UNKNOWN,
    NameMissing,
    ResolvedName,
    StandardLibrary,
    Undeterminable,
    find_source,
    is_importable,
)
from pytest_py312.analysis.oracle.probe.signatures import (  # noqa: E402 - as above
    MAX_TEXT_LENGTH,
    refused_parameters,
    signature_document,
    signature_of,
)
from pytest_py312.analysis.oracle.probe.warning_texts import warning_text  # noqa: E402 - as above

sys.path.remove(_ROOT)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from pytest_py312.analysis.oracle.probe.library import FunctionFacts

MAX_MEMBERS = 3000


def answer_query(library: StandardLibrary, module_name: str, path: str, assumed: bool) -> dict[str, Any]:
    """Return the answer to one query in JSON form. Usual values are left out."""
    try:
        steps = parse_path(path)
        if not is_importable(module_name):
            return answer_from_source(library, module_name, steps)
        module, warning = library.module(module_name)
        if not steps:
            return {"present": True, "warning": warning[:MAX_TEXT_LENGTH], "members": public_names(module)}
        if assumed:
            library.follow(module, steps[:1])
            assumed = False
        return describe(library, library.follow(module, steps))
    except NameMissing as reason:
        reply = {"present": None if assumed else False, "reason": str(reason)[:MAX_TEXT_LENGTH]}
        return {**reply, "no_class": True} if assumed else reply
    except Undeterminable as reason:
        return {"present": None, "reason": str(reason)[:MAX_TEXT_LENGTH]}
    except Exception as error:
        return {"present": None, "reason": f"reading it fails: {type(error).__name__}: {error}"[:MAX_TEXT_LENGTH]}


def parse_path(path: str) -> list[tuple[str, bool]]:
    """Split a path into names, each with whether it is called.

    :raises Undeterminable: it is not a path.
    """
    steps = []
    for part in path.split(".") if path else ():
        called = part.endswith("()")
        name = part[:-2] if called else part
        if not name.isidentifier():
            raise Undeterminable(f"{path[:80]!r} is not a path of names")
        steps.append((name, called))
    return steps


def answer_from_source(library: StandardLibrary, module_name: str, steps: Sequence[tuple[str, bool]]) -> dict[str, Any]:
    """Answer a query about a module that must not be imported, from its source."""
    if module_name == "__main__" or not library.is_askable(module_name):
        raise Undeterminable("it is not a module of the standard library")
    path = find_source(module_name)
    top = module_name.split(".")[0]
    if not path:
        left_out = top == "test" or not find_source(top)  # some images keep a part of the test package
        if left_out and library.is_of_release(top):
            raise Undeterminable("it is part of this release, but missing on this machine")
        raise NameMissing(f"ModuleNotFoundError: No module named '{module_name}'")
    if not steps:
        return {"present": True}
    names, complete = library.source(path).names()
    if steps[0][0] in names and len(steps) == 1:
        return {"present": True}
    if steps[0][0] in names or not complete or find_source(f"{module_name}.{steps[0][0]}"):
        raise Undeterminable(f"{module_name} is not imported, because importing it has side effects")
    raise NameMissing(f"AttributeError: module '{module_name}' has no attribute '{steps[0][0]}'")


def describe(library: StandardLibrary, resolved: ResolvedName) -> dict[str, Any]:
    answer: dict[str, Any] = {"present": True, "warning": resolved.warning[:MAX_TEXT_LENGTH]}
    value = resolved.value
    if value is UNKNOWN:
        return answer
    facts = library.facts_of_use(resolved)
    if not resolved.warning:
        answer["warning"] = deprecation_text(resolved, facts)[:MAX_TEXT_LENGTH]
        answer["when_called"] = bool(answer["warning"]) and not isinstance(resolved.raw, property)
    if isinstance(value, types.ModuleType):
        answer["members"] = public_names(value)
        return answer
    if isinstance(value, type):
        answer["is_class"] = True
        answer["members"] = [name for name in sorted(dir(value)) if not name.startswith("_")][:MAX_MEMBERS]
    signature = signature_of(resolved)
    if signature is not None:
        answer["signature"] = signature_document(
            signature, facts, refused_parameters(library, signature, resolved, facts)
        )
    return answer


def deprecation_text(resolved: ResolvedName, facts: FunctionFacts) -> str:
    for item in (resolved.value, underlying_function(resolved.raw)):
        message = getattr_static(item, "__deprecated__")
        if isinstance(message, str):
            return message
    for fact, names in facts:
        if fact.warning is not None:
            text = warning_text(fact.warning, names)
            return text or "it is deprecated"
    return ""


def public_names(module: Any) -> list[str]:
    """Return the names that a star import of a module binds."""
    dunder_all = getattr(module, "__all__", None)
    if isinstance(dunder_all, (list, tuple)):
        return [name for name in dunder_all if isinstance(name, str)][:MAX_MEMBERS]
    return sorted(name for name in vars(module) if not name.startswith("_"))[:MAX_MEMBERS]


def write_lines(descriptor: int, lines: Sequence[str]) -> None:
    data = "".join(lines).encode("ascii")
    while data:
        data = data[os.write(descriptor, data) :]


def main() -> int:
    gc.disable()  # modules and trees live until the end, so collecting garbage is wasted time
    request = json.loads(sys.stdin.buffer.read().decode("utf-8"))
    answers = os.dup(1)
    os.dup2(2, 1)  # modules may print while they are imported
    with warnings.catch_warnings(record=True) as log:
        warnings.simplefilter("always")
        library = StandardLibrary(request["known"], log)
        unwritten: list[str] = []
        for number, (module, path, assumed) in enumerate(request["questions"]):
            if not library.was_requested(module):  # importing it may crash this process
                write_lines(answers, unwritten)
                unwritten.clear()
            unwritten.append(json.dumps([number, answer_query(library, module, path, assumed)]) + "\n")
        write_lines(answers, [*unwritten, '["end"]\n'])
    return 0


if __name__ == "__main__":
    sys.exit(main())
