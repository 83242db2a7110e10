"""Rollouts that are killed at random moments, and their recovery.

    python -m tests.integration.rollouts.kill_scenarios [--times 1] [--seed 1]

A separate process does the work and is killed with SIGKILL: while a stage of three services is deployed (half of the
recoveries are killed as well), watched, accepted and rolled back. Afterwards all services must be old or all new,
verified by asking what serves, and nothing may be left over.
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
from pytest_py312.rollout.domain.stop_signals import StopRequest
from pytest_py312.rollout.execution.driver import Driver
from pytest_py312.rollout.execution.locking import Operator
from pytest_py312.rollout.execution.watcher import Watcher
from pytest_py312.rollout.targets.docker.target import DockerTarget
from pytest_py312.runners.docker.engine import connect
from tests.integration.rollouts.docker_environments import (
    DockerEnvironment,
    build_image,
    eventually,
    start_environment,
    with_last,
)
from tests.support.fakes import service

S = StageState
STEPS_OF_DEPLOYMENT, STEPS_OF_FAILING_DEPLOYMENT = 17, 14
"""Lines that the process prints while it deploys three services, one with a control; and while the last one fails."""
STEPS_OF_ROLLBACK = 4
ROUNDS, SOAK_ROUNDS = 14, 4
"""Kills during deployment; and stages that are killed four times each after it: thirty kills in all."""
AT_ONCE = 5
"""Parallel rounds: most of a round is waiting."""
SOAK = SoakSettings(
    interval=0.5,
    duration=5.0,
    initial_delay=0.0,
    # a busy machine answers late: such samples must not decide anything here
    failure_limit=1.0,
    consecutive_failure_limit=1000,
    inconclusive_limit=1000,
    consecutive_error_limit=1000,
)
COMPARE = CompareSettings(min_points=2, max_ratio=1000)  # the comparison must happen; its result does not matter
SAMPLES = round(SOAK.duration / SOAK.interval)


# ---- the process that is killed


def run_request(folder: str, request: dict[str, Any]) -> None:
    """Carry out a request, print each step, and then wait to be killed."""
    engine = connect()
    journal = Journal(Path(folder))
    target = DockerTarget(engine)
    environment = request["environment"]
    driver = Driver(
        journal,
        target,
        Operator(name="killed", host="here", process=str(this_process())),
        log=partial(print, flush=True),
    )
    print("ready", flush=True)
    if request["do"] == "deploy":
        place = DockerEnvironment(
            engine=engine,
            target=target,
            folder=Path(folder),
            name=environment,
            services=("auth", "user", "gateway"),
            images={"3.12": request["image"]},
        )
        run = with_last(place.run("3.12").with_deployment("user", wants_control=True), request["last"])
        last_deployment = run.deployments[-1]
        impatient = replace(last_deployment.spec, ready_timeout=request["limit"])
        driver.deploy(replace(run, deployments=(*run.deployments[:-1], replace(last_deployment, spec=impatient))))
    elif request["do"] == "recover":
        driver.recover(environment)
    elif request["do"] == "watch":
        watch(journal, driver, target, journal.current_runs(environment)[0])
    else:
        driver.rollback(journal.current_runs(environment)[0].run, reason="by hand")
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
        log=partial(print, flush=True),
    )
    return watcher.finish(asyncio.run(watcher.soak.wait(StopRequest()))).run


@contextmanager
def process_running(environment: DockerEnvironment, request: dict[str, Any]) -> Iterator[subprocess.Popen[str]]:
    """Run a process that carries out ``request``; kill it at the end."""
    argv = [sys.executable, "-m", "tests.integration.rollouts.kill_scenarios", "--folder", str(environment.folder)]
    argv += ["--act", json.dumps({"environment": environment.name, **request})]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3]) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
            assert process.poll() is None, f"the process ended by itself with {process.returncode}"
        finally:
            process.kill()


def wait_for_steps(process: subprocess.Popen[str], steps: int, seconds: float) -> None:
    """Wait until a process has printed ``steps`` lines or is done, and then for some seconds, unless there are none."""
    assert process.stdout is not None
    if not steps:
        return
    for _ in range(steps):
        if process.stdout.readline() in ("", "done\n"):
            break
    time.sleep(seconds)


def journal_state(environment: DockerEnvironment) -> StageState | None:
    """Return the stage's state in the journal; ``None`` if it is not recorded yet."""
    with environment.driver() as (_, journal):
        return next((run.state for run in journal.current_runs(environment.name)), None)


# ---- rounds


def kill_during_deployment(
    environment: DockerEnvironment, rng: random.Random, *, share: float, broken: bool = False
) -> StageState | None:
    """Deploy a stage, kill the process, recover.

    :param share: progress at which it is killed, 0 to 1.
    :returns: the state of the stage when its process was killed.
    :raises AssertionError: the services are neither all old nor all new, or something is left over.
    """
    last = environment.images["3.12 sick" if broken else "3.12"]
    steps = int(share * (STEPS_OF_FAILING_DEPLOYMENT if broken else STEPS_OF_DEPLOYMENT))
    request = {"do": "deploy", "image": environment.images["3.12"], "last": last, "limit": 2.0 if broken else 20.0}
    with process_running(environment, request) as process:
        wait_for_steps(process, steps, rng.uniform(0.0, 0.6))
    killed_state = journal_state(environment)
    if rng.random() < 0.5:
        with process_running(environment, {"do": "recover"}) as process:
            time.sleep(rng.uniform(0.0, 1.0 if killed_state is None else 3.0))
    with environment.driver() as (driver, journal):
        driver.recover(environment.name)
        states = [run.state for run in journal.current_runs(environment.name)]
        names = set(environment.containers())
        if states == [S.SOAKING]:
            assert_all_new(environment)
            assert len(names) == 2 * len(environment.services) + 2, names  # the control, and the lock
            assert (
                driver.rollback(journal.current_runs(environment.name)[0].run, reason="the round is over").state
                is S.ROLLED_BACK
            )
        else:
            assert states in ([S.ROLLED_BACK], []), states
        assert_all_old(environment)
    return killed_state


def kill_from_soak_to_rollback(
    environment: DockerEnvironment, rng: random.Random, *, waits: bool = False
) -> list[StageState | None]:
    """Kill two watchers of a stage, the process that accepts it, and the process that rolls it back.

    :param waits: kill the last two once the stage is accepted, and while it is rolled back, instead of at random.
    :returns: the state of the stage at each of the four kills.
    """
    killed_states = []
    with environment.driver() as (driver, journal):
        run = replace(environment.run("3.12"), soak=SOAK.duration).with_deployment("auth", wants_control=True)
        run = driver.deploy(run)
        assert run.state is S.SOAKING, run.reason
        driver.release(run.run)
    for _ in range(2):
        slots_before = sampled_slots(environment)
        with process_running(environment, {"do": "watch"}):
            time.sleep(rng.uniform(0.0, 1.8))
        killed_states.append(journal_state(environment))
        assert sampled_slots(environment)[: len(slots_before)] == slots_before, "stored samples do not change"
        assert_all_new(environment)
    with process_running(environment, {"do": "watch"}):
        wait_for_samples(environment, SAMPLES - 1)
        if waits:
            eventually(lambda: journal_state(environment) is S.ACCEPTED, "it is not accepted")
        else:
            time.sleep(rng.uniform(0.2, 1.4))
    killed_states.append(journal_state(environment))
    with environment.driver() as (driver, journal):
        driver.recover(environment.name)
        run = journal.current_runs(environment.name)[0]
        if run.state is not S.ACCEPTED:  # the next watcher continues
            run = watch(journal, driver, environment.target, run)
        assert run.state is S.ACCEPTED, run.reason
        slots = sampled_slots(environment)
        assert slots == sorted(set(slots))
        assert SOAK.duration <= run.credited <= len(slots) * SOAK.interval, "no sample is counted twice"
    assert_all_new(environment)
    assert not [name for name in environment.containers() if ".control-" in name]
    assert environment.target.environment_lock(environment.name).holder() is None
    with process_running(environment, {"do": "rollback"}) as process:
        wait_for_steps(
            process, 1 if waits else rng.randrange(STEPS_OF_ROLLBACK), 0.0 if waits else rng.uniform(0.0, 0.6)
        )
    killed_states.append(journal_state(environment))
    with environment.driver() as (driver, journal):
        driver.recover(environment.name)
        if journal.load_run(run.run).state is S.ACCEPTED:  # the rollback was not recorded yet
            assert_all_new(environment)
            driver.rollback(run.run, reason="by hand")
        assert journal.load_run(run.run).state is S.ROLLED_BACK
    assert_all_old(environment)
    return killed_states


def sampled_slots(environment: DockerEnvironment) -> list[int]:
    """Return the sampled slots of the service with a control."""
    with environment.driver() as (_, journal):
        return [sample.slot for sample in journal.samples(journal.current_runs(environment.name)[0].run, "auth")]


def wait_for_samples(environment: DockerEnvironment, samples: int) -> None:
    with environment.driver() as (_, journal):
        run = journal.current_runs(environment.name)[0].run
        eventually(lambda: len(journal.samples(run, "auth")) >= samples, "it is not watched")


def assert_all_new(environment: DockerEnvironment) -> None:
    assert {python for _, python in environment.serving().values()} == {"3.12"}


def assert_all_old(environment: DockerEnvironment) -> None:
    """Check that only the old containers exist and the environment is not locked."""
    assert environment.serving() == environment.all_old()
    assert set(environment.containers()) == {f"{environment.name}-{service}" for service in environment.services}
    assert environment.target.environment_lock(environment.name).holder() is None


# ---- many of them


KilledStates = list[StageState | None]
Round = Callable[[DockerEnvironment, random.Random], KilledStates]


def run_rounds(rounds: Sequence[tuple[Round, tuple[str, ...]]], seed: int, images: dict[str, str]) -> KilledStates:
    """Run rounds in parallel, each in its own environment; return the states of the stages at all kills."""

    def run_round(number: int) -> KilledStates:
        kill_round, services = rounds[number]
        with tempfile.TemporaryDirectory() as folder, start_environment(Path(folder), images, *services) as environment:
            return kill_round(environment, random.Random(seed * 1000 + number))

    with ThreadPoolExecutor(AT_ONCE) as together:
        return [state for states in together.map(run_round, range(len(rounds))) for state in states]


def deployment_kills(images: dict[str, str], seed: int) -> KilledStates:
    """Run :data:`ROUNDS` kills, spread over the deployment; in the last two the deployment itself fails."""

    def make_round(number: int) -> Round:
        def work(environment: DockerEnvironment, rng: random.Random) -> KilledStates:
            if number >= ROUNDS - 2:
                return [kill_during_deployment(environment, rng, share=rng.uniform(0.6, 1.0), broken=True)]
            return [kill_during_deployment(environment, rng, share=(number + rng.random()) / (ROUNDS - 2))]

        return work

    return run_rounds([(make_round(number), ()) for number in range(ROUNDS)], seed, images)


def soak_kills(images: dict[str, str], seed: int) -> KilledStates:
    """Run four kills for each of :data:`SOAK_ROUNDS` stages; the last stage is in the wanted state at each."""
    at_random = (kill_from_soak_to_rollback, ("auth", "user"))
    waiting = (partial(kill_from_soak_to_rollback, waits=True), ("auth", "user"))
    return run_rounds([*[at_random] * (SOAK_ROUNDS - 1), waiting], seed, images)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--act", help=argparse.SUPPRESS)
    parser.add_argument("--folder", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.act:
        run_request(options.folder, json.loads(options.act))
        return
    engine = connect()
    images = {
        "3.9": build_image(engine, "3.9"),
        "3.12": build_image(engine, "3.12"),
        "3.12 sick": build_image(engine, "3.12", "sick"),
    }
    engine.close()
    for seed in range(options.seed, options.seed + options.times):
        for rounds in (deployment_kills, soak_kills):
            begun = time.monotonic()
            killed_states = [state.value if state else "not begun" for state in rounds(images, seed)]
            print(
                f"seed {seed}, {len(killed_states)} kills ({time.monotonic() - begun:.0f} s):",
                ", ".join(killed_states),
                flush=True,
            )


if __name__ == "__main__":
    main()
