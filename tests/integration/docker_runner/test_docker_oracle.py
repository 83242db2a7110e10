"""The oracle with the interpreters of images."""

import sys

import pytest

from pytest_py312.analysis.files.newer_syntax import NewerSyntaxScanner
from pytest_py312.analysis.files.parallel_scan import ScanTask
from pytest_py312.analysis.oracle.oracle import Oracle
from pytest_py312.analysis.scanner.facts import stdlib_queries
from pytest_py312.core.model.findings import Interpreter
from tests.integration.docker_runner.conftest import Bench

pytestmark = pytest.mark.docker

QUESTIONS = (
    stdlib_queries.StdlibQuery(module="imp"),
    stdlib_queries.StdlibQuery(module="test.support"),
    stdlib_queries.StdlibQuery(module="tkinter"),
    stdlib_queries.StdlibQuery(module="unittest", path="TestCase().assertEquals"),
)


def test_an_image_answers_like_a_local_interpreter(bench: Bench) -> None:
    """Modules that slim images omit are not reported as removed."""
    runner = bench.runner()
    oracle = Oracle(cache=bench.cache, tool_runner=runner)
    builds = [runner.find_interpreter(Interpreter.parse(interpreter)) for interpreter in ("3.9", "3.10", "3.12")]

    presences = {
        str(build.interpreter): [oracle.ask(QUESTIONS, build).answers[question].present for question in QUESTIONS]
        for build in builds
    }
    assert presences == {
        "3.9": [True, None, None, True],
        "3.10": [True, None, None, True],
        "3.12": [False, None, None, False],
    }


def test_files_are_compiled_in_an_image(bench: Bench) -> None:
    runner = bench.runner()
    oracle = Oracle(cache=bench.cache, tool_runner=runner)
    files = {"good.py": b"x = 1\n", "bad.py": b"print 1\n", "new.py": b"match x:\n    case 1: pass\n"}

    refused = {
        interpreter: [
            path
            for path, messages in oracle.compile(files, runner.find_interpreter(Interpreter.parse(interpreter))).items()
            if messages
        ]
        for interpreter in ("3.9", "3.10", "3.12")
    }
    assert refused == {"3.9": ["bad.py", "new.py"], "3.10": ["bad.py"], "3.12": ["bad.py"]}


def test_an_image_scans_syntax_that_is_too_new_for_pytests_python(bench: Bench) -> None:
    """Where pytest runs on the images' Python or a newer one, no image is needed."""
    runner = bench.runner()
    task = ScanTask(key="any", path="new.py", content=b"import imp\ntype Row = list[int]\n")

    scanned = NewerSyntaxScanner(cache=bench.cache, tool_runner=runner).scan(
        [task], runner.find_interpreter(Interpreter(3, 12))
    )

    modules = {key: [imported.module for imported in facts.imports] for key, facts in scanned.items()}
    assert modules == ({"any": ["imp"]} if sys.version_info < (3, 12) else {})
