"""Rollouts that are killed at a random moment, and what the next start makes of them.

    python -m tests.integration.rollouts.killing [--times 1] [--seed 1]

What is done is done by a process of its own, which is killed with SIGKILL: while a stage of three goes up (half of the
recoveries are killed as well), while one is watched, while it is accepted, and while it comes back. Afterwards all has
to be old or all new, verified by asking what serves, with nothing left over.
"""

import argparse
import asyncio
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from pytest_py312.core.process_identity import this_process
from pytest_py312.repository.plan.rollout_settings import CompareSettings, RolloutSettings, SoakSettings
from pytest_py312.rollout.domain.journal import Journal
from pytest_py312.rollout.domain.model import StageRun, StageState
from pytest_py312.rollout.domain.stop_signals import Stop
from pytest_py312.rollout.execution.driver import Driver
from pytest_py312.rollout.execution.locking import Me
from pytest_py312.rollout.execution.watcher import Watcher
from pytest_py312.rollout.targets.docker.target import DockerTarget
from pytest_py312.runners.docker.engine import connect
from tests.integration.rollouts.services import Place, built, eventually, place, with_last
from tests.support.fakes import service

S = StageState
STEPS_UP, STEPS_OF_BROKEN = 17, 14
"""So many lines a process tells while three services go up, one of them with a twin; while the last of them fails."""
STEPS_BACK = 4
ROUNDS, WATCHED_ROUNDS = 14, 4
"""Kills while a stage goes up, and stages that are killed four times each from there on: thirty in all."""
AT_ONCE = 3
"""Rounds beside each other: most of a round is waiting."""
SOAK = SoakSettings(
    interval=0.5,
    duration=5.0,
    initial_delay=0.0,
    # what a busy machine answers late is no good sample, and decides nothing here
    failure_limit=1.0,
    consecutive_failure_limit=1000,
    inconclusive_limit=1000,
    consecutive_error_limit=1000,
)
COMPARE = CompareSettings(min_points=2, max_ratio=1000)  # that it is compared, and not how
SAMPLES = round(SOAK.duration / SOAK.interval)


# ---- the process that is killed


def act(folder: str, wish: dict[str, Any]) -> None:
    """Does what it is told to, says each step, and then stays until it is killed."""
    engine = connect()
    journal = Journal(Path(folder))
    target = DockerTarget(engine)
    environment = wish["environment"]
    driver = Driver(
        journal, target, Me(name="killed", host="here", process=str(this_process())), told=partial(print, flush=True)
    )
    print("ready", flush=True)
    if wish["do"] == "deploy":
        made = Place(
            engine=engine,
            target=target,
            folder=Path(folder),
            name=environment,
            services=("auth", "user", "gateway"),
            images={"3.12": wish["image"]},
        )
        run = with_last(made.run("3.12").with_deployment("user", wants_twin=True), wish["last"])
        one = run.deployments[-1]
        quick = replace(one.spec, ready_timeout=wish["limit"])
        driver.deploy(replace(run, deployments=(*run.deployments[:-1], replace(one, spec=quick))))
    elif wish["do"] == "recover":
        driver.recover(environment)
    elif wish["do"] == "watch":
        watch(journal, driver, target, journal.newest(environment)[0])
    else:
        driver.rollback(journal.newest(environment)[0].run, reason="by hand")
    print("done", flush=True)
    time.sleep(600)


def watch(journal: Journal, driver: Driver, target: DockerTarget, run: StageRun) -> StageRun:
    """Watch a stage until its soak is decided."""
    watcher = Watcher(
        journal,
        driver,
        target,
        run,
        settings=RolloutSettings(soak=SOAK, compare=COMPARE),
        services={name: service(name) for name in run.services},
        root=Path(),
        told=partial(print, flush=True),
    )
    return watcher.ended(asyncio.run(watcher.soak.wait(Stop()))).run


@contextmanager
def doing(here: Place, wish: dict[str, Any]) -> Iterator[subprocess.Popen[str]]:
    """A process that does ``wish``; killed at the end."""
    argv = [sys.executable, "-m", "tests.integration.rollouts.killing", "--folder", str(here.folder)]
    argv += ["--act", json.dumps({"environment": here.name, **wish})]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3]) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
            assert process.poll() is None, f"the process ended by itself with {process.returncode}"
        finally:
            process.kill()


def after_steps(process: subprocess.Popen[str], steps: int, seconds: float) -> None:
    """Wait until a process has told so many steps, or has none left, and then a little."""
    assert process.stdout is not None
    for _ in range(steps):
        if process.stdout.readline() in ("", "done\n"):
            break
    time.sleep(seconds)


def state_in(here: Place) -> StageState | None:
    """Where the journal says that the stage stands; ``None`` where it has none yet."""
    with here.driver() as (_, journal):
        return next((run.state for run in journal.newest(here.name)), None)


# ---- rounds


def while_it_goes_up(here: Place, drawn: random.Random, *, share: float, broken: bool = False) -> StageState | None:
    """Deploy, kill, recover.

    :param share: how far it comes before it is killed, 0 to 1.
    :returns: where the stage stood when its process was killed.
    :raises AssertionError: not all is old, or new, or something is left over.
    """
    last = here.images["3.12 sick" if broken else "3.12"]
    steps = int(share * (STEPS_OF_BROKEN if broken else STEPS_UP))
    wish = {"do": "deploy", "image": here.images["3.12"], "last": last, "limit": 2.0 if broken else 20.0}
    with doing(here, wish) as process:
        after_steps(process, steps, drawn.uniform(0.0, 0.6))
    stood = state_in(here)
    if drawn.random() < 0.5:
        with doing(here, {"do": "recover"}) as process:
            time.sleep(drawn.uniform(0.0, 1.0 if stood is None else 3.0))
    with here.driver() as (driver, journal):
        driver.recover(here.name)
        states = [run.state for run in journal.newest(here.name)]
        names = set(here.containers())
        if states == [S.SOAKING]:
            assert_all_new(here)
            assert len(names) == 2 * len(here.services) + 2, names  # a twin, and the lock
            assert driver.rollback(journal.newest(here.name)[0].run, reason="the round is over").state is S.ROLLED_BACK
        else:
            assert states in ([S.ROLLED_BACK], []), states
        assert_all_old(here)
    return stood


def from_soak_to_rollback(here: Place, drawn: random.Random) -> list[StageState | None]:
    """Watch a stage, kill whoever does so twice, kill who sees it accepted, and who brings it back.

    :returns: where the stage stood at each of the four.
    """
    stood = []
    with here.driver() as (driver, journal):
        run = replace(here.run("3.12"), soak=SOAK.duration).with_deployment("auth", wants_twin=True)
        run = driver.deploy(run)
        assert run.state is S.SOAKING, run.reason
        driver.leave(run.run)
    for _ in range(2):
        before = samples_of(here)
        with doing(here, {"do": "watch"}):
            time.sleep(drawn.uniform(0.0, 1.8))
        stood.append(state_in(here))
        assert samples_of(here)[: len(before)] == before, "what was sampled is what was sampled"
        assert_all_new(here)
    with doing(here, {"do": "watch"}):
        eventually_there(here, SAMPLES - 1)
        time.sleep(drawn.uniform(0.2, 1.4))
    stood.append(state_in(here))
    with here.driver() as (driver, journal):
        driver.recover(here.name)
        run = journal.newest(here.name)[0]
        if run.state is not S.ACCEPTED:  # whoever comes next goes on with it
            run = watch(journal, driver, here.target, run)
        assert run.state is S.ACCEPTED, run.reason
        slots = samples_of(here)
        assert slots == sorted(set(slots))
        assert SOAK.duration <= run.credited <= len(slots) * SOAK.interval, "no sample is counted twice"
    assert_all_new(here)
    assert not [name for name in here.containers() if ".twin-" in name]
    assert here.target.lock(here.name).holder() is None
    with doing(here, {"do": "rollback"}) as process:
        after_steps(process, drawn.randrange(STEPS_BACK), drawn.uniform(0.0, 0.6))
    stood.append(state_in(here))
    with here.driver() as (driver, journal):
        driver.recover(here.name)
        if journal.run(run.run).state is S.ACCEPTED:  # it was not even written down
            assert_all_new(here)
            driver.rollback(run.run, reason="by hand")
        assert journal.run(run.run).state is S.ROLLED_BACK
    assert_all_old(here)
    return stood


def samples_of(here: Place) -> list[int]:
    """The slots that are sampled, of the service with a twin."""
    with here.driver() as (_, journal):
        return [one.slot for one in journal.samples(journal.newest(here.name)[0].run, "auth")]


def eventually_there(here: Place, samples: int) -> None:
    with here.driver() as (_, journal):
        run = journal.newest(here.name)[0].run
        eventually(lambda: len(journal.samples(run, "auth")) >= samples, "it is not watched")


def assert_all_new(here: Place) -> None:
    assert {python for _, python in here.serving().values()} == {"3.12"}


def assert_all_old(here: Place) -> None:
    """And nothing else is there, nor is it held."""
    assert here.serving() == here.all_old()
    assert set(here.containers()) == {f"{here.name}-{service}" for service in here.services}
    assert here.target.lock(here.name).holder() is None


# ---- many of them


Stood = list[StageState | None]
Round = Callable[[Place, random.Random], Stood]


def all_of(rounds: Sequence[tuple[Round, tuple[str, ...]]], seed: int, images: dict[str, str]) -> Stood:
    """Where the stages stood at all kills of the rounds, some rounds at once, each in a place of its own."""

    def one(number: int) -> Stood:
        work, services = rounds[number]
        with tempfile.TemporaryDirectory() as folder, place(Path(folder), images, *services) as here:
            return work(here, random.Random(seed * 1000 + number))

    with ThreadPoolExecutor(AT_ONCE) as together:
        return [state for states in together.map(one, range(len(rounds))) for state in states]


def going_up(images: dict[str, str], seed: int) -> Stood:
    """:data:`ROUNDS` kills, spread over the whole way up; at the last two of them the way up fails by itself."""

    def one(number: int) -> Round:
        def work(here: Place, drawn: random.Random) -> Stood:
            if number >= ROUNDS - 2:
                return [while_it_goes_up(here, drawn, share=drawn.uniform(0.6, 1.0), broken=True)]
            return [while_it_goes_up(here, drawn, share=(number + drawn.random()) / (ROUNDS - 2))]

        return work

    return all_of([(one(number), ()) for number in range(ROUNDS)], seed, images)


def watched(images: dict[str, str], seed: int) -> Stood:
    """Four kills for each of :data:`WATCHED_ROUNDS` stages."""
    return all_of([(from_soak_to_rollback, ("auth", "user"))] * WATCHED_ROUNDS, seed, images)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--act", help=argparse.SUPPRESS)
    parser.add_argument("--folder", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.act:
        act(options.folder, json.loads(options.act))
        return
    engine = connect()
    images = {"3.9": built(engine, "3.9"), "3.12": built(engine, "3.12"), "3.12 sick": built(engine, "3.12", "sick")}
    engine.close()
    for seed in range(options.seed, options.seed + options.times):
        for rounds in (going_up, watched):
            begun = time.monotonic()
            stood = [state.value if state else "not begun" for state in rounds(images, seed)]
            print(f"seed {seed}, {len(stood)} kills ({time.monotonic() - begun:.0f} s): {', '.join(stood)}", flush=True)


if __name__ == "__main__":
    main()
