"""The whole gate when what it stands on fails: the index, the disk, its own process, and another run beside it."""

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
MENDABLE = "one==1.0\ntwo==1.0\nfine\n"
MENDED = "one==1.0\ntwo==1.1\nfine\n"


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
        ("hangs up", MENDABLE),
        ("500", "fine\none\n"),
        ("garbage", "gone\nfine\n"),
        ("truncated", MENDABLE),
        ("denied", "fine\none\n"),
    ],
    ids=["hangs up", "500", "garbage", "truncated", "denied"],
)
def test_an_index_that_fails_is_no_verdict_and_leaves_none_behind(
    repository: Repository, fault: str, lines: str
) -> None:
    """Whatever is required: neither green nor a blocker. Once the index is well again, so is the gate."""
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


def test_an_index_that_is_away_is_no_verdict(repository: Repository) -> None:
    repository.require(MENDABLE)
    repository.index.shutdown()
    repository.index.server_close()

    done = repository.gate("--py312-report=away.json")

    assert done.returncode == 1, done.stdout
    assert statuses(repository.root / "away.json") == dict.fromkeys(TOGETHER, "errored")
    assert "secret" not in done.stdout + done.stderr


# ---- two runs


@pytest.mark.parametrize("lines", ["fine\none\n", MENDABLE], ids=["well", "conflict"])
def test_two_runs_at_once_on_one_cache_say_the_same_as_one(repository: Repository, lines: str) -> None:
    """And what they leave in the cache is whole: a third run needs no index any more."""
    repository.require(lines)

    with ThreadPoolExecutor(3) as pool:
        runs = list(pool.map(lambda number: repository.gate(f"--py312-report={number}.json"), range(3)))
    repository.index.fault = "500"
    after = repository.gate("--py312-report=after.json", "--py312-no-cache")

    assert {run.returncode for run in (*runs, after)} == {0 if lines == "fine\none\n" else 1}
    told = [
        [(found["interpreter"], found["status"], found["reason"], found["findings"]) for found in outcomes(report)]
        for report in (*(repository.root / f"{number}.json" for number in range(3)), repository.root / "after.json")
    ]
    assert told[0]
    assert told == told[:1] * 4
    assert list((repository.cache / "tmp").iterdir()) == []


# ---- a kill

KILLER = """
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
    """With its new text half written, or whole and not yet in its place; the next run writes it and sweeps up."""
    repository.require(MENDABLE)
    killer = repository.root / "conftest.py"
    killer.write_text(KILLER.format(name=step))

    ended = repository.gate("--py312-fix")

    assert ended.returncode == -signal.SIGKILL, ended.stdout
    assert repository.required == MENDABLE

    killer.unlink()
    assert repository.gate("--py312-fix").returncode == 0
    assert repository.required == MENDED
    assert [path.name for path in (repository.root / SERVICE).parent.iterdir()] == ["requirements.txt"]


# ---- the disk


@pytest.mark.parametrize("size", ["8k", "64k", "256k"])
def test_a_cache_on_a_full_disk_is_no_verdict_and_holds_none(repository: Repository, tmp_path: Path, size: str) -> None:
    """Wherever the room ends, the run ends and says so; with more of it, the same cache is as good as any."""
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
