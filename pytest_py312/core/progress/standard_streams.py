"""Show the progress of a command that prints its own lines to the standard streams."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from pytest_py312.core.progress.display import DisplayStyle, ProgressDisplay, is_live
from pytest_py312.core.progress.output import LiveOutput


@contextmanager
def progress_on_stderr(environ: Mapping[str, str]) -> Iterator[None]:
    """Show the progress on standard error while the block runs; all that is printed meanwhile passes the display."""
    if sys.stderr is None:  # it was closed before the command was started
        yield
        return
    output = LiveOutput(sys.stderr)
    live = is_live(sys.stderr, environ)
    style = DisplayStyle(
        live=live,
        color=live and not environ.get("NO_COLOR"),
        unicode="utf" in (getattr(sys.stderr, "encoding", "") or "").lower(),
    )
    with ExitStack() as exit_stack:
        guard_standard_streams(output, exit_stack)
        display = ProgressDisplay(output, style)
        exit_stack.callback(display.stop)
        display.start()
        yield


def guard_standard_streams(output: LiveOutput, exit_stack: ExitStack) -> None:
    """Let standard output and standard error pass ``output`` until ``exit_stack`` is closed."""
    for name in ("stdout", "stderr"):
        file = getattr(sys, name)
        if file is not None:
            replace_attribute(sys, name, output.guard(file), exit_stack)


def replace_attribute(owner: object, name: str, value: Any, exit_stack: ExitStack) -> None:
    """Set an attribute until ``exit_stack`` is closed, unless something else has set it meanwhile."""
    original = getattr(owner, name)

    def restore() -> None:
        if getattr(owner, name) is value:
            setattr(owner, name, original)

    setattr(owner, name, value)
    exit_stack.callback(restore)
