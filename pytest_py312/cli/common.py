"""What commands would do, said instead of done: for ``--dry-run``. Pure.

Which deployed services a command line means: by name, by path, or by a glob of either.
"""

import json
from collections.abc import Callable, Mapping, Sequence

from pytest_py312.core.errors import OptionError
from pytest_py312.core.service_patterns import matches
from pytest_py312.rollout.canary_analysis.soak_status import Standing, in_words, spelled
from pytest_py312.rollout.domain.model import StageRun, StageState
from pytest_py312.rollout.domain.state_machine import WATCHED
from pytest_py312.rollout.metrics.load_generator import Step


def would(text: str, services: Sequence[str], *, as_json: bool) -> tuple[str, int]:
    """The text or the document, and the exit code of having said it."""
    if as_json:
        return json.dumps({"schema": 1, "would": text, "services": list(services)}, indent=2) + "\n", 0
    return f"{text}\n", 0


def watching(command: str, run: StageRun, interval: float, standing: Standing | None) -> str:
    """For ``watch`` and ``tick``."""
    where = f"stage {run.stage} in {run.environment}"
    if run.state not in WATCHED:
        finish = "" if run.state.is_over else "; what was left half done would be finished"
        return f"{where} is {run.state.value}: it would not be sampled{finish}"
    how = "until its soak is decided" if command == "watch" else "once, where a sample is due"
    told = f"; {in_words(standing, run)}" if standing else ""
    return f"would sample {', '.join(run.services)} of {where} {how}, each {spelled(interval)}{told}"


def deciding(run: StageRun, answer: str) -> str:
    """For ``decide``."""
    where, about = f"stage {run.stage} in {run.environment}", ", ".join(run.held_for)
    if answer == "rollback":
        return f"would roll {where} back, which is held for {about}: {', '.join(reversed(run.services))}"
    whole = "verdict" in run.held_for and run.credited >= run.soak
    ends = StageState.ACCEPTED.value if whole else "watched on"
    return f"would take {about} of {where} for accepted; it would be {ends} then"


def loading(url: str, steps: Sequence[Step]) -> str:
    """For ``load``."""
    told = ", ".join(
        f"{step.rate:g} a second for {step.seconds:g} s ({step.requests} requests"
        f"{'' if step.judged else ', not judged'})"
        for step in steps
    )
    return f"would ask {url}: {told or 'nothing, as no --step is given'}"


Paths = Callable[[], Mapping[str, str]]
"""Service -> its path. Asked only where a name does not do: a way back must not hang on a tree that can be read."""


def stage_with(patterns: Sequence[str], known: Sequence[StageRun], paths: Paths) -> int:
    """The one stage that services of these names were deployed with.

    :raises OptionError: none, or several.
    """
    services = set(chosen(patterns, known, paths))
    stages = sorted({run.stage for run in known if services & set(run.services)})
    if len(stages) != 1:
        raise OptionError("name what is meant: --stage N, or --services of one stage")
    return stages[0]


def chosen(patterns: Sequence[str], known: Sequence[StageRun], paths: Paths) -> tuple[str, ...]:
    """The deployed services that the patterns fit; a comma parts patterns as well.

    :raises OptionError: a pattern fits none.
    """
    words = [word for pattern in patterns for word in pattern.split(",") if word]
    deployed = [service for run in known for service in run.services]
    found = {word: [one for one in deployed if matches(word, one, one)] for word in words}
    missed = [word for word, services in found.items() if not services]
    if missed:
        places = paths()
        found |= {word: [one for one in deployed if matches(word, one, places.get(one, one))] for word in missed}
    for word, services in found.items():
        if not services:
            raise OptionError(
                f"--services {word}: no such service was deployed; there are {', '.join(deployed) or 'none'}"
            )
    wanted = {service for services in found.values() for service in services}
    return tuple(service for service in deployed if service in wanted)
