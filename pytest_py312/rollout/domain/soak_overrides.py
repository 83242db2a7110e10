"""What a command line says of a soak instead of the plan: how long, and how often a sample is taken."""

from collections.abc import Mapping

from pytest_py312.core.errors import OptionError, RolloutRefused
from pytest_py312.repository.plan.rollout_settings import RolloutSettings
from pytest_py312.repository.plan.values import LONGEST_TIME, seconds_in
from pytest_py312.rollout.domain.model import StageRun

DURATION = "duration"
INTERVAL = "interval"


def asked_in(texts: Mapping[str, tuple[str, str | None]]) -> dict[str, float]:
    """Field of :class:`~pytest_py312.repository.plan.rollout_settings.SoakSettings` -> seconds, of those that were
    given.

    :param texts: the same field -> the option's name, and what was typed, ``None`` where nothing was.
    :raises OptionError: it is no time.
    """
    return {name: duration_in(option, text) for name, (option, text) in texts.items() if text is not None}


def duration_in(option: str, text: str) -> float:
    """Seconds, from ``172800``, ``48h`` or ``2d``.

    :raises OptionError: it is no time.
    """
    bare = text.strip()
    plain = bare.isascii() and bare.replace(".", "", 1).isdigit() and len(bare) < 16
    seconds = float(bare) if plain else seconds_in(text)
    if seconds is None:
        raise OptionError(f"{option} {text}: it is a time, such as 172800 (seconds), 90s, 5m, 48h or 2d")
    if not 0 < seconds <= LONGEST_TIME:
        raise OptionError(f"{option} {text}: it is more than 0 seconds and at most 7 days")
    return seconds


def with_asked(settings: RolloutSettings, stage: int, asked: Mapping[str, float]) -> RolloutSettings:
    """``settings`` as they are for ``stage`` when a command line says ``asked``.

    :raises OptionError: no sample fits in.
    """
    found = settings.with_soak(stage, asked)
    soak = found.soak_of(stage=stage)
    if asked and soak.interval > soak.duration:
        raise OptionError(
            f"an interval of {soak.interval:g} s in a soak of {soak.duration:g} s: no sample fits in; choose another"
        )
    return found


def interval_of(run: StageRun, settings: RolloutSettings) -> float:
    """Seconds between two samples of a run: what was asked for when it began, else the plan's."""
    return with_asked(settings, run.stage, run.asked).soak_of(stage=run.stage).interval


def settings_of(
    run: StageRun, settings: RolloutSettings, asked: Mapping[str, float], *, accept: bool = False
) -> RolloutSettings:
    """What holds for a run that is up: the plan, with what was asked for when it began, or is now.

    :param accept: whether others than it was begun with will do.
    :raises RolloutRefused: they are others.
    """
    found = with_asked(settings, run.stage, {**run.asked, **asked})
    begun = with_asked(settings, run.stage, run.asked)
    is_another_soak = found.soak_of(stage=run.stage) != begun.soak_of(stage=run.stage)
    if (is_another_soak or run.configuration != settings.digest) and not accept:
        wanted, had = found.soak_of(stage=run.stage), begun.soak_of(stage=run.stage)
        what = "the plan was changed since"
        if is_another_soak:
            asks = f"({wanted.duration:g} s, a sample each {wanted.interval:g} s)"
            what = f"the soak that is asked for {asks} is not the one that"
        ends = f" for ({had.duration:g} s, each {had.interval:g} s)" if is_another_soak else ""
        raise RolloutRefused(
            f"{what} stage {run.stage} was deployed{ends}, so its limits are others; deploy it anew with these, or go "
            "on with --accept-config-change"
        )
    return found


def lack_of_soak(proven: StageRun, wanted: StageRun) -> str:
    """How the soak of a run that was accepted falls short of what ``wanted`` would need of it; empty where it does not.

    That is what the plan says, or less where less is asked for: whoever asks for more asks it of his own run alone.
    """
    needed = min(wanted.soak, wanted.planned.get(DURATION, wanted.soak))
    if proven.soak < needed:
        return f"for {proven.soak:g} s, and not for {needed:g} s"
    every, most = _interval(proven), max(_interval(wanted), wanted.planned.get(INTERVAL, 0.0))
    return f"by a sample each {every:g} s, and not each {most:g} s" if every > most else ""


def _interval(run: StageRun) -> float:
    """0.0 where nobody wrote it down."""
    return run.asked.get(INTERVAL, run.planned.get(INTERVAL, 0.0))
