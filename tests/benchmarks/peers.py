"""Times the gate against its peers on one fleet, in turn, in one run, and prints the ratios.

    python tests/benchmarks/peers.py FLEET [--rounds 3] [--phases cold,new,warm,unchanged] [--docker] [--work DIR]

FLEET is a folder with services and a tox.ini of one environment for each service and interpreter. The peers are tox
(``-p auto``, pip), tox with tox-uv, and the bare suites: ``python -m pytest`` in ready environments, as many at once
as there are cores. Phases:

* cold: no download cache, no environments, no locks.
* new: download cache and store kept, environments and locks gone.
* warm: everything ready, every suite really run.
* unchanged: everything ready, and the gate may use what it judged before.

Wall seconds are medians over the rounds; CPU seconds (user and system, children included) are beside them, since they
hold still when the machine is busy. A container's CPU is the engine's, and is not in them. The gate does more than its
peers: it also reads the source of services and libraries, and what they declare; with ``--alike`` it does not.
"""

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
GATE = "gate, local"


@dataclass
class Peer:
    """A competitor: its command, and the folders that are deleted before each phase."""

    name: str
    run: Callable[[], int]
    throw_away: Mapping[str, tuple[Path, ...]]
    phases: tuple[str, ...] = ("cold", "new", "warm")
    times: dict[str, list[tuple[float, float]]] = field(default_factory=dict)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("fleet", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--phases", default="cold,new,warm,unchanged")
    parser.add_argument("--docker", action="store_true", help="the docker runner as well, in both isolations")
    parser.add_argument("--alike", action="store_true", help="the gate's dependencies and suites only, as the peers")
    parser.add_argument("--without-pip", action="store_true", help="leave out tox with pip, which is slow")
    parser.add_argument("--work", type=Path, default=Path("/var/tmp/py312-peers"))
    arguments = parser.parse_args()
    peers = contenders(
        arguments.fleet.resolve(),
        arguments.work,
        docker=arguments.docker,
        pip=not arguments.without_pip,
        chosen=("-m", "py312_dependencies or py312_suite") if arguments.alike else (),
    )
    for phase in arguments.phases.split(","):
        measure(peers, phase, arguments.rounds)
    return 0


def environment(work: Path, name: str) -> dict[str, str]:
    """Return the variables of one peer: its own caches, and all interpreters of pyenv on PATH."""
    versions = sorted((Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions").glob("3.*/bin"))
    env = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    env["PATH"] = os.pathsep.join([*(str(path) for path in versions), env["PATH"]])
    cache = work / "caches" / name
    return {**env, "UV_CACHE_DIR": str(cache / "uv"), "PIP_CACHE_DIR": str(cache / "pip"), "NO_COLOR": "1"}


def tools(work: Path, name: str, packages: list[str]) -> Path:
    """Create a virtual environment with a peer and compiled byte code, once; return its programs folder."""
    folder = work / "tools" / name
    if not (folder / "ready").exists():
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([folder / "bin" / "pip", "install", "-q", *packages], check=True)
        (folder / "ready").touch()
    return folder / "bin"


def contenders(fleet: Path, work: Path, *, docker: bool, pip: bool, chosen: tuple[str, ...]) -> list[Peer]:
    copies = {name: copy_of(fleet, work / "fleets" / name) for name in ("tox", "tox-uv", "gate", "gate-docker")}
    shutil.rmtree(work / "tools" / "gate", ignore_errors=True)  # the checkout may have changed since
    gate = tools(work, "gate", [str(REPOSITORY)])
    peers = []
    if pip:
        peers.append(tox_peer("tox -p auto", tools(work, "tox", ["tox"]), copies["tox"], work))
    peers.append(tox_peer("tox-uv -p auto", tools(work, "tox-uv", ["tox", "tox-uv"]), copies["tox-uv"], work))
    peers.append(Peer("bare suites", lambda: bare(copies["tox-uv"], work), {}, phases=("warm",)))
    peers += [gate_peer(GATE, gate, copies["gate"], work, "local", chosen), cached_peer(gate, copies["gate"], work)]
    if docker:
        for isolation in ("interpreter", "cell"):
            name, options = f"gate, docker, one per {isolation}", (f"--py312-isolation={isolation}", *chosen)
            peers.append(gate_peer(name, gate, copies["gate-docker"], work, "docker", options))
    return peers


def copy_of(fleet: Path, target: Path) -> Path:
    if not target.exists():
        shutil.copytree(fleet, target, ignore=shutil.ignore_patterns(".tox", ".py312", "__pycache__", ".pytest_cache"))
    return target


def tox_peer(name: str, programs: Path, fleet: Path, work: Path) -> Peer:
    own = name.split()[0]
    env = environment(work, own)
    cache, envs = work / "caches" / own, fleet / ".tox"
    return Peer(
        name,
        lambda: call([programs / "tox", "run-parallel", "-p", str(CORES), "-q"], fleet, env),
        {"cold": (cache, envs), "new": (envs,)},
    )


def gate_command(programs: Path, work: Path, runner: str) -> list[object]:
    cache = work / "caches" / f"gate-{runner}" / "py312"
    return [programs / "pytest", "--py312", "-q", f"--py312-runner={runner}", f"--py312-cache-dir={cache}"]


def gate_peer(name: str, programs: Path, fleet: Path, work: Path, runner: str, options: tuple[str, ...]) -> Peer:
    caches = work / "caches" / f"gate-{runner}"
    command = [*gate_command(programs, work, runner), "--py312-no-cache", *options]
    kept = caches / "py312"
    return Peer(
        name,
        lambda: call(command, fleet, environment(work, f"gate-{runner}")),
        {"cold": (caches, fleet / ".py312"), "new": (kept / "envs", kept / "locks")},
    )


def cached_peer(programs: Path, fleet: Path, work: Path) -> Peer:
    command = gate_command(programs, work, "local")
    return Peer("gate, unchanged", lambda: call(command, fleet, environment(work, "gate-local")), {}, ("unchanged",))


def bare(fleet: Path, work: Path) -> int:
    """Run the suites directly, in the environments that tox-uv created."""
    env = environment(work, "tox-uv")

    def suite(folder: Path) -> int:
        service = fleet / "services" / folder.name.rsplit("-", 1)[0]
        argv: list[object] = [folder / "bin" / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
        return call(argv, service, {**env, "PYTHONPATH": str(service)})

    folders = sorted(path for path in (fleet / ".tox").iterdir() if (path / "bin" / "python").exists())
    with ThreadPoolExecutor(CORES) as pool:
        return max(pool.map(suite, folders))


def call(argv: list[object], cwd: Path, env: Mapping[str, str]) -> int:
    done = subprocess.run([str(word) for word in argv], cwd=cwd, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{argv[0]} exited with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}", file=sys.stderr)
    return done.returncode


def measure(peers: list[Peer], phase: str, rounds: int) -> None:
    """Run the peers of a phase in turn, ``rounds`` times, and print what each took."""
    taking_part = [peer for peer in peers if phase in peer.phases or (phase == "unchanged" and "uv" in peer.name)]
    for peer in taking_part:
        if phase in ("warm", "unchanged") and peer.run() != 0:  # once before it counts
            raise SystemExit(f"{peer.name} failed")
    for _ in range(rounds):
        for peer in taking_part:
            for path in peer.throw_away.get(phase, ()):
                shutil.rmtree(path, ignore_errors=True)
            wall, cpu = time.perf_counter(), used()
            if peer.run() != 0:
                raise SystemExit(f"{peer.name} failed")
            peer.times.setdefault(phase, []).append((time.perf_counter() - wall, used() - cpu))
    show(taking_part, phase)


def used() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def show(peers: list[Peer], phase: str) -> None:
    medians = {
        peer.name: tuple(statistics.median(column) for column in zip(*peer.times[phase], strict=True)) for peer in peers
    }
    mine = [name for name in medians if name.startswith("gate")]
    width = max(map(len, medians))
    print(f"\n{phase} (median of {len(peers[0].times[phase])}; wall, CPU in seconds)")
    for name, (wall, cpu) in medians.items():
        ratios = (
            ""
            if name in mine
            else "".join(
                f"   {gate}: {medians[gate][0] / wall:.2f}x wall, {medians[gate][1] / cpu:.2f}x CPU" for gate in mine
            )
        )
        print(f"  {name:{width}}  {wall:7.2f} {cpu:7.2f}{ratios}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
