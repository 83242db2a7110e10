"""Facts of workers that tests need."""

from typing import Any

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.gate.cluster.jobs import WorkerFacts
from tests.support.fakes import build_of

TOOL, PYTHON = "1.0 (abc)", "3.11"


def facts_of(*interpreters: str, **changes: Any) -> WorkerFacts:
    """Return the facts of a worker that can take part, with these interpreters."""
    values: dict[str, Any] = {
        "tool": TOOL,
        "python": PYTHON,
        "name": "worker",
        "clock": 0.0,
        "cores": 2,
        "memory": 8 * 1024**3,
        "engine": "",
        "interpreters": tuple(map(build_of, interpreters)),
    }
    return WorkerFacts(**{**values, **changes})


def pythons(*texts: str) -> frozenset[Interpreter]:
    return frozenset(map(Interpreter.parse, texts))
