"""Runs inside the interpreter that is asked about its standard library: ``python -I -S stdlib_probe.py``.

Standard library only, for Python 3.8 and later, with the other ``oracle_*.py`` beside it. Reads one JSON document from
stdin, ``{"questions": [[module, path, assumed], ...], "known": [top-level module, ...]}``, and writes a line of JSON
for each question, ``[number, {...}]``, then ``["end"]``. All lines are out before a module is imported: if a library
takes the process down, the first question without a line is the one that did it.

``assumed`` questions are about a class that somebody else says a function returns: where the class itself is missing
they have no answer (and say ``no_class``: the function cannot return it here).
"""

from __future__ import annotations

import gc
import inspect
import json
import os
import sys
import types
import warnings
from typing import TYPE_CHECKING

_ROOT = os.path.abspath(os.path.join(__file__, *[".."] * 5))  # noqa: PTH100, PTH118 - pathlib is slow to import
sys.path.insert(0, _ROOT)
from pytest_py312.analysis.oracle.probe.functions import static, unwrapped  # noqa: E402 - found only now
from pytest_py312.analysis.oracle.probe.library import (  # noqa: E402 - as above
    UNKNOWN,
    Library,
    Missing,
    Place,
    Untold,
    is_importable,
    location,
)
from pytest_py312.analysis.oracle.probe.signatures import (  # noqa: E402 - as above
    LONGEST_TEXT,
    refused_by,
    signature_of,
    with_warnings,
)
from pytest_py312.analysis.oracle.probe.warning_texts import warning_text  # noqa: E402 - as above

sys.path.remove(_ROOT)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from pytest_py312.analysis.oracle.probe.library import Known

MOST_MEMBERS = 3000


def answered(library: Library, module_name: str, path: str, assumed: bool) -> dict[str, Any]:
    """The answer to one question, as JSON takes it. What is as usual is left out."""
    try:
        steps = steps_of(path)
        if not is_importable(module_name):
            return from_source(library, module_name, steps)
        module, warning = library.module(module_name)
        if not steps:
            return {
                "present": True,
                "warning": warning[:LONGEST_TEXT],
                "members": public(module),
                "defined": module_name,
            }
        if assumed:
            library.follow(module, steps[:1])
            assumed = False
        return described(library, module_name, library.follow(module, steps))
    except Missing as reason:
        said = {"present": None if assumed else False, "reason": str(reason)[:LONGEST_TEXT]}
        return {**said, "no_class": True} if assumed else said
    except Untold as reason:
        return {"present": None, "reason": str(reason)[:LONGEST_TEXT]}
    except Exception as error:
        return {"present": None, "reason": f"reading it fails: {type(error).__name__}: {error}"[:LONGEST_TEXT]}


def steps_of(path: str) -> list[tuple[str, bool]]:
    """The names of a path, each with whether it is called.

    :raises Untold: it is no path.
    """
    steps = []
    for part in path.split(".") if path else ():
        called = part.endswith("()")
        name = part[:-2] if called else part
        if not name.isidentifier():
            raise Untold(f"{path[:80]!r} is no path of names")
        steps.append((name, called))
    return steps


def from_source(library: Library, module_name: str, steps: Sequence[tuple[str, bool]]) -> dict[str, Any]:
    """About a module that is not imported: what its source shows."""
    if module_name == "__main__" or not library.knows(module_name):
        raise Untold("it is no module of the standard library")
    path = location(module_name)
    top = module_name.split(".")[0]
    if not path:
        left_out = top == "test" or not location(top)  # of its tests an image may keep some
        if left_out and library.is_of_release(top):
            raise Untold("this release has it, and it was left out on this machine")
        raise Missing(f"ModuleNotFoundError: No module named '{module_name}'")
    if not steps:
        return {"present": True, "defined": module_name}
    names, complete = library.source(path).names()
    if steps[0][0] in names and len(steps) == 1:
        return {"present": True, "defined": f"{module_name}.{steps[0][0]}"}
    if steps[0][0] in names or not complete or location(f"{module_name}.{steps[0][0]}"):
        raise Untold(f"{module_name} is not imported, as importing it does something")
    raise Missing(f"AttributeError: module '{module_name}' has no attribute '{steps[0][0]}'")


def described(library: Library, module_name: str, place: Place) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "present": True,
        "warning": place.warning[:LONGEST_TEXT],
        "defined": defined(module_name, place),
    }
    value = place.value
    if value is UNKNOWN:
        return answer
    facts = library.facts_of(place)
    if not place.warning:
        answer["warning"] = deprecation(place, facts)[:LONGEST_TEXT]
        answer["when_called"] = bool(answer["warning"]) and not isinstance(place.raw, property)
    if isinstance(value, types.ModuleType):
        answer["members"] = public(value)
        return answer
    if isinstance(value, type):
        answer["is_class"] = True
        answer["members"] = [name for name in sorted(dir(value)) if not name.startswith("_")][:MOST_MEMBERS]
    signature = signature_of(place)
    if signature is not None:
        answer["signature"] = with_warnings(signature, facts, refused_by(library, signature, place, facts))
    return answer


def deprecation(place: Place, facts: Known) -> str:
    for item in (place.value, unwrapped(place.raw)):
        said = static(item, "__deprecated__")
        if isinstance(said, str):
            return said
    for fact, names in facts:
        if fact.warning is not None:
            text = warning_text(fact.warning, names)
            return text or "it is deprecated"
    return ""


def defined(module_name: str, place: Place) -> str:
    """Where something really stands: ``unittest.case.TestCase.assertEqual``."""
    value = place.value
    if isinstance(value, types.ModuleType):
        return value.__name__
    if place.owner is not None:
        return f"{place.owner.__module__}.{place.owner.__qualname__}.{place.name}"
    if isinstance(value, type) or inspect.isroutine(value):
        home, name = getattr(value, "__module__", None), getattr(value, "__qualname__", "<")
        return f"{home}.{name}" if home and "<" not in name else f"{module_name}.{place.name}"
    return f"{module_name}.{place.name}"


def public(module: Any) -> list[str]:
    """What a star import of a module brings."""
    stated = getattr(module, "__all__", None)
    if isinstance(stated, (list, tuple)):
        return [name for name in stated if isinstance(name, str)][:MOST_MEMBERS]
    return sorted(name for name in vars(module) if not name.startswith("_"))[:MOST_MEMBERS]


def put(descriptor: int, lines: Sequence[str]) -> None:
    data = "".join(lines).encode("ascii")
    while data:
        data = data[os.write(descriptor, data) :]


def main() -> int:
    gc.disable()  # modules and trees stay to the end: the search for cycles would walk all of them in vain
    request = json.loads(sys.stdin.buffer.read().decode("utf-8"))
    answers = os.dup(1)
    os.dup2(2, 1)  # whatever a library prints while it is imported is no answer
    with warnings.catch_warnings(record=True) as log:
        warnings.simplefilter("always")
        library = Library(request["known"], log)
        waiting: list[str] = []
        for number, (module, path, assumed) in enumerate(request["questions"]):
            if not library.has(module):  # what comes may be the end of this process
                put(answers, waiting)
                waiting.clear()
            waiting.append(json.dumps([number, answered(library, module, path, assumed)]) + "\n")
        put(answers, [*waiting, '["end"]\n'])
    return 0


if __name__ == "__main__":
    sys.exit(main())
