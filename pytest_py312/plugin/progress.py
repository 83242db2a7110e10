"""Show what a session of the gate does while pytest waits for it (``--py312-no-progress`` and ``-q``: nothing).

In a terminal these are lines below pytest's own output, elsewhere a line now and then. Workers of xdist hand what they
do to the controller.
"""

import os
from collections.abc import Callable, Generator
from contextlib import ExitStack
from pathlib import Path

import pytest

from pytest_py312.core.progress.display import DisplayStyle, ProgressDisplay, is_live
from pytest_py312.core.progress.output import LiveOutput, guard_standard_streams, replace_attribute
from pytest_py312.core.progress.relay import EventReader, EventWriter
from pytest_py312.gate.fixes.verification_run import is_second_run
from pytest_py312.plugin.command_line import option_value
from pytest_py312.plugin.pytest_support.processes import is_controller, shared_folder


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
        style = DisplayStyle(
            live=is_live(file, os.environ),
            color=writer.hasmarkup,
            unicode="utf" in (getattr(file, "encoding", "") or "").lower(),
        )
        source = EventReader(self._folder()).read if is_controller(config) else tuple
        display = ProgressDisplay(output, style, source=source)
        replace_attribute(writer, "_file", output.guard(file), self._exit_stack)
        if config.option.capture == "no":
            guard_standard_streams(output, self._exit_stack)
        self._exit_stack.callback(display.stop)
        display.start()
        self._display = display

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
