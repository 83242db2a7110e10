"""Soak settings from the command line that replace the plan's: the duration and the interval between samples."""

from collections.abc import Mapping

from pytest_py312.core.errors import OptionError, RolloutRefused
from pytest_py312.core.text import parse_duration
from pytest_py312.repository.plan.rollout_settings import RolloutSettings
from pytest_py312.repository.plan.values import MAX_DURATION
from pytest_py312.rollout.domain.model import StageRun

DURATION = "duration"
INTERVAL = "interval"


def parse_soak_overrides(typed_options: Mapping[str, tuple[str, str | None]]) -> dict[str, float]:
    """Parse the soak options that were given.

    :param typed_options: field of :class:`~pytest_py312.repository.plan.rollout_settings.SoakSettings` -> name of the
        option, and its text or ``None`` if it was not given.
    :returns: field -> seconds.
    :raises OptionError: a text is not a duration.
    """
    return {
        name: parse_duration_option(option, text) for name, (option, text) in typed_options.items() if text is not None
    }


def parse_duration_option(option: str, text: str) -> float:
    """Parse ``172800``, ``48h`` or ``2d`` into seconds.

    :raises OptionError: the text is not a duration.
    """
    stripped = text.strip()
    is_number = stripped.isascii() and stripped.replace(".", "", 1).isdigit() and len(stripped) < 16
    seconds = float(stripped) if is_number else parse_duration(text)
    if seconds is None:
        raise OptionError(f"{option} {text}: expected a duration such as 172800 (seconds), 90s, 5m, 48h or 2d")
    if not 0 < seconds <= MAX_DURATION:
        raise OptionError(f"{option} {text}: expected more than 0 seconds and at most 7 days")
    return seconds


def with_overrides(settings: RolloutSettings, stage: int, overrides: Mapping[str, float]) -> RolloutSettings:
    """Return ``settings`` with ``overrides`` of the soak of ``stage``.

    :raises OptionError: the interval is longer than the soak.
    """
    overridden = settings.with_soak_overrides(stage, overrides)
    soak = overridden.soak_settings_for(stage=stage)
    if overrides and soak.interval > soak.duration:
        raise OptionError(
            f"an interval of {soak.interval:g} s is longer than the soak of {soak.duration:g} s; choose a shorter one"
        )
    return overridden


def sampling_interval(run: StageRun, settings: RolloutSettings) -> float:
    """Return the seconds between two samples of a run: as requested when it began, else the plan's."""
    return with_overrides(settings, run.stage, run.asked).soak_settings_for(stage=run.stage).interval


def effective_settings(
    run: StageRun, settings: RolloutSettings, overrides: Mapping[str, float], *, accept_changes: bool = False
) -> RolloutSettings:
    """Return the settings of a run that is up: the plan with the overrides of its start, and with ``overrides``.

    :param accept_changes: accept other settings than those it was started with.
    :raises RolloutRefused: the settings differ.
    """
    requested = with_overrides(settings, run.stage, {**run.asked, **overrides})
    original = with_overrides(settings, run.stage, run.asked)
    soak_differs = requested.soak_settings_for(stage=run.stage) != original.soak_settings_for(stage=run.stage)
    if (soak_differs or run.configuration != settings.digest) and not accept_changes:
        requested_soak, original_soak = (
            requested.soak_settings_for(stage=run.stage),
            original.soak_settings_for(stage=run.stage),
        )
        change = "the plan was changed after"
        if soak_differs:
            requested_text = f"({requested_soak.duration:g} s, a sample each {requested_soak.interval:g} s)"
            change = f"the requested soak {requested_text} is not the one that"
        original_text = (
            f" for ({original_soak.duration:g} s, each {original_soak.interval:g} s)" if soak_differs else ""
        )
        raise RolloutRefused(
            f"{change} stage {run.stage} was deployed{original_text}, so other limits apply; deploy it again with "
            "these, or continue with --accept-config-change"
        )
    return requested


def soak_shortfall(accepted: StageRun, candidate: StageRun) -> str:
    """Return how the soak of an accepted run falls short of what ``candidate`` needs; empty if it does not.

    The candidate needs the plan's soak, or a shorter one if that is requested. A longer one is required of the
    candidate's own run only.
    """
    needed = min(candidate.soak, candidate.planned.get(DURATION, candidate.soak))
    if accepted.soak < needed:
        return f"for {accepted.soak:g} s, and not for {needed:g} s"
    accepted_interval, longest_interval = (
        _recorded_interval(accepted),
        max(_recorded_interval(candidate), candidate.planned.get(INTERVAL, 0.0)),
    )
    return (
        f"by a sample each {accepted_interval:g} s, and not each {longest_interval:g} s"
        if accepted_interval > longest_interval
        else ""
    )


def _recorded_interval(run: StageRun) -> float:
    """Return the recorded interval; 0.0 if none was recorded."""
    return run.asked.get(INTERVAL, run.planned.get(INTERVAL, 0.0))
