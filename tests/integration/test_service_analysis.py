"""The source analysis of services with real interpreters, and what is cached of it."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_py312.analysis.files import parallel_scan
from pytest_py312.analysis.scanner.scan import scan_text
from pytest_py312.analysis.services.service_analysis import AnalysisResult, ServiceAnalyzer
from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.model.fleet import Cell, Service
from pytest_py312.core.model.plan import Plan, ServiceSettings
from pytest_py312.runners.local import LocalRunner
from pytest_py312.runners.runner import CellUnavailable
from tests.integration.local_runners import local_runner
from tests.support.fakes import service_tree

TARGET = Interpreter(3, 12)
FILES = {
    "old/app.py": "import imp\nimport inspect\n\ninspect.getargspec\n",
    "newer/app.py": "import collections\nimport asyncore\n\ncollections.Mapping\n",
    "well/app.py": "import json\n",
}
BASELINES = {"old": Interpreter(3, 9), "newer": Interpreter(3, 10), "well": Interpreter(3, 12)}


class Bench:
    """A repository of three services; each analysis has its own analyzer."""

    def __init__(self, folder: Path) -> None:
        self.root = service_tree(folder / "repository", FILES)
        self.cache = folder / "cache"
        self.runner = local_runner(self.cache, folder)

    def analyze(self, *, lock: dict[str, str] | None = None) -> dict[str, AnalysisResult]:
        analyzer = ServiceAnalyzer(
            plan=Plan(root=self.root, target=TARGET), cache=self.cache, runner=self.runner, processes=1
        )
        services = [service(name) for name in BASELINES]
        analyzer.register(services)
        analyzer.prefetch()
        return {member.name: analyzer.analyze(Cell(service=member, interpreter=TARGET), lock) for member in services}


def service(name: str) -> Service:
    return Service(
        name=name, path=name, stage=1, critical=False, baseline=BASELINES[name], baseline_source="a test",
        requirements=(), test_requirements=(), suite=None, settings=ServiceSettings(),
    )  # fmt: skip


def messages(result: AnalysisResult) -> list[str]:
    assert result.unchecked_reason == ""
    return [f"{finding.location.line} {finding.message}" for finding in result.findings if finding.location]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    try:
        for interpreter in (*BASELINES.values(), Interpreter(3, 11)):
            made.runner.find_interpreter(interpreter)
        yield made
    except CellUnavailable as reason:
        pytest.skip(str(reason))
    finally:
        made.runner.close()


def test_findings_depend_on_the_baseline_and_name_the_release(bench: Bench) -> None:
    results = bench.analyze()

    assert messages(results["old"]) == [
        "1 module 'imp' was removed in 3.12",
        "4 inspect.getargspec was removed in 3.11",
    ]
    assert messages(results["newer"]) == ["2 module 'asyncore' was removed in 3.12"]
    assert messages(results["well"]) == []


def test_results_are_cached_until_a_file_changes(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    first_results = bench.analyze()
    scanned: list[str] = []
    real_scan = scan_text

    def count_scan(text: bytes, path: str, *, local_modules: frozenset[str]) -> object:
        scanned.append(path)
        return real_scan(text, path, local_modules=local_modules)

    def refuse(*_: object, **__: object) -> object:
        raise AssertionError("an interpreter is asked again")

    with monkeypatch.context() as patched:
        patched.setattr(parallel_scan, "scan_text", count_scan)
        patched.setattr(LocalRunner, "run_tool", refuse)
        assert bench.analyze() == first_results
    assert scanned == []

    (bench.root / "well/app.py").write_text("import smtpd\n")
    monkeypatch.setattr(parallel_scan, "scan_text", count_scan)
    second_results = bench.analyze()
    assert scanned == ["well/app.py"]
    assert second_results["old"] == first_results["old"]


def test_another_lock_is_judged_again(bench: Bench) -> None:
    (bench.root / "old/app.py").write_text("import pkg_resources\n")

    unlocked = bench.analyze(lock={})
    locked = bench.analyze(lock={"setuptools": "75.0.0"})

    assert len(messages(unlocked["old"])) == 1
    assert messages(locked["old"]) == []


@pytest.mark.parametrize(
    "newer",
    [
        "match (\n    1,\n    2,\n):\n    case _:\n        pass\n",
        "def f(*numbers: *tuple[int, ...]): ...\n",
        "rows = {}\nrows[one := 1] = 2\n",
        "async def f(rows):\n    return [[cell async for cell in row] for row in rows]\n",
        "text = f\"\"\"{', '.join('ab') + '\\n'}\"\"\"\n",
        'text = f"{\n    1\n}"\n',
        "try:\n    pass\nexcept *ValueError:\n    pass\n",
    ],
)
def test_syntax_that_is_too_new_for_the_baseline_is_found_in_any_layout(bench: Bench, newer: str) -> None:
    """Only a few files are compiled on the baseline, so the selection must include all files with newer syntax."""
    service_tree(bench.root, {"old/app.py": newer})

    assert [finding.code for finding in bench.analyze()["old"].findings] == ["PY210"]


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="pytest runs on a Python that reads the target's syntax itself")
@pytest.mark.parametrize(
    "newer", ["type Row = list[int]", "def first[T](rows: list[T]) -> T: ...", "text = f'{'-'.join('ab')}'"]
)
def test_files_that_only_the_target_can_parse_are_judged(bench: Bench, newer: str) -> None:
    """The Python that runs pytest is older than the target: the target scans the file, by the same scanner."""
    service_tree(bench.root, {"well/app.py": f"import imp\n{newer}\n", "old/app.py": f"import imp\n{newer}\n"})

    results = bench.analyze()

    assert [(item.code, item.names) for item in results["well"].findings] == [("PY201", ("imp",))]
    assert [item.code for item in results["old"].findings] == ["PY201", "PY210"]
    assert {item.unchecked_reason for item in results.values()} == {""}


def test_findings_of_a_migrated_service_do_not_block(bench: Bench) -> None:
    """They are pre-existing; incompatibility with the former baseline is not reported."""
    service_tree(bench.root, {"well/app.py": "import tomllib\n", "well/more.py": "import smtpd\n"})

    result = bench.analyze()["well"]

    (gone,) = result.findings
    assert (gone.code, gone.names, gone.preexisting, gone.blocks) == ("PY201", ("smtpd",), True, False)
    assert result.unchecked_reason == ""


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="this Python reads it itself")
def test_a_shared_file_is_judged_for_each_service(bench: Bench) -> None:
    """A service's own module hides the standard one, also in files that the target scans."""
    shared = "import imp\ntype Row = list[int]\n"
    service_tree(bench.root, {"shared/rows.py": shared, "well/imp.py": ""})
    services = [
        replace(service(name), path=name, settings=ServiceSettings(needs=("shared",)), baseline=Interpreter(3, 9))
        for name in ("old", "well")
    ]
    analyzer = ServiceAnalyzer(
        plan=Plan(root=bench.root, target=TARGET), cache=bench.cache, runner=bench.runner, processes=1
    )
    analyzer.register(services)

    findings = {item.name: analyzer.analyze(Cell(service=item, interpreter=TARGET), None).findings for item in services}

    gone = {
        name: [item.code for item in reported if item.location and item.location.path == "shared/rows.py"]
        for name, reported in findings.items()
    }
    assert gone == {"old": ["PY201", "PY210"], "well": ["PY210"]}
