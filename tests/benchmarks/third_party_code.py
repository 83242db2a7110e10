"""What the scan says of others' code: ``python -m tests.benchmarks.others_code --work FOLDER [--only now|then]``.

Two tables in Markdown, both for a move from 3.9 to 3.12, each distribution being a service:

- ``now``: distributions of today that run on 3.12. What blocks is listed, and is a false alarm unless it is known to
  be true (``TRUE``, each looked at by hand).
- ``then``: distributions of years ago. Modules (of large ones each second, third, ...) are imported for real on 3.9 and
  on 3.12, with the same dependencies and with what ``python -m venv`` brings (setuptools before 3.12, none from it). Of
  the modules that import on 3.9 alone, those count as found where an error of the scan stands at the statement that
  raised, in the module itself or in the one it imports; where a module of a package is not found, also at a finder in
  that package that is no longer called. What is not found is listed.

uv installs into the work folder, which may be used again. Setup takes a minute or two, and each part some minutes.
"""

import argparse
import ast
import json
import re
import subprocess
import sys
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any
from uuid import uuid4

from packaging.utils import canonicalize_name
from uv import find_uv_bin

from pytest_py312.analysis.services.service_analysis import Inspector
from pytest_py312.core.model.findings import Finding, Interpreter, Severity
from pytest_py312.core.model.fleet import Cell, Service
from pytest_py312.core.model.plan import Plan, ServiceSettings
from pytest_py312.runners.local import LocalRunner
from tests.truth.verify import find_pythons

BASELINE, TARGET = Interpreter(3, 9), Interpreter(3, 12)
REMOVED = frozenset({"PY201", "PY202", "PY203", "PY204", "PY205", "PY206", "PY207", "PY209"})
NAME = re.compile(r"[\w.-]+")
"""At the start of a requirement; those of years ago are not all well-formed."""
MOST_MODULES = 100
"""Tried of one distribution; of larger ones they are spread evenly."""
LISTS = Path(__file__).with_name("distributions")
"""``now.txt``, ``then.txt``; ``dependencies.txt``: what the old ones need and both interpreters have wheels of."""
TRUE: dict[tuple[str, str], str] = {}
"""(file, name) of what blocks in the distributions of today and is true, and why."""


def main() -> None:
    parser = argparse.ArgumentParser(description="What the scan says of others' code.")
    parser.add_argument("--work", type=Path, required=True, help="folder for distributions, environments and caches")
    parser.add_argument("--only", choices=("now", "then"))
    options = parser.parse_args()
    work: Path = options.work.resolve()
    pythons = {Interpreter(*version): path for version, path in find_pythons(work / "found").items()}
    if options.only != "then":
        precision(work, install(work / "now", pinned("now"), pythons[TARGET]))
    if options.only != "now":
        recall(work, install(work / "then", pinned("then"), pythons[BASELINE]), pythons)


def pinned(name: str) -> list[str]:
    return (LISTS / f"{name}.txt").read_text("utf-8").split()


def install(folder: Path, requirements: Iterable[str], python: Path) -> list[str]:
    """Each distribution in a folder of its own, without what it requires."""
    names = []
    for one in requirements:
        names.append(one.partition("==")[0])
        if not (folder / names[-1]).is_dir():
            uv("pip", "install", "--no-deps", "--python", python, "--target", folder / names[-1], one)
    return names


def uv(*arguments: str | Path) -> None:
    subprocess.run([find_uv_bin(), "--quiet", *arguments], check=True)


def scanned(root: Path, names: Sequence[str], work: Path, lock: Mapping[str, str] | None) -> dict[str, list[Finding]]:
    """What the scan finds in each folder of ``root``. What could not be judged whole is said on standard error."""
    runner = LocalRunner(
        cache=work / "cache", uv=Path(find_uv_bin()), run_id=uuid4().hex, run_folder=work / "run", fetch=False
    )
    try:
        plan = Plan(root=root, target=TARGET)
        inspector = Inspector(plan=plan, cache=work / "cache", runner=runner, processes=2)
        services = [_service(name) for name in names]
        inspector.expect(services)
        found = {}
        for service in services:
            said = inspector.inspect(Cell(service=service, interpreter=TARGET), lock)
            if said.unchecked:
                print(f"{service.name}: {said.unchecked}", file=sys.stderr)
            found[service.name] = list(said.findings)
        return found
    finally:
        runner.close()


def _service(name: str) -> Service:
    return Service(
        name=name, path=name, stage=1, critical=False, baseline=BASELINE, baseline_source="this script",
        requirements=(), test_requirements=(), suite=None, settings=ServiceSettings(),
    )  # fmt: skip


def blocking(findings: Iterable[Finding]) -> list[Finding]:
    return [one for one in findings if one.severity is Severity.ERROR]


# ---- distributions of today


def precision(work: Path, names: Sequence[str]) -> None:
    """Prints the first table, and all that blocks."""
    root = work / "now"
    found = scanned(root, names, work, None)
    files = {name: sum(1 for _ in (root / name).rglob("*.py")) for name in names}
    false: list[Finding] = []
    print("| distribution of today | files | blocks | of that false | deprecated | too new for 3.9 | other warnings |")
    print("|---|---|---|---|---|---|---|")
    for name in names:
        errors = blocking(found[name])
        wrong = [one for one in errors if _name(one) not in TRUE]
        false += wrong
        codes = Counter(one.code for one in found[name] if one.severity is not Severity.ERROR)
        rest = sum(codes.values()) - codes["PY220"] - codes["PY210"]
        print(
            f"| {name} | {files[name]} | {len(errors)} | {len(wrong)} | {codes['PY220']} | {codes['PY210']} | {rest} |"
        )
    removed = [one for one in false if one.code in REMOVED]
    total = sum(files.values())
    print(f"\nfalse alarms of something removed: {len(removed)} in {total} files")
    print(*(f"- {_told(one)}" for one in false), sep="\n")


def _name(finding: Finding) -> tuple[str, str]:
    assert finding.location is not None
    return finding.location.path, finding.names[0] if finding.names else ""


def _told(finding: Finding) -> str:
    assert finding.location is not None
    return f"{finding.location.path}:{finding.location.line}: {finding.code} {finding.message}"


# ---- distributions of years ago


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """A module that imports on the baseline and not on the target."""

    module: str
    error: str
    places: tuple[tuple[str, int], ...]
    """The statement that raised, and those that led to it."""
    above: tuple[str, ...]
    """Files of the packages above the module that was not found: a finder in one of them is for such modules."""


def recall(work: Path, names: Sequence[str], pythons: Mapping[Interpreter, Path]) -> None:
    """Prints the second table, and what was not found."""
    root = work / "then"
    with ThreadPoolExecutor(2) as threads:
        made = threads.map(lambda one: environment(work, one, pythons[one]), (BASELINE, TARGET))
        environments = dict(zip((BASELINE, TARGET), made, strict=True))
    lock = installed(environments[TARGET]) | dict(one.split("==") for one in pinned("then"))
    found = scanned(root, names, work, lock)
    errors = [one for findings in found.values() for one in blocking(findings)]
    spans = {span for one in errors for span in _lines(root, one)}
    finders = {str(root / one.location.path) for one in errors if one.code == "PY207" and one.location}
    print("| distribution of years ago | modules | import on 3.9 | and not on 3.12 | of these found | causes | found |")
    print("|---|---|---|---|---|---|---|")
    missed: list[Failure] = []
    rows: list[tuple[int, ...]] = []
    with ThreadPoolExecutor(2) as threads:
        trials = threads.map(lambda one: trial(root, one, environments), names)
        for name, (tried, works, failures) in zip(names, trials, strict=True):
            named = [one for one in failures if spans & set(one.places) or finders & set(one.above)]
            missed += [one for one in failures if one not in named]
            rows.append(
                (tried, works, len(failures), len(named), len(set(map(_cause, failures))), len(set(map(_cause, named))))
            )
            if failures:
                print(f"| {name} | {' | '.join(map(str, rows[-1]))} |", flush=True)
    sums = [sum(column) for column in zip(*rows, strict=True)]
    print(f"| all {len(names)} | {' | '.join(map(str, sums))} |\n")
    for one in missed:
        file, line = _cause(one)
        print(f"- {one.module} ({file.removeprefix(f'{root}/')}:{line}): {one.error}")


def _cause(failure: Failure) -> tuple[str, int]:
    """The first thing that went wrong, as far as it lies in the old distributions."""
    return failure.places[-1] if failure.places else (failure.module, 0)


def environment(work: Path, interpreter: Interpreter, python: Path) -> Path:
    """The Python of an environment as ``venv`` makes it, with the dependencies; the same versions on both."""
    folder = work / f"environment-{interpreter}"
    made = folder / "bin/python"
    if not (folder / "complete").exists():
        subprocess.run([python, "-m", "venv", "--clear", folder], check=True)
        resolved = work / f"dependencies-{interpreter}.lock"
        wanted = LISTS / "dependencies.txt"
        uv("pip", "compile", "--python-version", str(BASELINE), "--no-build", "-o", resolved, wanted)
        uv("pip", "install", "--no-build", "--python", made, "-r", resolved)
        (folder / "complete").touch()
    return made


def installed(python: Path) -> dict[str, str]:
    folders = [str(one) for one in python.parent.parent.glob("lib/python*/site-packages")]
    return {canonicalize_name(one.name): one.version for one in distributions(path=folders)}


def trial(root: Path, name: str, environments: Mapping[Interpreter, Path]) -> tuple[int, int, list[Failure]]:
    """How many modules there are, how many import on the baseline, and those of them that do not on the target."""
    path = [str(root / one) for one in with_requirements(root, name)]
    modules = sorted(module_names(root / name))
    modules = modules[:: 1 + len(modules) // MOST_MODULES]
    kept = root.parent / "trials" / f"{name}.json"
    if kept.exists():
        before, after = json.loads(kept.read_bytes())
    else:
        before = imported(environments[BASELINE], path, modules)
        after = imported(environments[TARGET], path, [one for one in modules if before[one] is None])
        kept.parent.mkdir(exist_ok=True)
        kept.write_text(json.dumps([before, after]), "utf-8")
    failures = [failure(module, said, path) for module, said in after.items() if said is not None]
    return len(modules), len(after), failures


def failure(module: str, said: Mapping[str, Any], path: Sequence[str]) -> Failure:
    above = []
    steps = said["missing"].split(".")
    for count in range(1, len(steps)):
        file = "/".join(steps[:count])
        above += [f"{folder}/{file}{end}" for folder in path for end in (".py", "/__init__.py")]
    places = tuple((str(file), int(line)) for file, line in said["places"])
    return Failure(module=module, error=said["error"], places=places, above=tuple(above))


def with_requirements(root: Path, name: str) -> list[str]:
    """The distribution, and those of the old ones that it requires, directly or not."""
    found = [name]
    for one in found:
        for required in _requires(root / one):
            if (root / required).is_dir() and required not in found:
                found.append(required)
    return found


def _requires(folder: Path) -> Iterator[str]:
    for one in distributions(path=[str(folder)]):
        assert isinstance(one, Distribution)
        yield from (canonicalize_name(NAME.match(text)[0]) for text in one.requires or ())  # type: ignore[index]


def module_names(folder: Path) -> Iterator[str]:
    """All but what runs when it is imported: ``__main__``, and installed scripts."""
    for file in folder.rglob("*.py"):
        parts = file.relative_to(folder).with_suffix("").parts
        if parts[-1] == "__init__":
            parts = parts[:-1]
        if parts and parts[-1] != "__main__" and parts[0] != "bin" and all(part.isidentifier() for part in parts):
            yield ".".join(parts)


def imported(python: Path, path: Sequence[str], modules: Sequence[str]) -> dict[str, Any]:
    request = json.dumps({"path": path, "modules": modules})
    program = Path(__file__).with_name("import_trial.py")
    done = subprocess.run(
        [python, "-W", "ignore", program], input=request, capture_output=True, text=True, check=True, timeout=3600
    )
    return dict(json.loads(line) for line in done.stdout.splitlines())


def _lines(root: Path, finding: Finding) -> Iterator[tuple[str, int]]:
    """The lines of the statement that a finding points at."""
    assert finding.location is not None
    file, line = root / finding.location.path, finding.location.line or 1
    first, last = next((span for span in statements(file) if span[0] <= line <= span[1]), (line, line))
    yield from ((str(file), number) for number in range(first, last + 1))


@cache
def statements(file: Path) -> list[tuple[int, int]]:
    """First and last line of each plain statement."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):
        return []
    plain = (ast.Import, ast.ImportFrom, ast.Expr, ast.Assign, ast.AnnAssign)
    return [(node.lineno, node.end_lineno or node.lineno) for node in ast.walk(tree) if isinstance(node, plain)]


if __name__ == "__main__":
    main()
