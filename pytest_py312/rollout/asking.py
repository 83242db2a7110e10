"""What a command line says of a soak instead of the plan: how long, and how often a sample is taken."""

from collections.abc import Mapping

from pytest_py312.errors import OptionError, RolloutRefused
from pytest_py312.plan_values import LONGEST_TIME, seconds_in
from pytest_py312.rollout.model import StageRun
from pytest_py312.rollout.settings import RolloutSettings

DURATION = "duration"
INTERVAL = "interval"


def asked_in(texts: Mapping[str, tuple[str, str | None]]) -> dict[str, float]:
    """Field of :class:`.settings.SoakSettings` -> seconds, of those that were given.

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


def settings_of(
    run: StageRun, settings: RolloutSettings, asked: Mapping[str, float], *, accept: bool = False
) -> RolloutSettings:
    """What holds for a run that is up: the plan, with what was asked for when it began, or is now.

    :param accept: whether others than it was begun with will do.
    :raises RolloutRefused: they are others.
    """
    found = with_asked(settings, run.stage, {**run.asked, **asked})
    if run.configuration != found.digest and not accept:
        what = "the soak that is asked for is not the one that" if asked else "the plan was changed since"
        raise RolloutRefused(
            f"{what} stage {run.stage} was deployed{' for' if asked else ''}, so its limits are others; deploy it "
            "anew, or go on with --accept-config-change"
        )
    return found
