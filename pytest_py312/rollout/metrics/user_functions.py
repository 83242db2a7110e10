"""Metrics measured by a function of the user, for example ``checks/business.py:orders_per_minute``.

The function is called with the name of the service and returns a number, or ``None`` for no data. It runs in a thread
of this process. An exception is an error of the measurement, reported with its location; a call that does not return in
time is abandoned.
"""

import importlib.util
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pytest_py312.core.concurrency import run_in_thread
from pytest_py312.rollout.metrics.reading import MetricReading


class UserFunction:
    """A function named in the plan. Its file has to be inside ``root``, the folder of the plan."""

    def __init__(self, reference: str, root: Path) -> None:
        self._reference = reference
        self._root = root
        self._function: Callable[[str], Any] | None = None
        self._busy = False

    async def call(self, service: str, *, timeout: float) -> MetricReading:
        """Call the function for ``service``; never raises."""
        if self._busy:  # a new thread for each call would leak one per sample
            return MetricReading.error(f"{self._reference} has not returned from an earlier call")
        self._busy = True
        try:
            value = await run_in_thread(lambda: self._call_once(service), timeout=timeout)
        except TimeoutError:
            return MetricReading.error(f"{self._reference} did not return within {timeout:g} s")
        except Exception as error:  # the user's code may raise anything
            return MetricReading.error(self._describe_error(error))
        if value is None:
            return MetricReading(detail=f"{self._reference} returned None")
        if not isinstance(value, int | float):
            return MetricReading.error(f"{self._reference} returned a {type(value).__name__}, not a number")
        try:
            return MetricReading(value=float(value))
        except OverflowError:
            return MetricReading.error(f"{self._reference} returned a number that is too large")

    def _call_once(self, service: str) -> Any:
        try:
            if self._function is None:
                self._function = load_function(self._reference, self._root)
            return self._function(service)
        finally:
            self._busy = False

    def _describe_error(self, error: BaseException) -> str:
        """Describe an exception with the innermost location in the user's own files."""
        frames = traceback.extract_tb(error.__traceback__)
        own_frames = [frame for frame in frames if Path(frame.filename).is_relative_to(self._root)]
        place = (
            f" at {Path(own_frames[-1].filename).relative_to(self._root)}:{own_frames[-1].lineno}" if own_frames else ""
        )
        return f"{self._reference}: {type(error).__name__}: {error}{place}"


def load_function(reference: str, root: Path) -> Callable[[str], Any]:
    """Load the function ``file.py:name``.

    :raises ValueError: it does not exist, or the file is outside of ``root``.
    """
    file, colon, name = reference.rpartition(":")
    path = (root / file).resolve()
    if not colon or not path.is_relative_to(root.resolve()) or path.suffix != ".py":
        raise ValueError(
            f'{reference} is not a function of a file in this folder; write it as "checks/business.py:orders"'
        )
    if not path.is_file():
        raise ValueError(f"there is no file {file}")
    spec = importlib.util.spec_from_file_location(f"py312_watching_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ValueError(f"{file} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    function = getattr(module, name, None)
    if not callable(function):
        raise ValueError(f"{file} has no function {name}")
    return function  # type: ignore[no-any-return]  # it takes what it is given, or raises
