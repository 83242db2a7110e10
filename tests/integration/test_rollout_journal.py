"""The journal of rollouts on a disk that fills up."""

import itertools
from contextlib import suppress
from pathlib import Path

import pytest

from pytest_py312.core.database import DiskFull
from pytest_py312.rollout.domain.events import DeployFailed, Locked
from pytest_py312.rollout.domain.journal import JOURNAL_FILE, Journal
from pytest_py312.rollout.domain.measurements import Measurement, Result, Sample, Timestamp
from pytest_py312.rollout.domain.model import StageState
from tests.integration.small_disks import enlarge, small_disk
from tests.unit.rollout.runs import planned


def samples(slots: range, service: str = "auth") -> list[Sample]:
    measured = tuple(
        Measurement(metric=f"metric-{number}", result=Result.FAILED, detail="x" * 300) for number in range(20)
    )
    at = Timestamp(wall=1.0, boottime=1.0, boot="b")
    return [Sample(service=service, slot=slot, at=at, measurements=measured) for slot in slots]


def kept_until_full(journal: Journal, service: str = "auth", owner: str = "me") -> int:
    """Add samples until the disk is full; return their number."""
    for slot in itertools.count(1):
        try:
            journal.add_samples("r1", samples(range(slot, slot + 1), service), owner=owner)
        except DiskFull:
            return slot - 1
    raise AssertionError("count does not end")


def fill(path: Path) -> None:
    """Write to a file until the disk is full."""
    with path.open("ab", buffering=0) as stream, suppress(OSError):
        while stream.write(b"\0" * 512):
            pass


def test_on_a_full_disk_the_final_event_is_written_and_nothing_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pytest_py312.rollout.domain.journal.MIN_FREE_BYTES", 0)
    with small_disk(tmp_path / "disk", "2m") as disk:
        journal = Journal(disk)
        journal.begin(planned(), owner="me")
        journal.record("r1", Locked(), owner="me")
        kept = kept_until_full(journal)
        fill(disk / "filler")
        with pytest.raises(DiskFull, match="the disk is full"):
            journal.add_samples("r1", samples(range(kept + 1, kept + 2)), owner="me")
        after = journal.record("r1", DeployFailed(service="auth", reason="no room"), owner="me")
        assert after.state is StageState.ROLLED_BACK
        journal.close()

        enlarge(disk, "8m")
        again = Journal(disk)
        assert again.load_run("r1") == after
        assert [sample.slot for sample in again.samples("r1", "auth")] == list(range(1, kept + 1))
        assert again.add_samples("r1", samples(range(kept + 1, kept + 2)), owner="me") == 1
        assert (disk / JOURNAL_FILE).with_suffix(".reserve").exists()
        again.close()
