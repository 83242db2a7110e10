"""What commands would do, said instead of done: for ``--dry-run``. Pure."""

import json
from collections.abc import Sequence

from pytest_py312.rollout.load import Step
from pytest_py312.rollout.model import StageRun, StageState
from pytest_py312.rollout.stages import WATCHED
from pytest_py312.rollout.standing import Standing, in_words, spelled


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
