"""Times the judgement of requirements files against uv and pip-compile by hand, in one run, and prints the ratios.

    python tests/benchmarks/resolution_peers.py FOLDER [--python 3.9,3.10,3.11,3.12] [--jobs N] [--work DIR] [--pip 6]

Every requirements file below FOLDER is judged for each interpreter: its lock, or all that blocks it. The peers answer
yes or no, with the first reason: ``uv pip compile --no-build`` for one file and interpreter after the other, and
pip-compile under the interpreter itself for as many files as ``--pip`` says, each ended after :data:`PIP_LIMIT`
seconds, as it tries versions for hours on conflicting sets. Each side has its own cache.

* cold: no cache at all.
* edited: one file got another requirement since; for uv that is one call for each interpreter.
* unchanged: nothing has changed. The peers ask the index again all the same.

Nothing is built or installed by any of them. The judgement runs in a process of its own, whose start counts.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from uv import find_uv_bin

from pytest_py312.core.concurrency import SingleFlight
from pytest_py312.core.model.findings import Interpreter, Severity
from pytest_py312.core.model.fleet import RequirementSource
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.dependencies.diagnosis.locker import RESOLUTIONS_PER_CORE, Locker
from pytest_py312.dependencies.resolution.lock import ResolutionRequest, Undetermined, Unresolvable
from pytest_py312.dependencies.resolution.uv_resolver import UvResolver
from pytest_py312.repository.services.requirements.requirement_set import read_requirement_set
from pytest_py312.repository.services.requirements.sources import is_requirements_path
from pytest_py312.runners.local import LocalRunner

PIP_LIMIT = 120.0
"""Seconds for one file and interpreter: the ratio is a lower bound where any was ended by it, and says so."""

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--python", default="3.9,3.10,3.11,3.12")
    parser.add_argument(
        "--jobs", type=int, default=RESOLUTIONS_PER_CORE * CORES, help="resolutions at once on our side"
    )
    parser.add_argument("--pip", type=int, default=6, help="files for pip-compile; 0 leaves it out")
    parser.add_argument("--work", type=Path, default=Path("/var/tmp/py312-resolution-peers"))
    parser.add_argument("--judge", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    interpreters = arguments.python.split(",")
    if arguments.judge:
        return judge(arguments.folder, arguments.work, interpreters, arguments.jobs)
    shutil.rmtree(arguments.work, ignore_errors=True)
    copy = arguments.work / "files"
    shutil.copytree(arguments.folder, copy, ignore=shutil.ignore_patterns(".git", ".py312"))
    measure(copy, arguments.work, interpreters, arguments.jobs, arguments.pip)
    return 0


def measure(folder: Path, work: Path, interpreters: list[str], jobs: int, pip: int) -> None:
    files = requirements_files(folder)
    print(f"{len(files)} files x {len(interpreters)} interpreters, {jobs} at once on our side, one at a time by hand")
    builds = programs(work, interpreters)

    def by_hand(chosen: Sequence[Path] = files) -> None:
        for file in chosen:
            for version in interpreters:
                uv_by_hand(file, builds[version], work / "uv-by-hand")

    def gate() -> None:
        judged(folder, work, interpreters, jobs)

    cold, cold_uv = timed(gate), timed(by_hand)
    show("cold", cold, cold_uv)
    unchanged, warm_uv = timed(gate), timed(by_hand)
    show("unchanged", unchanged, warm_uv)
    edited = files[len(files) // 2]
    edited.write_text(edited.read_text(encoding="utf-8") + "\niniconfig\n", encoding="utf-8")
    edited_ours, edited_uv = timed(gate), timed(lambda: by_hand([edited]))
    show("one file edited", edited_ours, edited_uv)
    print(f"one edited / cold: {edited_ours / cold:.3f}")
    if pip:
        against_pip_compile(folder, files[:pip], builds, work, jobs)


def judged(folder: Path, work: Path, interpreters: Sequence[str], jobs: int) -> None:
    ours = [sys.executable, __file__, str(folder), "--judge", f"--work={work}", f"--python={','.join(interpreters)}"]
    environ = environment(work / "uv-of-ours")
    done = subprocess.run([*ours, f"--jobs={jobs}"], env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    print(f"    {done.stdout.strip()}")


def against_pip_compile(folder: Path, files: Sequence[Path], builds: dict[str, str], work: Path, jobs: int) -> None:
    """Compare both with cold caches, on the same few files."""
    tools = {version: pip_tools(work / "pip-tools", version, program) for version, program in builds.items()}
    few = work / "few"
    for file in files:
        place = few / "files" / file.relative_to(folder)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, place)
    ended = 0

    def compile_all() -> None:
        nonlocal ended
        for file in files:
            for program in tools.values():
                # started elsewhere: `-m` puts the folder on the path, and a build.py there would be taken for build
                argv = [program, "-m", "piptools", "compile", "-q", "--strip-extras", "--dry-run", str(file)]
                try:
                    # no pipes: a build that outlives it would hold them
                    subprocess.run(
                        argv, cwd=work, env=environment(work / "pip-cache"), check=False, timeout=PIP_LIMIT,
                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                    )  # fmt: skip
                except subprocess.TimeoutExpired:
                    ended += 1

    ours = timed(lambda: judged(few / "files", few, list(builds), jobs))
    show(f"pip-compile, {len(files)} files, cold", ours, timed(compile_all), other="pip-compile")
    print(f"pip-compile was ended {ended} times after {PIP_LIMIT:.0f} s")


def requirements_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and is_requirements_path(path.as_posix()))


def environment(cache: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("UV_CACHE", "PIP_CACHE"))}
    return {**kept, "UV_CACHE_DIR": str(cache), "PIP_CACHE_DIR": str(cache)}


def programs(work: Path, interpreters: Sequence[str]) -> dict[str, str]:
    """Return the builds that the gate uses, so that all sides use the same."""
    with runner(work / "find") as local_runner:
        return {text: local_runner.find_interpreter(Interpreter.parse(text)).executable for text in interpreters}


def uv_by_hand(file: Path, program: str, cache: Path) -> None:
    argv = [find_uv_bin(), "pip", "compile", "-q", "--no-build", "--python", program, str(file)]
    subprocess.run(argv, env=environment(cache), capture_output=True, check=False)


def pip_tools(folder: Path, version: str, program: str) -> str:
    place = folder / version
    uv = find_uv_bin()
    subprocess.run([uv, "venv", "-q", "--python", program, str(place)], check=True)
    python = str(place / "bin" / "python")
    subprocess.run([uv, "pip", "install", "-q", "--python", python, "pip", "pip-tools"], check=True)
    return python


def timed(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def show(what: str, ours: float, theirs: float, mine: str = "ours", other: str = "uv by hand") -> None:
    print(f"{what}: {mine} {ours:.2f} s, {other} {theirs:.2f} s, ratio {theirs / ours:.1f}", flush=True)


# ---- our side, in its own process


@contextmanager
def runner(cache: Path) -> Iterator[LocalRunner]:
    cache.mkdir(parents=True, exist_ok=True)
    made = LocalRunner(
        cache=cache, uv=Path(find_uv_bin()), run_id=uuid4().hex, run_folder=cache / "run", download_interpreters=False
    )
    try:
        yield made
    finally:
        made.close()


def judge(folder: Path, work: Path, interpreters: Sequence[str], jobs: int) -> int:
    cache = work / "ours"
    with runner(cache) as used:
        resolver = UvResolver(cache=cache, runner=used, uv_version="benchmark", lock_hours=24.0)
        locker = Locker(cache=cache, resolver=resolver, single_flight=SingleFlight(None), lock_hours=24.0)

        def questions() -> Iterator[tuple[ResolutionRequest, InterpreterBuild]]:
            for text in interpreters:
                build = used.find_interpreter(Interpreter.parse(text))
                for file in requirements_files(folder):
                    source = RequirementSource(path=file.relative_to(folder).as_posix())
                    entries = read_requirement_set(folder, [source]).entries
                    direct = tuple((item.name, item.location) for item in entries)
                    yield ResolutionRequest(lines=tuple(item.text for item in entries), direct=direct), build

        def answer(question: tuple[ResolutionRequest, InterpreterBuild]) -> tuple[int, int]:
            try:
                locker.lock(*question)
            except Unresolvable as blocked:
                return 1, sum(finding.severity is Severity.ERROR for finding in blocked.findings)
            except Undetermined as reason:
                raise SystemExit(f"could not be checked, so nothing is timed: {reason}") from None
            return 0, 0

        with ThreadPoolExecutor(jobs) as pool:
            answers = list(pool.map(answer, questions()))
    blocked = sum(is_blocked for is_blocked, _ in answers)
    print(f"{len(answers)} sets judged, {blocked} of them blocked, by {sum(count for _, count in answers)} blockers")
    return 0


if __name__ == "__main__":
    sys.exit(main())
