"""Deployments that are killed at a random moment, and what the next start makes of them.

    python -m tests.integration.rollouts.killing [--rounds 30] [--seed 1]

Each round deploys three services in a process of its own, kills it with SIGKILL after a random time, kills half of the
recoveries as well, and then recovers. All have to be old or all new, verified by asking what serves, with nothing left.
"""

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pytest_py312.rollout.driver import Driver
from pytest_py312.rollout.holding import Me
from pytest_py312.rollout.journal import Journal
from pytest_py312.rollout.model import StageState
from pytest_py312.rollout.targets.docker import DockerTarget
from pytest_py312.runners.docker_engine import connect
from pytest_py312.runners.docker_owner import this_process
from tests.integration.rollouts.services import Place, built, place, with_last

LONGEST = 9.0
"""Seconds within which a process is killed; a whole deployment takes about so long."""


def act(folder: str, what: str) -> None:
    """What the process that is killed does: deploy the run that the folder describes, or recover."""
    engine = connect()
    journal = Journal(Path(folder))
    driver = Driver(journal, DockerTarget(engine), Me(name="killed", host="here", process=str(this_process())))
    environment, *images = what.split()
    print("ready", flush=True)
    if not images:
        driver.recover(environment)
        return
    made = Place(
        engine=engine,
        target=DockerTarget(engine),
        folder=Path(folder),
        name=environment,
        services=("auth", "user", "gateway"),
        images={"3.12": images[0]},
    )
    driver.deploy(with_last(made.run("3.12").with_deployment("user", wants_twin=True), images[1]))


def killed(folder: Path, what: str, seconds: float) -> bool:
    """Whether a process that does ``what`` was killed before its end."""
    argv = [sys.executable, "-m", "tests.integration.rollouts.killing", "--act", what, "--folder", str(folder)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, cwd=Path(__file__).parents[3]) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        try:
            code = process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            return True
    assert code == 0, f"the process ended by itself with {code}"
    return False


def one_round(here: Place, drawn: random.Random, *, broken: bool = False) -> str:
    """Deploy, kill, recover, and say how it ended: ``old`` or ``new``. Whatever is left over is an AssertionError."""
    last = here.images["3.12 sick" if broken else "3.12"]
    was_killed = killed(here.folder, f"{here.name} {here.images['3.12']} {last}", drawn.uniform(0.2, LONGEST))
    if was_killed and drawn.random() < 0.5:
        killed(here.folder, here.name, drawn.uniform(0.1, 2.0))
    with here.driver() as (driver, journal):
        driver.recover(here.name)
        states = [run.state for run in journal.newest(here.name)]
        serving = here.serving()
        names = set(here.containers())
        if states == [StageState.SOAKING]:
            assert {python for _, python in serving.values()} == {"3.12"}
            assert len(names) == 2 * len(here.services) + 2, names  # a twin, and the lock
            assert driver.rollback(journal.newest(here.name)[0].run, reason="the round is over").state.is_over
            assert here.serving() == here.all_old()
            names = set(here.containers())
            ended = "new"
        else:
            assert states in ([StageState.ROLLED_BACK], []), states
            assert serving == here.all_old()
            ended = "old"
        assert names == {f"{here.name}-{service}" for service in here.services}, names
        assert here.target.lock(here.name).holder() is None
        return ended


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--act", help=argparse.SUPPRESS)
    parser.add_argument("--folder", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.act:
        act(options.folder, options.act)
        return
    engine = connect()
    images = {"3.9": built(engine, "3.9"), "3.12": built(engine, "3.12"), "3.12 sick": built(engine, "3.12", "sick")}
    engine.close()
    drawn = random.Random(options.seed)
    ends: list[str] = []
    for number in range(options.rounds):
        begun = time.monotonic()
        with tempfile.TemporaryDirectory() as folder, place(Path(folder), images) as here:
            ends.append(one_round(here, drawn, broken=number % 5 == 4))
        print(f"{number + 1}: all {ends[-1]} ({time.monotonic() - begun:.1f} s)", flush=True)
    print(f"{len(ends)} of {options.rounds} rounds: {ends.count('old')} all old, {ends.count('new')} all new")


if __name__ == "__main__":
    main()
