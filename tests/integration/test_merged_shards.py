"""Three parts of a run, each in a clean clone of its own, merged: the report equals that of one run."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.integration.cloned_fleets import FLEET, commit_fleet, differences, git
from tests.support.child_pytest import PYTEST

pytestmark = [pytest.mark.network, pytest.mark.timeout(900)]

PARTS = 3


class Machines:
    """A repository, and machines that have clean clones of it and nothing else in common but a cache."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self.folder, self.cache = folder, cache
        self.origin = commit_fleet(folder / "origin", FLEET)

    def run(self, name: str, *arguments: str, change: Callable[[Path], None] = lambda clone: None) -> Path:
        """Run the gate in a new clone, and return its report."""
        clone, report = self.folder / name, self.folder / f"{name}.json"
        git(self.folder, "clone", "-q", str(self.origin), str(clone))
        change(clone)
        fixed = ["--py312", "--py312-runner=local", f"--py312-cache-dir={self.cache}", "-q"]
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_", "GITHUB_"))}
        done = subprocess.run(
            [*PYTEST, *fixed, f"--py312-report={report}", f"--junitxml={name}.xml", *arguments],
            cwd=clone, env=kept, check=False, capture_output=True, timeout=600, text=True,
        )  # fmt: skip
        assert report.exists() == (done.returncode >= 0), done.stdout + done.stderr
        return report

    def merge(self, *documents: Path, options: tuple[str, ...] = ()) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "pytest_py312", "merge", *map(str, documents), *options],
            cwd=self.folder, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory, gate_cache: Path) -> Machines:
    return Machines(tmp_path_factory.mktemp("machines"), gate_cache)


@pytest.fixture(scope="module")
def parts(machines: Machines) -> list[Path]:
    """The documents of the three parts; the last one was checked by two workers."""
    workers = {PARTS: ("-n", "2")}
    return [
        machines.run(f"part-{part}", f"--py312-shard={part}/{PARTS}", *workers.get(part, ()))
        for part in range(1, PARTS + 1)
    ]


@pytest.fixture(scope="module")
def whole(machines: Machines) -> Any:
    """The document of one run."""
    return json.loads(machines.run("whole").read_text(encoding="utf-8"))


def test_each_service_is_judged_on_one_machine(parts: list[Path]) -> None:
    services = [
        {outcome["service"] for outcome in json.loads(part.read_text(encoding="utf-8"))["outcomes"]} for part in parts
    ]
    assert sorted(map(len, services)) == [1, 1, 1]
    assert len(set.union(*services)) == PARTS


def test_the_merged_report_equals_that_of_one_run(machines: Machines, parts: list[Path], whole: Any) -> None:
    """Field by field, but for times: outcomes, findings, suites, builds, cells, verdict."""
    merged = machines.merge(*parts, options=("--report=merged.json", "--junitxml=merged.xml"))

    assert merged.returncode == whole["exit_status"] == 1, merged.stderr
    document = json.loads((machines.folder / "merged.json").read_text(encoding="utf-8"))
    assert list(differences(document, whole)) == []
    assert {outcome["status"] for outcome in whole["outcomes"]} == {"passed", "failed"}
    assert "PY901" in {found["code"] for outcome in whole["outcomes"] for found in outcome["findings"]}
    names = [case.attrib["name"] for case in ElementTree.parse(machines.folder / "merged.xml").iter("testcase")]
    assert sorted(names) == sorted(
        case.attrib["name"] for case in ElementTree.parse(machines.folder / "whole" / "whole.xml").iter("testcase")
    )


def test_a_missing_document_is_refused(machines: Machines, parts: list[Path]) -> None:
    merged = machines.merge(*parts[1:])
    assert (merged.returncode, merged.stdout) == (4, "")
    assert "part 1 of 3 is missing" in merged.stderr


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda content: content[: len(content) // 2], "is not whole"),
        (lambda content: content.replace(b'"status": "failed"', b'"status": "passed"'), "was changed"),
    ],
)
def test_a_document_that_was_cut_or_edited_is_refused(
    machines: Machines, parts: list[Path], tmp_path: Path, damage: Callable[[bytes], bytes], reason: str
) -> None:
    for part in parts:
        (tmp_path / part.name).write_bytes(damage(part.read_bytes()))
        assert (tmp_path / part.name).read_bytes() != part.read_bytes() or reason == "was changed"
    blocked = next(part for part in parts if (tmp_path / part.name).read_bytes() != part.read_bytes())

    merged = machines.merge(*(part for part in parts if part != blocked), tmp_path / blocked.name)

    assert merged.returncode == 4
    assert f"{blocked.name} {reason}" in merged.stderr


def test_a_document_of_another_commit_is_refused(machines: Machines, parts: list[Path]) -> None:
    def commit(clone: Path) -> None:
        (clone / "README.md").write_text("changed")
        git(clone, "add", "-A")
        git(clone, "commit", "-qm", "second")

    other = machines.run("other-commit", f"--py312-shard=2/{PARTS}", change=commit)

    merged = machines.merge(parts[0], other, parts[2])
    assert merged.returncode == 4
    assert f"part 2 ({other}) is of commit" in merged.stderr


def test_a_document_of_changed_files_is_refused(machines: Machines, parts: list[Path]) -> None:
    def change(clone: Path) -> None:
        (clone / "services/auth-service/auth.py").write_text("def allowed(name):\n    return True\n")

    other = machines.run("dirty", f"--py312-shard=2/{PARTS}", change=change)

    merged = machines.merge(parts[0], other, parts[2])
    assert merged.returncode == 4
    assert f"part 2 ({other}) is of other files than the others, though of the same commit" in merged.stderr


def test_a_document_with_other_options_is_refused(machines: Machines, parts: list[Path]) -> None:
    other = machines.run("filtered", f"--py312-shard=2/{PARTS}", "-k", "suite")

    merged = machines.merge(parts[0], other, parts[2])
    assert merged.returncode == 4
    assert f'part 2 ({other}) was checked with another value of -k than the others: "suite"' in merged.stderr


def test_a_killed_part_leaves_no_document(machines: Machines, parts: list[Path]) -> None:
    """Nor one that looks whole."""
    report = machines.folder / "killed.json"
    code = "import os, signal\ndef pytest_runtest_logfinish(nodeid):\n    os.kill(os.getpid(), signal.SIGKILL)\n"

    def add_plugin(clone: Path) -> None:
        (machines.folder / "killing.py").write_text(code)

    environment = {"PYTHONPATH": str(machines.folder)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", environment["PYTHONPATH"])
        machines.run("killed", f"--py312-shard=2/{PARTS}", "-p", "killing", change=add_plugin)

    assert not report.exists()
    merged = machines.merge(parts[0], report, parts[2])
    assert merged.returncode == 4
    assert "killed.json cannot be read: No such file or directory" in merged.stderr
