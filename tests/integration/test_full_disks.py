"""A rollout on a disk that fills up: samples stop, everyone sees it, and a rollback is recorded to its end."""

import itertools
import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_py312.cli import monitor_commands
from pytest_py312.core.database import RESERVE_BYTES, DiskFull
from pytest_py312.rollout.domain.journal import JOURNAL_FILE, Journal
from pytest_py312.rollout.domain.model import StageState
from pytest_py312.rollout.domain.target_model import Usage
from pytest_py312.rollout.execution.driver import Driver
from pytest_py312.rollout.execution.locking import current_operator
from pytest_py312.rollout.live.live_page import LivePage
from pytest_py312.rollout.monitoring.soak import SoakMonitor
from tests.integration.small_disks import enlarge, small_disk
from tests.integration.test_rollout_journal import fill, kept_until_full, samples
from tests.support.fakes import FakeTarget
from tests.unit.rollout.runs import planned
from tests.unit.rollout.shells import PLAN, Shell, shell_in
from tests.unit.rollout.sites import CASES, Case, site_in

SERVICES = tuple(f"service-{number}" for number in range(20))
OLD, NEW = "old-3.9", "new-3.12"


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr("pytest_py312.rollout.domain.journal.MIN_FREE_BYTES", 0)
    with small_disk(tmp_path / "disk", "4m") as folder:
        yield folder


def deployed(disk: Path, target: FakeTarget) -> None:
    """Deploy a stage of many services, and leave it in its soak."""
    for service in SERVICES:
        target.serve(service, OLD)
    run = planned(*SERVICES)
    for service in SERVICES:
        run = run.with_deployment(service, image=NEW)
    journal = Journal(disk)
    assert driver(journal, target, disk).deploy(run).state is StageState.SOAKING
    journal.close()


def driver(journal: Journal, target: FakeTarget, disk: Path, *, fills: bool = False) -> Driver:
    """Return a driver; with ``fills`` something else takes all free space after each of its steps."""
    return Driver(
        journal, target, current_operator(), log=lambda text: fill(disk / "filler") if fills else None,
        pause=lambda seconds: None,
    )  # fmt: skip


def reserved(disk: Path) -> int:
    return (disk / JOURNAL_FILE).with_suffix(".reserve").stat().st_size


@pytest.mark.parametrize("is_killed", [False, True], ids=["closed", "killed"])
@pytest.mark.parametrize("fills", [False, True], ids=["nothing else writes", "all else is taken"])
def test_a_rollback_needs_only_what_is_reserved(disk: Path, fills: bool, is_killed: bool) -> None:
    target = FakeTarget()
    deployed(disk, target)
    monitor = Journal(disk)
    assert kept_until_full(monitor, SERVICES[0], owner=monitor.owner("r1")) > 10
    fill(disk / "filler")
    assert reserved(disk) == RESERVE_BYTES
    if not is_killed:
        monitor.close()

    target.before = lambda step: fill(disk / "filler") if fills else None
    journal = Journal(disk)
    run = driver(journal, target, disk, fills=fills).rollback("r1", reason="by hand")
    assert run.state is StageState.ROLLED_BACK
    assert target.serving() == dict.fromkeys(SERVICES, OLD)
    assert reserved(disk) > RESERVE_BYTES / 2
    journal.close()
    again = Journal(disk)
    assert again.load_run("r1") == run
    again.close()


def test_samples_never_use_the_reserve_even_after_a_decision_has(disk: Path) -> None:
    target = FakeTarget()
    deployed(disk, target)
    journal = Journal(disk)
    owner = journal.owner("r1")
    fill(disk / "filler")
    journal.acquire("r1", owner="me")
    left = reserved(disk)
    assert left < RESERVE_BYTES
    for slot in range(1, 50):
        with pytest.raises(DiskFull, match="the disk is full"):
            journal.add_samples("r1", samples(range(slot, slot + 1), SERVICES[0]), owner="me")
        journal.add_note("r1", "dropped")
    with pytest.raises(DiskFull):
        journal.acquire("r1", owner=owner, urgent=False)
    assert (reserved(disk), journal.owner("r1")) == (left, "me")

    enlarge(disk, "8m")
    assert journal.add_samples("r1", samples(range(1, 2), SERVICES[0]), owner="me") == 1
    assert reserved(disk) == RESERVE_BYTES
    journal.close()


def test_a_full_disk_is_read_without_the_reserve(disk: Path) -> None:
    """A scheduled `sample` or `status` must not use up what a rollback needs."""
    deployed(disk, FakeTarget())
    fill(disk / "filler")
    for _ in range(5):
        journal = Journal(disk)
        assert journal.load_run("r1").state is StageState.SOAKING
        assert journal.space_problem.startswith("the disk is full: 0 bytes are free beside 1 MiB that are reserved")
        with pytest.raises(DiskFull, match="nothing can be monitored: the disk is full"):
            driver(journal, FakeTarget(), disk).attach("r1")
        journal.close()
    assert reserved(disk) == RESERVE_BYTES


def test_a_journal_is_not_created_on_a_full_disk(disk: Path) -> None:
    (disk / ".gitignore").touch()
    fill(disk / "filler")
    with pytest.raises(DiskFull, match="free some space on its disk"):
        Journal(disk)


# ---- commands


@pytest.fixture
def shell(tmp_path: Path, disk: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A stage in its soak, with its journal on the small disk and a command that is notified."""
    notified = json.dumps(["sh", "-c", f"cat >> {tmp_path}/notices; echo >> {tmp_path}/notices"])
    plan = f"{PLAN.replace('180s', '60m')}\n[deploy.environments]\ntest = {{ notify = [{notified}] }}\n"
    (tmp_path / "repository").mkdir()
    shell = shell_in(tmp_path / "repository", monkeypatch, plan=plan)
    shell.context = replace(shell.context, state_dir=disk)
    shell("deploy --stage 1")
    return shell


def let_pass(monkeypatch: pytest.MonkeyPatch, passes: Callable[[float], Awaitable[None]]) -> None:
    """Replace the sleep of soaks."""
    monkeypatch.setitem(SoakMonitor.__init__.__kwdefaults__ or {}, "sleep", passes)


def notices(shell: Shell) -> list[str]:
    path = shell.root.parent / "notices"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [json.loads(line)["event"] for line in lines if line]


def test_a_watch_reports_the_first_sample_that_is_not_stored(
    shell: Shell, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the terminal, on the page and to those who are notified; and that samples are stored again."""
    pages: list[str] = []
    live: list[LivePage] = []

    class KeptPage(LivePage):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            live.append(self)

    async def passes(seconds: float) -> None:
        shell.seconds += seconds
        pages.append(live[0].render())
        if len(pages) == 2:
            fill(disk / "filler")
        if "was not stored" in "".join(pages[-2:-1]):
            enlarge(disk, "8m")

    monkeypatch.setattr(monitor_commands, "LivePage", KeptPage)
    let_pass(monkeypatch, passes)
    shell("watch --stage 1")
    lines = [line for line in shell.logged if ", sample " in line]
    is_lost = ["not stored, so it earns no credit" in line for line in lines]
    assert [is_lost_first for is_lost_first, _ in itertools.groupby(is_lost)] == [False, True, False], lines
    assert not any("all well" in line for line in lines if "not stored" in line)
    is_shown = ["was not stored" in page for page in pages]
    assert [is_shown_first for is_shown_first, _ in itertools.groupby(is_shown)] == [False, True, False]
    assert notices(shell) == ["samples_not_stored", "samples_stored", "accepted"]


@pytest.mark.parametrize("command", ["watch", "sample"])
def test_monitoring_is_refused_on_a_full_disk_with_a_notice(shell: Shell, disk: Path, command: str) -> None:
    shell("sample --stage 1", code=75)
    fill(disk / "filler")
    with pytest.raises(DiskFull, match=r"nothing can be monitored: the disk is full: .* a rollback can be recorded"):
        shell(f"{command} --stage 1")
    assert notices(shell) == ["samples_not_stored"]
    assert reserved(disk) == RESERVE_BYTES


def test_status_shows_a_full_disk(shell: Shell, disk: Path) -> None:
    assert "the disk is full" not in shell("status")
    fill(disk / "filler")
    assert f"{disk}: the disk is full: 0 bytes are free beside 1 MiB that are reserved" in shell("status")
    document = shell.document("status")
    assert document["disk_full"].endswith("a rollback can be recorded. Free some space")
    assert document["runs"][0]["state"] == "soaking"


@pytest.mark.parametrize("command", ["rollback --stage 1", "deploy --rollback --stage 1"])
def test_a_stage_is_rolled_back_on_a_full_disk(shell: Shell, disk: Path, command: str) -> None:
    fill(disk / "filler")
    shell(command)
    assert shell.target.serving()["auth"] == OLD
    assert "rolled back" in shell("status")


@pytest.mark.parametrize("fills", [False, True], ids=["nothing else writes", "all else is taken"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.command)
def test_command_works_on_a_full_disk(
    case: Case,
    fills: bool,
    disk: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As the table in ``docs/reference/rollout.md`` has it."""
    site = site_in(tmp_path, monkeypatch)
    site.state_dir = disk
    site.shell.context = replace(site.shell.context, state_dir=disk)
    case.state(site)
    fill(disk / "filler")
    site.shell.target.before = lambda step: fill(disk / "filler") if fills else None
    if case.command.startswith("evidence"):
        assert site.type(case.command) == 4
        assert "cannot be written to: No space left on device" in capsys.readouterr().err
        assert site.type(f"{case.command} --out {tmp_path}/evidence") == 0
        return
    assert site.type(case.command) == 0
    case.check(site, capsys.readouterr().out)


def test_a_breach_in_a_running_watch_is_rolled_back_on_a_full_disk(
    shell: Shell, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full but for the sample that shows the breach, and what that leaves is taken."""

    def changed(step: str) -> None:
        if step.startswith("restore"):
            fill(disk / "filler")

    async def passes(seconds: float) -> None:
        shell.seconds += seconds
        shell.target.usage = Usage(cpu_seconds=1.0, memory=5, restarts=0, out_of_memory=True)

    shell.target.before = changed
    let_pass(monkeypatch, passes)
    shell("watch --stage 1", code=1)
    assert shell.target.serving()["auth"] == OLD
    assert shell.run().state is StageState.ROLLED_BACK
    assert notices(shell) == ["rolling_back", "rolled_back"]


def test_an_outage_on_a_full_disk_is_rolled_back(shell: Shell, disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """None of the samples that show it is stored, and none of the good ones before it earns credit."""

    async def passes(seconds: float) -> None:
        shell.seconds += seconds
        if len(credited) == 1:
            fill(disk / "filler")
        credited.append(shell.run().credited)
        if len(credited) == 100:
            shell.target.usage = Usage(cpu_seconds=1.0, memory=5, restarts=0, out_of_memory=True)

    credited: list[float] = []
    let_pass(monkeypatch, passes)
    shell("watch --stage 1", code=1)
    assert len(credited) >= 100
    assert credited[-1] < shell.run().soak / 2
    assert shell.target.serving()["auth"] == OLD
    assert notices(shell) == ["samples_not_stored", "rolling_back", "rolled_back"]


def test_good_samples_on_a_full_disk_complete_no_soak(
    shell: Shell, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor do they once there is space again: what counts is what is stored."""
    waits: list[float] = []

    async def passes(seconds: float) -> None:
        shell.seconds += seconds
        waits.append(seconds)
        if len(waits) == 1:
            fill(disk / "filler")
        if sum(waits) > 2 * 3600 and "samples_stored" not in notices(shell):
            assert shell.run().state is StageState.SOAKING
            enlarge(disk, "8m")

    let_pass(monkeypatch, passes)
    shell("watch --stage 1")
    run = shell.run()
    assert run.state is StageState.ACCEPTED
    journal = Journal(disk)
    assert run.soak <= run.credited <= 60.0 * len(journal.samples(run.run, "auth"))
    journal.close()
