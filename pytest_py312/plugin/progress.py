"""Show what a session of the gate does while pytest waits for it (``--py312-no-progress`` and ``-q``: nothing).

In a terminal these are lines below pytest's own output, elsewhere a line now and then. Workers of xdist hand what they
do to the controller.
"""

import os
import sys
from collections.abc import Callable, Generator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from pytest_py312.core.progress.display import DisplayStyle, ProgressDisplay, is_live
from pytest_py312.core.progress.output import LiveOutput
from pytest_py312.core.progress.relay import EventReader, EventWriter
from pytest_py312.gate.fixes.verification_run import is_second_run
from pytest_py312.plugin.command_line import option_value
from pytest_py312.plugin.processes import is_controller, shared_folder


class ProgressPlugin:
    """Hooks that show the progress of a session.

    :param folder: returns the folder that is shared with xdist's workers.
    """

    def __init__(self, config: pytest.Config, folder: Callable[[], Path]) -> None:
        self._config = config
        self._folder = folder
        self._exit_stack = ExitStack()
        self._display: ProgressDisplay | None = None

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        worker_folder = shared_folder(session.config)
        if worker_folder is not None:
            writer = EventWriter(worker_folder, session.config.workerinput["workerid"])  # type: ignore[attr-defined]
            self._exit_stack.callback(writer.stop)
            writer.start()
        else:
            self._show(session.config)
        return (yield)

    def _show(self, config: pytest.Config) -> None:
        """Begin to show the progress: from here on all output passes the display, which erases its lines before."""
        reporter = config.pluginmanager.get_plugin("terminalreporter")
        if reporter is None:
            return
        writer, file = reporter._tw, reporter._tw._file
        output = LiveOutput(file)
        guarded = output.guard(file)
        style = DisplayStyle(
            live=is_live(file, os.environ),
            color=writer.hasmarkup,
            unicode="utf" in (getattr(file, "encoding", "") or "").lower(),
        )
        source = EventReader(self._folder()).read if is_controller(config) else tuple
        display = ProgressDisplay(output, style, source=source)
        self._replace(writer, "_file", guarded)
        if config.option.capture == "no":
            self._replace(sys, "stdout", guarded if sys.stdout is file else output.guard(sys.stdout))
            self._replace(sys, "stderr", output.guard(sys.stderr))
        self._exit_stack.callback(display.stop)
        display.start()
        self._display = display

    def _replace(self, owner: Any, name: str, value: object) -> None:
        """Set an attribute until the end, unless somebody else has set it meanwhile."""
        original = getattr(owner, name)

        def restore() -> None:
            if getattr(owner, name) is value:
                setattr(owner, name, original)

        setattr(owner, name, value)
        self._exit_stack.callback(restore)

    def pytest_enter_pdb(self) -> None:
        if self._display is not None:
            self._display.pause()

    def pytest_leave_pdb(self) -> None:
        if self._display is not None:
            self._display.resume()

    @pytest.hookimpl(tryfirst=True)
    def pytest_terminal_summary(self) -> None:
        self._exit_stack.close()

    def pytest_unconfigure(self) -> None:
        self._exit_stack.close()


def register_progress(config: pytest.Config, folder: Callable[[], Path]) -> None:
    """Show the progress of a session, unless it runs nothing, or is to be quiet.

    :param folder: see :class:`ProgressPlugin`.
    """
    is_quiet = config.get_verbosity() < 0 or option_value(config, "no_progress") or is_second_run()
    if not (is_quiet or config.option.collectonly):
        config.pluginmanager.register(ProgressPlugin(config, folder), "py312-progress")
