"""What is shown in the terminal while a stage is watched: a table that changes, or a line for each sample."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from pytest_py312.core.text import prose
from pytest_py312.rollout.canary_analysis.soak_status import spelled
from pytest_py312.rollout.domain.model import Result
from pytest_py312.rollout.live.live_view import LiveView
from pytest_py312.rollout.metrics.resource_usage import MEMORY
from pytest_py312.rollout.monitoring.probes import LATENCY

if TYPE_CHECKING:
    from rich.table import Table

_STYLES = {Result.SUCCESSFUL: "green", Result.FAILED: "red", Result.INCONCLUSIVE: "yellow", Result.ERROR: "yellow"}


@contextmanager
def shown_on(stream: TextIO, view: Callable[[], LiveView], told: Callable[[str], None]) -> Iterator[Callable[[], None]]:
    """What is to be called at each sample.

    :param stream: where people look; on a terminal a table stays at its end.
    :param told: takes the lines where it is none.
    """
    if not stream.isatty():
        yield lambda: told(view().sentence)
        return
    from rich.console import Console
    from rich.live import Live

    # only a sample changes it: a thread that draws it anew meanwhile would draw the same
    with Live(table(view()), console=Console(file=stream), auto_refresh=False) as live:
        yield lambda: live.update(table(view()), refresh=True)


def table(view: LiveView) -> "Table":
    """The services, with their newest answers."""
    from rich.table import Table
    from rich.text import Text

    progress = view.progress
    title = f"stage {progress.run.stage} in {progress.run.environment} is {progress.run.state.value}"
    found = Table(title=Text(prose(title)), caption=Text(_caption(view)), title_justify="left", caption_justify="left")
    for column in ("service", "latency", "old version", "memory", "not well now", "limits broken"):
        found.add_column(column)
    for one in view.services:
        latency = next((metric for metric in one.metrics if metric.metric == LATENCY), None)
        worst = min((metric.result for metric in one.troubles), key=list(_STYLES)[::-1].index, default=None)
        style = _STYLES[worst] if worst else "green" if one.metrics else "yellow"
        details = "; ".join(f"{metric.metric}: {metric.detail or metric.result.value}" for metric in one.troubles)
        found.add_row(
            Text(prose(one.service)),
            latency.value if latency else "",
            latency.old if latency else "",
            one.value_of(MEMORY),
            Text(prose(details) if details else one.summary, style=style),
            Text(prose("; ".join(one.breaches)), style="red"),
        )
    return found


def _caption(view: LiveView) -> str:
    progress = view.progress
    parts = [f"sample {progress.slot}", f"{spelled(view.credited)} of {spelled(progress.run.soak)} credited"]
    parts += [f"{spelled(view.left)} left"] if view.left else []
    parts += [f"next in {spelled(progress.next_in)}"] if progress.next_in else []
    parts += [f"{progress.missed} missed"] if progress.missed else []
    parts += [f"cannot tell: {prose(why)}" for why in progress.untold]
    return "; ".join(parts)
