"""The whole gate under faults: of the index, of the disk, of its own process, and with parallel runs."""

import json
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.integration.indexed_repository import SERVICE, TOGETHER, Repository, repository_of
from tests.integration.small_disks import enlarge, small_disk

INDEX = {
    "lib": {"1.0": "", "2.0": ""},
    "one": {"1.0": "lib==1.0"},
    "two": {"1.0": "lib==2.0", "1.1": "lib==1.0"},
    "fine": {"1.0": ""},
}
FIXABLE = "one==1.0\ntwo==1.0\nfine\n"
FIXED = "one==1.0\ntwo==1.1\nfine\n"


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    with repository_of(tmp_path, INDEX, monkeypatch) as made:
        yield made


def outcomes(report: Path) -> list[dict[str, Any]]:
    document = json.loads(report.read_text())
    return [outcome for outcome in document["outcomes"] if outcome["check"] == "dependencies"]


def statuses(report: Path) -> dict[str, str]:
    return {outcome["interpreter"]: outcome["status"] for outcome in outcomes(report)}


# ---- the index


@pytest.mark.parametrize(
    ("fault", "lines"),
    [
        ("hangs up", FIXABLE),
        ("500", "fine\none\n"),
        ("garbage", "gone\nfine\n"),
        ("truncated", FIXABLE),
        ("denied", "fine\none\n"),
    ],
    ids=["hangs up", "500", "garbage", "truncated", "denied"],
)
def test_a_failing_index_gives_no_verdict_and_caches_none(repository: Repository, fault: str, lines: str) -> None:
    """Neither a pass nor a blocker, whatever is required. Once the index works again, so does the gate."""
    repository.require(lines)
    repository.index.fault = fault

    done = repository.gate("--py312-report=faulty.json", "--py312-fix")

    assert done.returncode == 1, done.stdout
    assert statuses(repository.root / "faulty.json") == dict.fromkeys(TOGETHER, "errored")
    assert all(not outcome["findings"] for outcome in outcomes(repository.root / "faulty.json"))
    assert "secret" not in done.stdout + done.stderr
    assert repository.required == lines

    repository.index.fault = ""
    repository.gate("--py312-report=well.json")

    verdict = "passed" if lines == "fine\none\n" else "failed"
    assert statuses(repository.root / "well.json") == dict.fromkeys(TOGETHER, verdict)


def test_an_unreachable_index_gives_no_verdict(repository: Repository) -> None:
    repository.require(FIXABLE)
    repository.index.shutdown()
    repository.index.server_close()

    done = repository.gate("--py312-report=away.json")

    assert done.returncode == 1, done.stdout
    assert statuses(repository.root / "away.json") == dict.fromkeys(TOGETHER, "errored")
    assert "secret" not in done.stdout + done.stderr


# ---- parallel runs


@pytest.mark.parametrize("lines", ["fine\none\n", FIXABLE], ids=["well", "conflict"])
def test_parallel_runs_on_one_cache_agree_with_a_single_run(repository: Repository, lines: str) -> None:
    """And the cache is complete afterwards: the next run needs no index."""
    repository.require(lines)

    with ThreadPoolExecutor(3) as pool:
        runs = list(pool.map(lambda number: repository.gate(f"--py312-report={number}.json"), range(3)))
    repository.index.fault = "500"
    after = repository.gate("--py312-report=after.json", "--py312-no-cache")

    assert {run.returncode for run in (*runs, after)} == {0 if lines == "fine\none\n" else 1}
    reported = [
        [
            (outcome["interpreter"], outcome["status"], outcome["reason"], outcome["findings"])
            for outcome in outcomes(report)
        ]
        for report in (*(repository.root / f"{number}.json" for number in range(3)), repository.root / "after.json")
    ]
    assert reported[0]
    assert reported == reported[:1] * 4
    assert list((repository.cache / "tmp").iterdir()) == []


# ---- a kill

KILLER = """  # for pytest_py312
import os, signal
name, reals = {name!r}, {{one: getattr(os, one) for one in ("replace", "fsync")}}

def killing(*arguments, **named):
    about = os.readlink(f"/proc/self/fd/{{arguments[0]}}") if name == "fsync" else str(arguments[1])
    if "requirements.txt" in about or ("services/app" in about and about.endswith(".part")):
        os.kill(os.getpid(), signal.SIGKILL)
    return reals[name](*arguments, **named)

setattr(os, name, killing)
"""


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_kill_while_a_fix_is_written_leaves_the_old_file(repository: Repository, step: str) -> None:
    """The new text is partly written, or complete and not yet renamed; the next run finishes and cleans up."""
    repository.require(FIXABLE)
    killer = repository.root / "conftest.py"
    killer.write_text(KILLER.format(name=step))

    ended = repository.gate("--py312-fix")

    assert ended.returncode == -signal.SIGKILL, ended.stdout
    assert repository.required == FIXABLE

    killer.unlink()
    assert repository.gate("--py312-fix").returncode == 0
    assert repository.required == FIXED
    assert [path.name for path in (repository.root / SERVICE).parent.iterdir()] == ["requirements.txt"]


# ---- the disk


@pytest.mark.parametrize("size", ["8k", "64k", "256k"])
def test_a_full_disk_gives_no_verdict_and_caches_none(repository: Repository, tmp_path: Path, size: str) -> None:
    """The run ends with a message wherever the disk is full; with more space the same cache can be used."""
    repository.require("fine\none\n")
    with small_disk(tmp_path / "disk", size) as disk:
        repository.cache = disk / "cache"

        done = repository.gate("--py312-report=full.json")

        assert done.returncode not in (0, 3), done.stdout
        assert "Traceback" not in done.stdout + done.stderr
        assert "No space left on device" in " ".join((done.stdout + done.stderr).split())
        enlarge(disk, "64m")
        assert repository.gate("--py312-report=roomy.json").returncode == 0
        assert statuses(repository.root / "roomy.json") == dict.fromkeys(TOGETHER, "passed")
