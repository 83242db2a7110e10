"""One round: start an operation, kill it at a random moment under a condition, bring it back by one command, check."""

import random
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from pytest_py312.rollout.domain.model import StageState
from tests.kills.site import BROKEN_PLANS, CONTROLLED, SERVICES, STAGE, Site, wait_until_gone

POLL_SECONDS = 0.01


class Operation(Enum):
    """What is killed. ``argv`` are the words of the command, ``is_up`` whether the stage is deployed before."""

    DEPLOY = ("deploy", ("deploy", *STAGE), False)
    WATCH = ("watch", ("watch", *STAGE), True)
    ROLLBACK = ("rollback", ("rollback", *STAGE, "--reason", "by hand"), True)
    DRILL = ("drill", ("drill", *STAGE, "--fault", "stop", "--service", "auth"), False)

    def __init__(self, title: str, argv: tuple[str, ...], is_up: bool) -> None:
        self.title = title
        self.argv = argv
        self.is_up = is_up


class Condition(Enum):
    """What else is wrong."""

    NONE = "nothing else"
    DISK_FULL = "disk full"
    PLAN_BROKEN = "plan broken"


RECOVER, ROLL_BACK = ("recover",), ("rollback", *STAGE)
"""Each of them has to bring everything back, whatever was killed."""
UP = (StageState.SOAKING, StageState.SOAKED, StageState.HELD, StageState.ACCEPTED)


@dataclass(frozen=True, kw_only=True)
class Length:
    """How long an operation takes undisturbed, in seconds and in entries of the journal."""

    seconds: float
    entries: int


TYPICAL_LENGTHS: Mapping[Operation, Length] = {
    Operation.DEPLOY: Length(seconds=7.0, entries=31),
    Operation.WATCH: Length(seconds=9.0, entries=7),
    Operation.ROLLBACK: Length(seconds=3.0, entries=6),
    Operation.DRILL: Length(seconds=12.0, entries=32),
}
"""Where they need not be measured, because the moments are counted in entries."""


@dataclass(frozen=True, kw_only=True)
class Round:
    """What happens in one round; it follows from the seed and the number."""

    number: int
    operation: Operation
    condition: Condition
    command: tuple[str, ...]
    moment: float
    """Share of the operation after which it is killed."""
    by_entries: bool
    """Whether that is counted in entries of the journal, and not in seconds."""
    condition_moment: float
    """Share of that time after which the disk is filled."""
    broken_plan: str

    def __str__(self) -> str:
        unit = "entries" if self.by_entries else "time"
        return (
            f"{self.number}: {self.operation.title}, {self.condition.value}, killed at {self.moment:.0%} of its {unit}"
            f", then {' '.join(self.command)}"
        )


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a round ended. ``problem`` is empty if everything was brought back."""

    round: Round
    was_killed: bool
    """``False`` if the operation had ended by itself."""
    state: str
    problem: str
    seconds: float


def plan_round(number: int, seed: int) -> Round:
    """Return the round of that number: operations and conditions take turns, everything else is random."""
    rng = random.Random(f"{seed}:{number}")
    operations, conditions = list(Operation), list(Condition)
    operation = operations[number % len(operations)]
    return Round(
        number=number,
        operation=operation,
        condition=conditions[number // len(operations) % len(conditions)],
        command=rng.choice((RECOVER, ROLL_BACK)),
        moment=rng.random(),
        by_entries=rng.random() < 0.5,
        condition_moment=rng.random(),
        broken_plan=rng.choice(BROKEN_PLANS),
    )


def measure(site: Site) -> dict[Operation, Length]:
    """Run the operations one after the other, undisturbed, and return how long each takes."""
    lengths = {}
    for operation in Operation:  # what each needs, those before it have done
        entries, started = site.entries(), time.monotonic()
        _require(site.run(*operation.argv))
        lengths[operation] = Length(seconds=time.monotonic() - started, entries=site.entries() - entries)
    assert_previous_versions(site)
    return lengths


def perform(site: Site, planned: Round, length: Length) -> Outcome:
    """Perform a round. Afterwards the site is as it was before, whatever has happened."""
    started = time.monotonic()
    was_killed, state, problem = False, "", ""
    try:
        _bring_up(site, planned.operation)
        volumes = site.volumes()
        was_killed = _kill(site, planned, length)
        volumes = site.volumes() - volumes
        state = _bring_back(site, planned)
        left = sorted(volumes & site.existing_volumes())
        assert not left, f"volumes are left: {left}"
    except Exception as error:  # whatever it is, it is the result of this round
        problem = str(error) or repr(error)
    finally:
        _reset(site)
    return Outcome(
        round=planned, was_killed=was_killed, state=state, problem=problem, seconds=time.monotonic() - started
    )


def _bring_up(site: Site, operation: Operation) -> None:
    if operation.is_up:
        _require(site.run("deploy", *STAGE))


def _require(result: tuple[int, str]) -> str:
    code, output = result
    assert code == 0, f"ended with {code}: {output}"
    return output


def _kill(site: Site, planned: Round, length: Length) -> bool:
    """Start the operation and kill its first process; return whether it was still running."""
    entries = site.entries()
    with site.start(*planned.operation.argv) as process:
        started = time.monotonic()

        def share() -> float:
            if planned.by_entries:
                return (site.entries() - entries) / length.entries
            return (time.monotonic() - started) / length.seconds

        if planned.condition is Condition.DISK_FULL:
            _wait(process, share, planned.moment * planned.condition_moment)
            site.fill_disk()
        _wait(process, share, planned.moment)
        was_running = process.poll() is None
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()  # what it started may still hold the other end
    if planned.condition is Condition.PLAN_BROKEN:
        site.write_plan(planned.broken_plan)
    return was_running


def _wait(process: "subprocess.Popen[str]", share: Callable[[], float], wanted: float) -> None:
    while process.poll() is None and share() < wanted:
        time.sleep(POLL_SECONDS)


def _bring_back(site: Site, planned: Round) -> str:
    """Bring everything back by one command, and check it; return the state of the stage."""
    code, output = site.run(*planned.command)
    text = f"`{' '.join(planned.command)}` ended with {code}: {output}"
    assert code == 0, text
    left = wait_until_gone(site)
    assert not left, f"processes are left: {left}"
    files = sorted(path.name for path in site.temporary.iterdir())
    assert not files, f"temporary files are left: {files}"
    site.free_disk()
    state = site.state()
    try:
        if planned.command == RECOVER and state in UP:
            assert planned.operation is not Operation.DRILL, "a drill is left up"
            assert_new_versions(site, has_control=state is not StageState.ACCEPTED)
        else:
            assert_previous_versions(site)
    except AssertionError as error:
        raise AssertionError(f"{error}, after {text}") from error
    return state.value if state else "not begun"


def _reset(site: Site) -> None:
    """Restore the site for the next round."""
    site.end_processes()
    site.free_disk()
    site.write_plan()
    shutil.rmtree(site.temporary)
    site.temporary.mkdir()
    if site.state() in UP:
        site.run(*ROLL_BACK)
    try:
        assert_previous_versions(site)
    except AssertionError:  # what a failed round has left
        site.run("recover")
        site.run(*ROLL_BACK)
        assert_previous_versions(site)


# ---- checks


def assert_previous_versions(site: Site) -> None:
    """Check that the previous containers serve, nothing else is left, and the environment is not locked."""
    environment = site.environment
    serving, names = environment.serving(), set(environment.containers())
    assert serving == environment.all_old(), f"{serving} serve, and not {environment.all_old()}"
    expected = {f"{environment.name}-{service}" for service in SERVICES}
    assert names == expected, f"containers are left: {sorted(names - expected)}"
    networks = [network["Name"] for network in environment.engine.client.networks(names=[environment.name])]
    assert not networks, f"networks are left: {networks}"
    holder = environment.target.environment_lock(environment.name).holder()
    assert holder is None, f"it is locked by {holder}"


def assert_new_versions(site: Site, *, has_control: bool) -> None:
    """Check that only the new versions serve, beside the kept previous containers, and the control of one service."""
    environment = site.environment
    pythons = {service: python for service, (_, python) in environment.serving().items()}
    assert pythons == dict.fromkeys(SERVICES, "3.12"), f"{pythons} serve"
    running = {name for name, is_running in _running(site).items() if is_running}
    controls = {name for name in running if name.startswith(f"{environment.name}-{CONTROLLED}.control-")}
    expected = {f"{environment.name}-{service}" for service in SERVICES} | controls
    assert running == expected, f"also running: {sorted(running - expected)}"
    assert len(controls) == int(has_control), f"controls: {sorted(controls)}"


def _running(site: Site) -> dict[str, bool]:
    containers = site.environment.containers()
    listed = [(name, site.environment.engine.client.inspect_container(id_)) for name, id_ in containers.items()]
    return {name: bool(container["State"]["Running"]) for name, container in listed}
