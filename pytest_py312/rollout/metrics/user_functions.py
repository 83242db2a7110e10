"""A function of the user that measures something: ``checks/business.py:orders_per_minute``.

It is called with the name of the service and returns a number, or ``None`` for no data. It runs in this process, in a
thread: what it raises is an error of the measuring, told with its place, and when it does not return it is left.
"""

import importlib.util
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pytest_py312.rollout.metrics.reading import Reading
from pytest_py312.rollout.metrics.threads import in_thread


class PythonFunction:
    """A function that the plan names. ``root`` is the folder of the plan; the file has to lie in it."""

    def __init__(self, reference: str, root: Path) -> None:
        self._reference = reference
        self._root = root
        self._function: Callable[[str], Any] | None = None
        self._busy = False

    async def call(self, service: str, *, limit: float) -> Reading:
        """What it says about ``service``, within ``limit`` seconds."""
        if self._busy:  # another thread each time would be one more that never ends
            return Reading.error(f"{self._reference} has not returned from an earlier call")
        self._busy = True
        try:
            value = await in_thread(lambda: self._work(service), limit=limit)
        except TimeoutError:
            return Reading.error(f"{self._reference} did not return within {limit:g} s")
        except Exception as error:  # whatever a stranger's function raises
            return Reading.error(self._told(error))
        if value is None:
            return Reading(detail=f"{self._reference} returned None")
        if not isinstance(value, int | float):
            return Reading.error(f"{self._reference} returned a {type(value).__name__}, not a number")
        try:
            return Reading(value=float(value))
        except OverflowError:
            return Reading.error(f"{self._reference} returned a number that is too large")

    def _work(self, service: str) -> Any:
        try:
            if self._function is None:
                self._function = load(self._reference, self._root)
            return self._function(service)
        finally:
            self._busy = False

    def _told(self, error: BaseException) -> str:
        """What was raised, and where: the innermost line below the root, as that is the user's own."""
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if Path(frame.filename).is_relative_to(self._root)]
        place = f" at {Path(own[-1].filename).relative_to(self._root)}:{own[-1].lineno}" if own else ""
        return f"{self._reference}: {type(error).__name__}: {error}{place}"


def load(reference: str, root: Path) -> Callable[[str], Any]:
    """The function that ``file.py:name`` means.

    :raises ValueError: there is none, or the file lies outside of ``root``.
    """
    file, colon, name = reference.rpartition(":")
    path = (root / file).resolve()
    if not colon or not path.is_relative_to(root.resolve()) or path.suffix != ".py":
        raise ValueError(f'{reference} is no function of a file here; write one such as "checks/business.py:orders"')
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
