"""Jobs that share one closed container per interpreter, where the attendant gives each a clean process.

Nothing is executed through the engine per job: a job goes in and its end comes out as files in a spool folder, which
is as quick as a plain process. The price: jobs of one interpreter see each other's processes and may, if they mean
to, tamper with each other's results; and they share the memory of the container.

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
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any

from pytest_py312.model import InterpreterBuild
from pytest_py312.runners.base import CellJob, CellRun, Ended
from pytest_py312.runners.docker_cell import End, lost_end, not_run, refused_end
from pytest_py312.runners.docker_engine import Engine, EngineLost, Launched, Refused
from pytest_py312.runners.docker_recipes import SCRATCH as SCRATCHES
from pytest_py312.runners.docker_recipes import (
    Ground,
    attendant_recipe,
    cell_variables,
    inside,
    request_for,
    source_binds,
)
from pytest_py312.runners.docker_records import in_bytes
from pytest_py312.runners.records import read_bounded, read_records

FIRST_LOOK = 0.005
LAST_LOOK = 0.01
"""Seconds between two looks for a job's end: shortest and longest."""
CHECK = 0.5
"""Seconds between two questions to the engine whether the container still runs."""
OVERTIME = 15.0
"""Seconds beyond a job's own limits after which the attendant is taken for stuck."""
END_LIMIT = 1024**2


class Attendants:
    """The shared containers of one run, one for each interpreter build, started at its first job."""

    def __init__(self, engine: Engine, ground: Ground, *, folder: Path, closing: Event, parallel: int) -> None:
        self._engine = engine
        self._ground = ground
        self._folder = folder
        self._closing = closing
        self._parallel = max(parallel, 1)
        self._lock = Lock()
        self._rooms: dict[str, _Room] = {}
        self._expecting = False

    def takes(self, job: CellJob) -> bool:
        """Whether a job can share a container: it needs no network, and its environment lies with all others."""
        return not job.network and job.environment.is_relative_to(self._ground.cache / "envs")

    def run(self, job: CellJob, *, image: str) -> CellRun:
        """Run ``job`` as one of many in the container of its interpreter. Never raises for trouble in it."""
        begin = time.monotonic()
        try:
            source_binds(job.root, job.folders)  # raises for what does not exist or lies outside
            return self._open(job, image).run(job)
        except Refused as refused:
            end = refused_end(refused, image)
        except EngineLost as lost:
            end = lost_end(lost)
        except (OSError, ValueError) as error:
            return not_run(error, time.monotonic() - begin)
        if self._closing.is_set():
            end = End(ended=Ended.CANCELLED, trouble="the run was cancelled")
        seconds = time.monotonic() - begin
        return CellRun(ended=end.ended, exit_code=None, seconds=seconds, records=(), trouble=end.trouble)

    def expect(self, job: CellJob, images: Mapping[InterpreterBuild, str]) -> None:
        """Once in a run, at its first job: start the containers of other builds too, as their jobs will follow.

        An engine takes a fifth of a second for each, and starts several at once.
        """
        with self._lock:
            expecting, self._expecting = self._expecting, True
        for build, image in images.items() if not expecting else ():
            if build != job.build:
                Thread(target=self._open_ahead, args=(replace(job, build=build), image), daemon=True).start()

    def _open_ahead(self, job: CellJob, image: str) -> None:
        # a job that needs the container meets the trouble itself, and tells of it
        with contextlib.suppress(Refused, EngineLost, OSError, ValueError):
            self._open(job, image)

    def _open(self, job: CellJob, image: str) -> "_Room":
        """The room of the job's build, with its container running."""
        with self._lock:
            key = f"{job.build.digest} {job.root}"
            room = self._rooms.setdefault(key, _Room(self._engine, self._ground, self._closing, self._parallel))
        room.open(job, image=image, parent=self._folder)
        return room

    def close(self) -> None:
        """Remove the containers and their spool folders."""
        with self._lock:
            rooms, self._rooms = self._rooms, {}
        if rooms:
            # an engine takes a tenth of a second for each, and does several at once
            with ThreadPoolExecutor(len(rooms)) as pool:
                list(pool.map(_Room.close, rooms.values()))


@dataclass(frozen=True, slots=True)
class _Spool:
    """An open spool folder: its path, and descriptors of it, of its ``jobs`` and of its bell."""

    path: Path
    folder: int
    jobs: int
    bell: int

    @classmethod
    def make(cls, parent: Path) -> "_Spool":
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


class _Room:
    """One shared container and its spool."""

    def __init__(self, engine: Engine, ground: Ground, closing: Event, parallel: int) -> None:
        self._engine = engine
        self._ground = ground
        self._closing = closing
        self._parallel = parallel
        self._lock = Lock()
        self._launched: Launched | None = None
        self._spool: _Spool | None = None
        self._memory = 0
        self._checked = 0.0
        self._crowded: dict[str, bool] = {}

    def open(self, job: CellJob, *, image: str, parent: Path) -> None:
        """Have the container run, with memory for jobs as large as this one."""
        with self._lock:
            if self._closing.is_set():
                raise EngineLost("the run was cancelled")
            memory = max(self._memory, job.memory_limit * self._parallel)
            if self._launched is not None and self._is_up():
                if memory > self._memory:
                    self._engine.allow_memory(self._launched.id, memory)
            else:
                self._leave()
                self._enter(job, image=image, parent=parent, memory=memory)
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

    def _enter(self, job: CellJob, *, image: str, parent: Path, memory: int) -> None:
        (self._ground.cache / "envs").mkdir(parents=True, exist_ok=True)
        self._spool = _Spool.make(parent)
        recipe = attendant_recipe(
            self._ground,
            image=image,
            executable=job.build.executable,
            what=f"attendant-{job.build.interpreter.label}",
            root=job.root,
            spool=self._spool.path,
            memory=memory,
            parallel=self._parallel,
        )
        self._launched = self._engine.launch(recipe)
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
        begin = time.monotonic()
        try:
            own = spool.put(number, self._document(job, number), request_for(job, scratch=_scratch(number)))
            try:
                said = self._await(job, own)
            except EngineLost as lost:  # what was reported until then is still to be read
                said = lost_end(lost)
            seconds = time.monotonic() - begin
            end = said if isinstance(said, End) else end_of(said, job, shared=self._crowded[number])
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

    def _document(self, job: CellJob, number: str) -> dict[str, Any]:
        variables = cell_variables(job, home=_scratch(number))
        return {
            "id": number,
            "python": f"{inside(self._ground.cache, job.environment)}/bin/python",
            "variables": variables,
            "time_limit": job.time_limit,
            "grace": job.grace,
        }

    def _await(self, job: CellJob, own: int) -> Mapping[str, Any] | End:
        """What the attendant says of the end, or an end of another kind."""
        overdue = time.monotonic() + job.time_limit + job.grace + OVERTIME
        pause = FIRST_LOOK
        while not self._closing.wait(pause):
            said = _said(own)
            if said is not None:
                return said
            if not self._is_up():
                break
            if time.monotonic() > overdue:
                trouble = f"time limit of {job.time_limit:g} s reached, and its end was not reported after that"
                return End(ended=Ended.TIMED_OUT, trouble=trouble)
            pause = min(pause * 1.3, LAST_LOOK)
        if self._closing.is_set():
            return End(ended=Ended.CANCELLED, trouble="the run was cancelled")
        return _said(own) or self._gone(job)

    def _gone(self, job: CellJob) -> End:
        state = self._engine.state(self._launched.id) if self._launched else None
        if state is not None and (state.out_of_memory or state.exit_code == 137):
            trouble = (
                f"memory limit of {in_bytes(self._memory)} for all cells of Python {job.build.interpreter} together "
                "reached; their container ended"
            )
            return End(ended=Ended.OUT_OF_MEMORY, trouble=trouble)
        trouble = (
            f"the container that the cells of Python {job.build.interpreter} share ended while it ran: somebody "
            'removed it, or a process in it killed the others; with `isolation = "cell"` each has its own'
        )
        return End(ended=Ended.KILLED, trouble=trouble)

    def close(self) -> None:
        with self._lock:
            self._leave()


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
