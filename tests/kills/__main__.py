"""Kill rollout commands with SIGKILL at random moments, bring each back by one command, and check what is left.

    python -m tests.kills --count 100
    python -m tests.kills --seed 7 --round 12 --round 31     # repeat single rounds

In a third of the rounds the disk of the journal is full, in another third the plan is broken. Needs the engine, and
root for the small disk. The exit code is 1 if something was not brought back.
"""

import argparse
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from pytest_py312.runners.docker.engine import connect
from tests.integration.rollouts.docker_environments import build_image
from tests.kills.rounds import Condition, Length, Operation, Outcome, Round, measure, perform, plan_round
from tests.kills.site import new_site


def run_rounds(
    rounds: Sequence[Round], images: dict[str, str], *, parallel: int, lengths: Mapping[Operation, Length] | None = None
) -> list[Outcome]:
    """Perform rounds on several sites at once, which take the next round when they are ready.

    :param lengths: of the operations; by default each site measures them.
    """
    pending, lock = list(reversed(rounds)), threading.Lock()
    outcomes: list[Outcome] = []

    def work(number: int) -> None:
        with new_site(images) as site:
            measured = lengths or measure(site)
            while True:
                with lock:
                    if not pending:
                        return
                    planned = pending.pop()
                outcome = perform(site, planned, measured[planned.operation])
                print(describe(outcome), flush=True)
                outcomes.append(outcome)

    with ThreadPoolExecutor(parallel) as together:
        try:
            list(together.map(work, range(min(parallel, len(rounds)))))
        finally:
            pending.clear()  # an interruption or an error ends the other sites after their rounds
    return outcomes


def describe(outcome: Outcome) -> str:
    ended = "" if outcome.was_killed else " (had ended by itself)"
    result = f"FAILED: {outcome.problem}" if outcome.problem else outcome.state
    return f"{outcome.round}{ended}: {result} ({outcome.seconds:.1f} s)"


def table(outcomes: Sequence[Outcome]) -> str:
    """Return for each operation and condition how many rounds there were, and how many failed."""
    lines = ["| killed | " + " | ".join(condition.value for condition in Condition) + " |", "|---" * 4 + "|"]
    for operation in Operation:
        cells = []
        for condition in Condition:
            own = [each for each in outcomes if (each.round.operation, each.round.condition) == (operation, condition)]
            killed, failed = sum(each.was_killed for each in own), sum(bool(each.problem) for each in own)
            cells.append(f"{len(own)} rounds, {killed} killed in time, {failed} failed")
        lines.append(f"| {operation.title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def built_images() -> dict[str, str]:
    """Build the images of the services; return their ids."""
    engine = connect()
    try:
        return {python: build_image(engine, python) for python in ("3.9", "3.12")}
    finally:
        engine.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100, help="number of rounds (default: 100)")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="default: another one each time")
    parser.add_argument("--round", type=int, action="append", help="only this round; may be repeated")
    parser.add_argument("--parallel", type=int, default=2, help="sites at once (default: 2)")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    rounds = [plan_round(number, options.seed) for number in options.round or range(options.count)]
    begun = time.monotonic()
    outcomes = run_rounds(rounds, built_images(), parallel=options.parallel)
    print(table(outcomes))
    failed = [each for each in outcomes if each.problem]
    print(f"{len(outcomes)} rounds, {len(failed)} failed, {time.monotonic() - begun:.0f} s, seed {options.seed}")
    for each in failed:
        print(f"  python -m tests.kills --seed {options.seed} --round {each.round.number}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
