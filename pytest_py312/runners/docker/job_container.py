"""A closed container in which the attendant gives each job a clean process, and the spool that jobs go through.

Nothing is executed through the engine per job: a job goes in and its end comes out as files in a spool folder, which
is as quick as a plain process.

The spool is written by untrusted code. It is reached by descriptors opened before that code runs, so that no folder
can be swapped for a link under the runner's feet.
"""

import contextlib
import json
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock
from typing import Any

from pytest_py312.core.process import Ended
from pytest_py312.runners.docker.cell_container import OUT_LIMIT, End, lost_end, overfull, size_of
from pytest_py312.runners.docker.container_specs import SCRATCH as SCRATCHES
from pytest_py312.runners.docker.container_specs import Ground, Recipe, cell_variables, inside, request_for
from pytest_py312.runners.docker.engine import Engine, Launched
from pytest_py312.runners.docker.errors import EngineLost
from pytest_py312.runners.docker.output import in_bytes
from pytest_py312.runners.probe_records import read_bounded, read_records
from pytest_py312.runners.runner import CellJob, CellRun

FIRST_LOOK = 0.005
LAST_LOOK = 0.01
"""Seconds between two looks for a job's end: shortest and longest."""
CHECK = 0.5
"""Seconds between two questions to the engine whether the container still runs."""
OVERTIME = 15.0
"""Seconds beyond a job's own limits after which the attendant is taken for stuck."""
END_LIMIT = 1024**2
"""Bytes of the report of an end that are read."""


@dataclass(frozen=True, slots=True)
class Spool:
    """An open spool folder: its path, and descriptors of it, of its ``jobs`` and of its bell."""

    path: Path
    folder: int
    jobs: int
    bell: int

    @classmethod
    def make(cls, parent: Path) -> "Spool":
        path = Path(tempfile.mkdtemp(dir=parent))
        for folder in (path, path / "jobs"):
            folder.mkdir(exist_ok=True)
            folder.chmod(0o777)
        os.mkfifo(path / "bell")
        (path / "bell").chmod(0o666)
        folder_flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
        return cls(
            path=path,
            folder=os.open(path, folder_flags),
            jobs=os.open(path / "jobs", folder_flags),
            bell=os.open(path / "bell", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC),
        )

    def put(self, number: str, job: Mapping[str, Any], request: Mapping[str, Any]) -> int:
        """Hand a job in; an open descriptor of its folder."""
        os.mkdir(number, dir_fd=self.folder)
        own = os.open(number, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self.folder)
        os.fchmod(own, 0o777)
        _write("request.json", request, folder=own)
        _write(f"{number}.part", job, folder=self.jobs)
        os.rename(f"{number}.part", f"{number}.json", src_dir_fd=self.jobs, dst_dir_fd=self.jobs)
        with contextlib.suppress(
            BlockingIOError
        ):  # nobody has listened for thousands of jobs: the spool is read anyway
            os.write(self.bell, b"!")
        return own

    def drop(self) -> None:
        for number in (self.folder, self.jobs, self.bell):
            os.close(number)
        shutil.rmtree(self.path, ignore_errors=True)


def _write(name: str, document: Mapping[str, Any], *, folder: int) -> None:
    number = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644, dir_fd=folder)
    with os.fdopen(number, "w", encoding="utf-8") as file:
        os.fchmod(number, 0o644)
        json.dump(document, file)


@dataclass(frozen=True, kw_only=True, slots=True)
class Use:
    """What a room is for: how many jobs at once (``parallel``), and who shares it and what to do about that, in words.

    ``alone``: jobs come one after the other and leave nothing to each other, so whatever did not end well ends the
    container as well, and the next job has a new one.
    """

    parallel: int
    sharers: str
    advice: str = ""
    alone: bool = False


class Room:
    """One shared container and its spool. ``furnish`` says how it is made, of the job for which it is opened, the spool
    folder and the bytes of memory for all jobs together."""

    def __init__(
        self, engine: Engine, ground: Ground, closing: Event, use: Use, furnish: Callable[[CellJob, Path, int], Recipe]
    ) -> None:
        self._engine = engine
        self._ground = ground
        self._closing = closing
        self._use = use
        self._furnish = furnish
        self._lock = Lock()
        self._launched: Launched | None = None
        self._spool: Spool | None = None
        self._memory = 0
        self._checked = 0.0
        self._crowded: dict[str, bool] = {}

    def open(self, job: CellJob, *, parent: Path) -> None:
        """Have the container run, with memory for jobs as large as this one.

        :raises EngineLost: also when the run was cancelled.
        :raises Refused: the engine does not start it.
        """
        with self._lock:
            if self._closing.is_set():
                raise EngineLost("the run was cancelled")
            memory = max(self._memory, job.memory_limit * self._use.parallel)
            if self._launched is not None and self._is_up():
                if memory > self._memory:
                    self._engine.allow_memory(self._launched.id, memory)
            else:
                self._leave()
                self._enter(job, parent, memory)
            self._memory = memory

    def _is_up(self) -> bool:
        """Whether the container runs, asked at most every :data:`CHECK` seconds."""
        now = time.monotonic()
        if self._launched is None:
            return False
        if now - self._checked > CHECK:
            state = self._engine.state(self._launched.id)
            if state is None or not state.running:
                return False
            self._checked = now
        return True

    def _enter(self, job: CellJob, parent: Path, memory: int) -> None:
        self._spool = Spool.make(parent)
        self._launched = self._engine.launch(self._furnish(job, self._spool.path, memory))
        self._checked = time.monotonic()

    def _leave(self) -> None:
        launched, self._launched = self._launched, None
        spool, self._spool = self._spool, None
        if launched is not None:
            self._engine.remove(launched.id)
        if spool is not None and not self._crowded:
            spool.drop()  # else jobs that are just finding out still look into it; the run's folder goes as a whole

    def run(self, job: CellJob) -> CellRun:
        """Hand the job in and wait for its end."""
        number = uuid.uuid4().hex
        with self._lock:
            spool, launched = self._spool, self._launched
            if spool is None or launched is None:
                raise EngineLost("the run was cancelled")
            for other in self._crowded:
                self._crowded[other] = True
            self._crowded[number] = bool(self._crowded)
        own: int | None = None
        said: Mapping[str, Any] | End
        soiled = True
        begin = time.monotonic()
        try:
            own = spool.put(number, self._document(job, number), request_for(job, scratch=_scratch(number)))
            try:
                said = self._await(job, spool, own)
            except EngineLost as lost:  # what was reported until then is still to be read
                said = lost_end(lost)
            seconds = time.monotonic() - begin
            end = said if isinstance(said, End) else end_of(said, job, shared=self._crowded[number])
            soiled = end.ended is not Ended.EXITED or (isinstance(said, Mapping) and bool(said.get("left")))
            return CellRun(
                ended=end.ended,
                exit_code=end.exit_code,
                seconds=seconds,
                records=read_records("records.jsonl", folder=own),
                output_tail=launched.output.text() if isinstance(said, End) else str(said.get("output", "")),
                trouble=end.trouble,
            )
        finally:
            with self._lock:
                self._crowded.pop(number, None)
            if own is not None:
                os.close(own)
                with contextlib.suppress(OSError):  # closed meanwhile, or what the job left there is not ours to remove
                    shutil.rmtree(number, dir_fd=spool.folder)
            if soiled and self._use.alone:
                self.close()

    def _document(self, job: CellJob, number: str) -> dict[str, Any]:
        variables = cell_variables(job, home=_scratch(number))
        return {
            "id": number,
            "python": f"{inside(self._ground.cache, job.environment)}/bin/python",
            "variables": variables,
            "time_limit": job.time_limit,
            "grace": job.grace,
        }

    def _await(self, job: CellJob, spool: Spool, own: int) -> Mapping[str, Any] | End:
        """What the attendant says of the end, or an end of another kind."""
        overdue = time.monotonic() + job.time_limit + job.grace + OVERTIME
        pause, measured = FIRST_LOOK, time.monotonic()
        while not self._closing.wait(pause):
            said = _said(own)
            if said is not None:
                return said
            if not self._is_up():
                break
            now = time.monotonic()
            if now > overdue:
                trouble = f"time limit of {job.time_limit:g} s reached, and its end was not reported after that"
                return End(ended=Ended.TIMED_OUT, trouble=trouble)
            # only where the container can be ended for it
            if self._use.alone and now - measured > CHECK:
                measured = now
                if sum(map(size_of, (own, spool.folder, spool.jobs))) > OUT_LIMIT:
                    return overfull()
            pause = min(pause * 1.3, LAST_LOOK)
        if self._closing.is_set():
            return End(ended=Ended.CANCELLED, trouble="the run was cancelled")
        return _said(own) or self._gone()

    def _gone(self) -> End:
        state = self._engine.state(self._launched.id) if self._launched else None
        if state is not None and (state.out_of_memory or state.exit_code == 137):
            trouble = f"memory limit of {in_bytes(self._memory)} for {self._use.sharers} reached; their container ended"
            return End(ended=Ended.OUT_OF_MEMORY, trouble=trouble)
        trouble = (
            f"the container that {self._use.sharers} share ended while it ran: somebody removed it, or a process in it "
            f"killed the others{self._use.advice}"
        )
        return End(ended=Ended.KILLED, trouble=trouble)

    def close(self) -> None:
        """End and remove the container, and remove its spool; the next job has new ones."""
        with self._lock:
            self._leave()
            self._memory = 0


def _scratch(number: str) -> str:
    return f"{SCRATCHES}/{number}/scratch"


def _said(own: int) -> Mapping[str, Any] | None:
    content = read_bounded("end.json", END_LIMIT, folder=own)
    if content is None:
        return None
    try:
        said = json.loads(content)
    except (ValueError, RecursionError):
        said = None
    return said if isinstance(said, dict) else {"killed": True}


def end_of(said: Mapping[str, Any], job: CellJob, *, shared: bool) -> End:
    """How a job ended, from what its keeper said. ``shared``: other jobs ran in the container meanwhile.

    The counter of processes killed for want of memory is the container's, so with company it is believed only where
    the job itself did not end well.
    """
    if said.get("not_started"):
        trouble = f"{job.environment}/bin/python does not start in the image: {str(said['not_started'])[:500]}"
        return End(ended=Ended.NOT_STARTED, trouble=trouble)
    number, exit_code = _whole(said.get("signal")), _whole(said.get("exit_code"))
    if number is not None:
        exit_code = 128 + number
    if said.get("timed_out") is True:
        return End(ended=Ended.TIMED_OUT, exit_code=exit_code, trouble=f"time limit of {job.time_limit:g} s reached")
    before, after = _whole(said.get("oom_before")), _whole(said.get("oom_after"))
    counted = before is not None and after is not None
    grown = before is not None and after is not None and after > before
    own_fault = not shared or exit_code != 0
    if (grown and own_fault) or (number == 9 and not counted):
        trouble = f"memory limit of {in_bytes(job.memory_limit)} reached"
        return End(ended=Ended.OUT_OF_MEMORY, exit_code=exit_code, trouble=trouble)
    if number == 9 or exit_code is None:
        return End(ended=Ended.KILLED, exit_code=exit_code, trouble="killed by a process of its own container")
    return End(ended=Ended.EXITED, exit_code=exit_code)


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
