"""The interpreters of images asked about their own standard library."""

import sys

import pytest

from pytest_py312.analysis.files.newer_syntax import NewerSyntax
from pytest_py312.analysis.files.parallel_scan import Task
from pytest_py312.analysis.oracle.oracle import Oracle
from pytest_py312.analysis.scanner.facts import stdlib_queries
from pytest_py312.core.model.findings import Interpreter
from tests.integration.docker_runner.conftest import Bench

pytestmark = pytest.mark.docker

QUESTIONS = (
    stdlib_queries.Question(module="imp"),
    stdlib_queries.Question(module="test.support"),
    stdlib_queries.Question(module="tkinter"),
    stdlib_queries.Question(module="unittest", path="TestCase().assertEquals"),
)


def test_an_image_is_asked_like_an_interpreter_of_the_machine(bench: Bench) -> None:
    """What slim images leave out is not what a release has removed."""
    runner = bench.runner()
    oracle = Oracle(cache=bench.cache, door=runner)
    builds = [runner.find(Interpreter.parse(interpreter)) for interpreter in ("3.9", "3.10", "3.12")]

    said = {str(interpreter): found for interpreter, found in oracle.ask_all(QUESTIONS, builds).items()}
    presences = {
        interpreter: [found.answers[question].present for question in QUESTIONS]
        for interpreter, found in said.items()
        if isinstance(found, stdlib_queries.Testimony)
    }
    assert presences == {
        "3.9": [True, None, None, True],
        "3.10": [True, None, None, True],
        "3.12": [False, None, None, False],
    }


def test_files_are_compiled_in_an_image(bench: Bench) -> None:
    runner = bench.runner()
    oracle = Oracle(cache=bench.cache, door=runner)
    files = {"good.py": b"x = 1\n", "bad.py": b"print 1\n", "new.py": b"match x:\n    case 1: pass\n"}

    refused = {
        interpreter: [
            path
            for path, complaints in oracle.compile(files, runner.find(Interpreter.parse(interpreter))).items()
            if complaints
        ]
        for interpreter in ("3.9", "3.10", "3.12")
    }
    assert refused == {"3.9": ["bad.py", "new.py"], "3.10": ["bad.py"], "3.12": ["bad.py"]}


def test_an_image_scans_what_is_too_new_for_the_python_that_runs_pytest(bench: Bench) -> None:
    """Nothing newer than the images is needed for that: whoever runs pytest on their Python reads it alone."""
    runner = bench.runner()
    task = Task(key="any", path="new.py", content=b"import imp\ntype Row = list[int]\n")

    found = NewerSyntax(cache=bench.cache, door=runner).scan([task], runner.find(Interpreter(3, 12)))

    modules = {key: [one.module for one in facts.imports] for key, facts in found.items()}
    assert modules == ({"any": ["imp"]} if sys.version_info < (3, 12) else {})
