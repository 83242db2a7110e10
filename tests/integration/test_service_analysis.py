"""The source of services inspected with real interpreters: who is asked what, and what need not be asked again."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_py312.analysis.files import parallel_scan
from pytest_py312.analysis.scanner.scan import scan_text
from pytest_py312.analysis.services.service_analysis import Inspection, Inspector
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
    """A repository of three services; each inspection is made by an inspector of its own."""

    def __init__(self, folder: Path) -> None:
        self.root = service_tree(folder / "repository", FILES)
        self.cache = folder / "cache"
        self.runner = local_runner(self.cache, folder)

    def inspect(self, *, lock: dict[str, str] | None = None) -> dict[str, Inspection]:
        inspector = Inspector(
            plan=Plan(root=self.root, target=TARGET), cache=self.cache, runner=self.runner, processes=1
        )
        services = [service(name) for name in BASELINES]
        inspector.expect(services)
        inspector.prepare()
        return {one.name: inspector.inspect(Cell(service=one, interpreter=TARGET), lock) for one in services}


def service(name: str) -> Service:
    return Service(
        name=name, path=name, stage=1, critical=False, baseline=BASELINES[name], baseline_source="a test",
        requirements=(), test_requirements=(), suite=None, settings=ServiceSettings(),
    )  # fmt: skip


def told(found: Inspection) -> list[str]:
    assert found.unchecked == ""
    return [f"{one.location.line} {one.message}" for one in found.findings if one.location]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    try:
        for interpreter in (*BASELINES.values(), Interpreter(3, 11)):
            made.runner.find(interpreter)
        yield made
    except CellUnavailable as reason:
        pytest.skip(str(reason))
    finally:
        made.runner.close()


def test_each_service_is_judged_from_its_own_baseline_and_told_since_when(bench: Bench) -> None:
    found = bench.inspect()

    assert told(found["old"]) == [
        "1 the module imp is gone since 3.12",
        "4 inspect.getargspec is gone since 3.11",
    ]
    assert told(found["newer"]) == ["2 the module asyncore is gone since 3.12"]
    assert told(found["well"]) == []


def test_what_was_found_holds_until_a_file_changes(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    before = bench.inspect()
    scanned: list[str] = []
    really = scan_text

    def counted(text: bytes, path: str, *, local: frozenset[str]) -> object:
        scanned.append(path)
        return really(text, path, local=local)

    def refused(*_: object, **__: object) -> object:
        raise AssertionError("an interpreter is asked again")

    with monkeypatch.context() as patched:
        patched.setattr(parallel_scan, "scan_text", counted)
        patched.setattr(LocalRunner, "tool", refused)
        assert bench.inspect() == before
    assert scanned == []

    (bench.root / "well/app.py").write_text("import smtpd\n")
    monkeypatch.setattr(parallel_scan, "scan_text", counted)
    after = bench.inspect()
    assert scanned == ["well/app.py"]
    assert after["old"] == before["old"]


def test_another_lock_is_judged_anew(bench: Bench) -> None:
    (bench.root / "old/app.py").write_text("import pkg_resources\n")

    without = bench.inspect(lock={})
    locked = bench.inspect(lock={"setuptools": "75.0.0"})

    assert len(told(without["old"])) == 1
    assert told(locked["old"]) == []


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
def test_syntax_that_is_too_new_for_the_baseline_is_told_however_it_is_laid_out(bench: Bench, newer: str) -> None:
    """The baseline's compiler is asked about few files only, so none with newer syntax may be left out."""
    service_tree(bench.root, {"old/app.py": newer})

    assert [one.code for one in bench.inspect()["old"].findings] == ["PY210"]


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="pytest runs on a Python that reads the target's syntax itself")
@pytest.mark.parametrize(
    "newer", ["type Row = list[int]", "def first[T](rows: list[T]) -> T: ...", "text = f'{'-'.join('ab')}'"]
)
def test_what_only_the_target_can_read_is_judged_all_the_same(bench: Bench, newer: str) -> None:
    """The Python that runs pytest is older than the target: the target scans the file, by the same scanner."""
    service_tree(bench.root, {"well/app.py": f"import imp\n{newer}\n", "old/app.py": f"import imp\n{newer}\n"})

    found = bench.inspect()

    assert [(one.code, one.names) for one in found["well"].findings] == [("PY201", ("imp",))]
    assert [one.code for one in found["old"].findings] == ["PY201", "PY210"]
    assert {one.unchecked for one in found.values()} == {""}


def test_a_service_that_has_moved_is_told_what_is_gone_and_not_blocked_by_it(bench: Bench) -> None:
    """It has been broken since the move, where nothing runs it; of the way back there is nothing to say."""
    service_tree(bench.root, {"well/app.py": "import tomllib\n", "well/more.py": "import smtpd\n"})

    found = bench.inspect()["well"]

    (gone,) = found.findings
    assert (gone.code, gone.names, gone.preexisting, gone.blocks) == ("PY201", ("smtpd",), True, False)
    assert found.unchecked == ""


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="this Python reads it itself")
def test_a_file_of_two_services_is_judged_by_what_each_has_beside_it(bench: Bench) -> None:
    """A module of its own hides the standard one from what is scanned by the target, too."""
    shared = "import imp\ntype Row = list[int]\n"
    service_tree(bench.root, {"shared/rows.py": shared, "well/imp.py": ""})
    needing = [
        replace(service(name), path=name, settings=ServiceSettings(needs=("shared",)), baseline=Interpreter(3, 9))
        for name in ("old", "well")
    ]
    inspector = Inspector(
        plan=Plan(root=bench.root, target=TARGET), cache=bench.cache, runner=bench.runner, processes=1
    )
    inspector.expect(needing)

    found = {one.name: inspector.inspect(Cell(service=one, interpreter=TARGET), None).findings for one in needing}

    gone = {
        name: [one.code for one in of_it if one.location and one.location.path == "shared/rows.py"]
        for name, of_it in found.items()
    }
    assert gone == {"old": ["PY201", "PY210"], "well": ["PY210"]}
