"""The terminal display while a stage is monitored: a live table, or one line for each sample."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from pytest_py312.core.process import discard_output
from pytest_py312.core.text import escape_terminal, format_duration
from pytest_py312.rollout.canary_analysis.soak_status import format_credit
from pytest_py312.rollout.domain.measurements import Result
from pytest_py312.rollout.live.live_view import LiveView
from pytest_py312.rollout.metrics.resource_usage import MEMORY
from pytest_py312.rollout.monitoring.probes import LATENCY

if TYPE_CHECKING:
    from rich.table import Table

_STYLES = {Result.SUCCESSFUL: "green", Result.FAILED: "red", Result.INCONCLUSIVE: "yellow", Result.ERROR: "yellow"}


@contextmanager
def live_display(
    stream: TextIO, view: Callable[[], LiveView], log: Callable[[str], None]
) -> Iterator[Callable[[], None]]:
    """Show the view, and yield a function to call after each sample.

    :param stream: if it is a terminal, a live table stays at its end.
    :param log: receives a line for each sample otherwise.
    """
    if not stream.isatty():
        yield lambda: log(view().log_line)
        return
    from rich.console import Console
    from rich.live import Live

    # only a sample changes it: a refreshing thread would draw the same table
    def draw(update: Callable[[], None]) -> None:
        try:
            update()
        except OSError:  # the terminal is gone; rich does not start, update or stop without one
            discard_output(stream)

    live = Live(make_table(view()), console=Console(file=stream), auto_refresh=False)
    draw(lambda: print("", end="", file=stream, flush=True))
    live.start()
    try:
        yield lambda: draw(lambda: live.update(make_table(view()), refresh=True))
    finally:
        draw(live.stop)


def make_table(view: LiveView) -> "Table":
    """Return a table of the services with their newest results."""
    from rich.table import Table
    from rich.text import Text

    progress = view.progress
    title = f"stage {progress.run.stage} in {progress.run.environment} is {progress.run.state.value}"
    service_table = Table(
        title=Text(escape_terminal(title)), caption=Text(_caption(view)), title_justify="left", caption_justify="left"
    )
    for column in ("service", "latency", "previous version", "memory", "not well now", "limits broken"):
        service_table.add_column(column)
    for service in view.services:
        latency = next((metric for metric in service.metrics if metric.metric == LATENCY), None)
        worst = min((metric.result for metric in service.bad_metrics), key=list(_STYLES)[::-1].index, default=None)
        style = _STYLES[worst] if worst else "green" if service.metrics else "yellow"
        details = "; ".join(
            f"{metric.metric}: {metric.detail or metric.result.value}" for metric in service.bad_metrics
        )
        service_table.add_row(
            Text(escape_terminal(service.service)),
            latency.value if latency else "",
            latency.control_value if latency else "",
            service.value_of(MEMORY),
            Text(escape_terminal(details) if details else service.summary, style=style),
            Text(escape_terminal("; ".join(service.breaches)), style="red"),
        )
    return service_table


def _caption(view: LiveView) -> str:
    progress = view.progress
    parts = [f"sample {progress.slot}", f"{format_credit(view.credited, progress.run.soak)} credited"]
    parts += [f"{format_duration(view.remaining)} left"] if view.remaining else []
    parts += [f"next in {format_duration(progress.seconds_to_next)}"] if progress.seconds_to_next else []
    parts += [f"{progress.missed} missed"] if progress.missed else []
    parts += [f"inconclusive: {escape_terminal(why)}" for why in progress.inconclusive_reasons]
    return "; ".join(parts)
