"""What ten thousand services cost where all of them have to be seen: to collect them, and to merge the parts of a run.

    python -m tests.benchmarks.large_runs collect [--services 10000]
    python -m tests.benchmarks.large_runs merge [--services 10000] [--parts 256]

``collect`` writes a repository whose services have a Dockerfile, requirements and a test, and lists the items.
``merge`` writes the documents of the parts of a run on four Pythons, and merges them to one. Printed are wall time,
processor time and the most memory of the command, which is a process of its own.
"""

import argparse
import base64
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pytest_py312.core.model.findings import Interpreter, Outcome
from pytest_py312.core.model.fleet import Cell, Service
from pytest_py312.core.model.shards import ShardPart, WorkUnit
from pytest_py312.gate.history.stored_runs import pack_report
from pytest_py312.gate.reports.json_report import render
from tests.support.fakes import service
from tests.support.report_samples import report_of
from tests.support.shard_samples import IDENTITY

PYTHONS = tuple(Interpreter(3, minor) for minor in (9, 10, 11, 12))
ONCE = ("source", "libraries", "versions")
ON_EACH = ("dependencies", "suite")


def write_repository(root: Path, services: int) -> None:
    for number in range(services):
        folder = root / f"services/s{number:05}"
        (folder / "tests").mkdir(parents=True)
        (folder / "Dockerfile").write_text("FROM python:3.9-slim\n", encoding="ascii")
        (folder / "requirements.txt").write_text("six\n", encoding="ascii")
        (folder / "tests/test_it.py").write_text("def test_it():\n    pass\n", encoding="ascii")


def outcomes_of(of: Service) -> list[Outcome]:
    keys = [(None, check) for check in ONCE] + [(on, check) for on in PYTHONS for check in ON_EACH]
    return [
        replace(
            Outcome.from_findings(service=of.name, interpreter=on, check=check, findings=()),
            nodeid="::".join(filter(None, (of.path, on.label if on else "", check))),
            seconds=1.0,
        )
        for on, check in keys
    ]


def write_documents(folder: Path, services: int, parts: int) -> list[Path]:
    """Write the document of each part; return their files."""
    fleet = [service(f"s{number:05}", path=f"services/s{number:05}", suite=None) for number in range(services)]
    items = (*ONCE, *(f"{on.label}::{check}" for on in PYTHONS for check in ON_EACH))
    units = tuple(WorkUnit(service=of.name, part=number % parts + 1, items=items) for number, of in enumerate(fleet))
    files = []
    for part in range(1, parts + 1):
        own = fleet[part - 1 :: parts]
        report = report_of(
            *(outcome for of in own for outcome in outcomes_of(of)),
            services=own,
            cells=tuple(Cell(service=of, interpreter=on) for of in own for on in PYTHONS),
            checks=(*ONCE, *ON_EACH),
            exit_status=0,
            runner="local",
        )
        record = base64.b64encode(pack_report(report)).decode()
        shard = ShardPart(part=part, parts=parts, identity=IDENTITY, units=units, record=record)
        files.append(folder / f"shard-{part}.json")
        files[-1].write_bytes(render(replace(report, shard=shard)).encode())
    return files


def cost_of(argv: Sequence[object], folder: Path) -> str:
    """Run a command in a folder; describe what it has cost."""
    started = time.perf_counter()
    done = subprocess.run([str(word) for word in argv], cwd=folder, capture_output=True, text=True, check=False)
    wall = time.perf_counter() - started
    if done.returncode:
        sys.exit(done.stdout[-2000:] + done.stderr[-2000:])
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = usage.ru_utime + usage.ru_stime
    return f"{wall:.1f} s, processor {processor:.1f} s, memory {usage.ru_maxrss / 1024:,.0f} MiB"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("collect", "merge"))
    parser.add_argument("--services", type=int, default=10_000)
    parser.add_argument("--parts", type=int, default=256)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.command == "collect":
            write_repository(folder, options.services)
            argv: list[object] = [
                sys.executable,
                "-m",
                "pytest",
                "--py312",
                "--collect-only",
                "-q",
                "-p",
                "no:cacheprovider",
            ]
        else:
            files = write_documents(folder, options.services, options.parts)
            argv = [sys.executable, "-m", "pytest_py312", "merge", *files, "--report=merged.json"]
        print(f"{options.command}: {cost_of(argv, folder)}")


if __name__ == "__main__":
    main()
