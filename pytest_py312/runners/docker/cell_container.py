"""One job in a container of its own: started, watched to its end or its limits, judged, and removed in any case."""

import contextlib
import errno
import json
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from pytest_py312.core.process import Ended
from pytest_py312.runners.docker.container_specs import Ground, cell_recipe, request_for
from pytest_py312.runners.docker.engine import Engine, Launched, State
from pytest_py312.runners.docker.errors import EngineLost, Refused
from pytest_py312.runners.docker.output import in_bytes
from pytest_py312.runners.probe_records import read_records
from pytest_py312.runners.runner import CellJob, CellRun

WATCH = 2.0
"""Seconds between two looks at a running cell, at whether the engine still answers and how much the cell wrote."""
OUT_LIMIT = 256 * 1024**2
"""Bytes that a cell may write into its folder on this machine; the folder has no quota of its own."""
KILL_LIMIT = 10.0
"""Seconds that a killed container is given to be gone."""


@dataclass(frozen=True, kw_only=True, slots=True)
class End:
    """How a run ended, in the words of :class:`CellRun`."""

    ended: Ended
    exit_code: int | None = None
    trouble: str = ""


def run_in_own_container(
    engine: Engine, ground: Ground, job: CellJob, *, image: str, folder: Path, closing: Event
) -> CellRun:
    """Run ``job`` in a fresh container of ``image`` (an id). ``folder`` is for what passes between cell and runner.

    ``closing``, once set, ends the run with :attr:`Ended.CANCELLED`. Never raises for what goes wrong in the cell,
    its limits or the engine.
    """
    begin = time.monotonic()
    place: Path | None = None
    try:
        place = Path(tempfile.mkdtemp(dir=folder))
        out = handed_over(place / "out", request_for(job))
        container = _Container(engine, job, closing)
        end = container.run(ground, image, out)
        records = read_records(out / "records.jsonl")
        end = with_disk(end, out, complete=bool(records) and records[-1].get("event") == "end")
        seconds = container.seconds
        return CellRun(
            ended=end.ended,
            exit_code=end.exit_code,
            seconds=seconds,
            records=records,
            output_tail=container.output(),
            trouble=end.trouble,
        )
    except (OSError, ValueError) as error:
        return not_run(error, time.monotonic() - begin)
    finally:
        if place is not None:
            shutil.rmtree(place, ignore_errors=True)


def not_run(error: Exception, seconds: float) -> CellRun:
    """The end of a job that could not even be started."""
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    ended = Ended.DISK_FULL if full else Ended.NOT_STARTED
    return CellRun(ended=ended, exit_code=None, seconds=seconds, records=(), trouble=str(error))


def handed_over(folder: Path, request: dict[str, object]) -> Path:
    """Make ``folder``, which any user may write (its parent is private to this one), with the request in it."""
    folder.mkdir()
    folder.chmod(0o777)  # the cell's user is not always ours, and user namespaces give it other numbers still
    path = folder / "request.json"
    path.write_text(json.dumps(request), encoding="utf-8")
    path.chmod(0o644)
    return folder


def with_disk(end: End, out: Path, *, complete: bool) -> End:
    """``end``, or that the disk is full, where that explains why the records of a run that exited are incomplete."""
    if complete or end.ended is not Ended.EXITED or shutil.disk_usage(out).free > 1024**2:
        return end
    trouble = f"the disk that holds {out.parent} is full, so the cell could not report its results"
    return End(ended=Ended.DISK_FULL, exit_code=end.exit_code, trouble=trouble)


def judged(state: State, *, memory_limit: int) -> End:
    """What the state of a container that ended by itself says of its end."""
    limit = in_bytes(memory_limit)
    if state.out_of_memory:
        trouble = f"memory limit of {limit} reached"
        return End(ended=Ended.OUT_OF_MEMORY, exit_code=state.exit_code, trouble=trouble)
    if state.exit_code == 137:
        # engines have been seen not to notice: nobody here sent that SIGKILL, and the kernel is the usual sender
        trouble = f"killed (SIGKILL) by the system, most likely because the memory limit of {limit} was reached"
        return End(ended=Ended.OUT_OF_MEMORY, exit_code=137, trouble=trouble)
    return End(ended=Ended.EXITED, exit_code=state.exit_code)


def refused_end(refused: Refused, image: str) -> End:
    """The end of a job whose container the engine would not create or start."""
    if refused.disk_full:
        return End(ended=Ended.DISK_FULL, trouble=f"the Docker engine's disk is full: {refused}")
    if refused.not_found:
        trouble = f"the image {image[:19]} is gone from the Docker engine ({refused}); pull or build it and run again"
        return End(ended=Ended.NOT_STARTED, trouble=trouble)
    hint = ""
    if "bind source path does not exist" in str(refused):
        hint = "; the engine does not see the files of this machine (is it on another one, or in a virtual machine?)"
    return End(ended=Ended.NOT_STARTED, trouble=f"the Docker engine could not start a container: {refused}{hint}")


def lost_end(lost: EngineLost) -> End:
    """The end of a job whose engine went away."""
    return End(ended=Ended.ENGINE_LOST, trouble=f"{lost}; what was running in it counts for nothing")


def overfull() -> End:
    """The end of a job that wrote more than :data:`OUT_LIMIT`."""
    trouble = f"wrote more than {in_bytes(OUT_LIMIT)} into the folder for its results"
    return End(ended=Ended.KILLED, trouble=trouble)


class _Container:
    """The container of one job."""

    def __init__(self, engine: Engine, job: CellJob, closing: Event) -> None:
        self._engine = engine
        self._job = job
        self._closing = closing
        self._ids: list[str] = []
        self._launched: Launched | None = None
        self.seconds = 0.0

    def output(self) -> str:
        return self._launched.output.text() if self._launched else ""

    def run(self, ground: Ground, image: str, out: Path) -> End:
        if self._closing.is_set():
            return _cancelled()
        recipe = cell_recipe(ground, self._job, image=image, out=out)
        begin = time.monotonic()
        try:
            self._launched = self._engine.launch(recipe, started=self._ids.append)
            begin = time.monotonic()
            return self._to_its_end(self._launched, out)
        except Refused as refused:
            return _cancelled() if self._closing.is_set() else refused_end(refused, image)
        except EngineLost as lost:
            if self._closing.is_set():
                return _cancelled()
            return lost_end(lost)
        finally:
            self.seconds = time.monotonic() - begin
            for container in self._ids:
                self._engine.remove(container)
            if self._launched and self._launched.reader:
                self._launched.reader.join(timeout=5.0)

    def _to_its_end(self, launched: Launched, out: Path) -> End:
        stopped = self._watch(launched.id, out)
        state = self._engine.state(launched.id)
        if self._closing.is_set():
            return _cancelled()
        if state is None:
            return End(ended=Ended.KILLED, trouble="its container was removed by somebody else while it ran")
        if stopped is not None:
            return End(ended=stopped.ended, exit_code=state.exit_code, trouble=stopped.trouble)
        if launched.reader:
            launched.reader.join(timeout=5.0)
        if state.exit_code in (126, 127) and launched.output.text().startswith("[FATAL tini"):
            trouble = (
                f"{self._job.environment}/bin/python does not start in the image: {launched.output.text().strip()}"
            )
            return End(ended=Ended.NOT_STARTED, trouble=trouble)
        return judged(state, memory_limit=self._job.memory_limit)

    def _watch(self, container: str, out: Path) -> End | None:
        """Wait for the container's end; what made us end it, if we did."""
        deadline = time.monotonic() + self._job.time_limit
        while (left := deadline - time.monotonic()) > 0 and not self._closing.is_set():
            if self._engine.wait(container, min(left, WATCH)):
                return None
            self._engine.state(container)  # an engine that is stuck, not gone, shows itself here
            if size_of(out) > OUT_LIMIT:
                self._kill(container)
                return overfull()
        self._engine.signal(container, "SIGINT")
        if not self._engine.wait(container, self._job.grace):
            self._kill(container)
        return End(ended=Ended.TIMED_OUT, trouble=f"time limit of {self._job.time_limit:g} s reached")

    def _kill(self, container: str) -> None:
        self._engine.signal(container, "SIGKILL")
        self._engine.wait(container, KILL_LIMIT)


def _cancelled() -> End:
    return End(ended=Ended.CANCELLED, trouble="the run was cancelled")


def size_of(folder: Path | int) -> int:
    """Bytes of the files directly in a folder (or an open descriptor of one), without following a link; a lower bound
    is enough."""
    size = 0
    with contextlib.suppress(OSError), os.scandir(folder) as found:
        for entry in found:
            with contextlib.suppress(OSError):
                size += entry.stat(follow_symlinks=False).st_blocks * 512
    return size
