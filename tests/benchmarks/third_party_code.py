"""The scan on third-party code: ``python -m tests.benchmarks.third_party_code --work FOLDER [--only now|then]``.

Two tables in Markdown, both for a move from 3.9 to 3.12, each distribution being a service:

- ``now``: current distributions that run on 3.12. Blocking findings are listed; they are false alarms unless they are
  known to be true (``TRUE``, each checked by hand).
- ``then``: old distributions. Modules (of large ones each second, third, ...) are imported for real on 3.9 and
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

from pytest_py312.analysis.services.service_analysis import ServiceAnalyzer
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
"""``now.txt``, ``then.txt``; ``dependencies.txt``: requirements of the old distributions with wheels for both."""
TRUE: dict[tuple[str, str], str] = {}
"""(file, name) of true blocking findings in current distributions, and why they are true."""


def main() -> None:
    parser = argparse.ArgumentParser(description="The scan on third-party code.")
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
    """Install each distribution into its own folder, without its requirements."""
    names = []
    for requirement in requirements:
        names.append(requirement.partition("==")[0])
        if not (folder / names[-1]).is_dir():
            uv("pip", "install", "--no-deps", "--python", python, "--target", folder / names[-1], requirement)
    return names


def uv(*arguments: str | Path) -> None:
    subprocess.run([find_uv_bin(), "--quiet", *arguments], check=True)


def scan(root: Path, names: Sequence[str], work: Path, lock: Mapping[str, str] | None) -> dict[str, list[Finding]]:
    """Return the findings in each folder of ``root``. Incomplete analyses are reported on standard error."""
    runner = LocalRunner(
        cache=work / "cache",
        uv=Path(find_uv_bin()),
        run_id=uuid4().hex,
        run_folder=work / "run",
        download_interpreters=False,
    )
    try:
        plan = Plan(root=root, target=TARGET)
        analyzer = ServiceAnalyzer(plan=plan, cache=work / "cache", runner=runner, processes=2)
        services = [_service(name) for name in names]
        analyzer.register(services)
        findings = {}
        for service in services:
            analysis = analyzer.analyze(Cell(service=service, interpreter=TARGET), lock)
            if analysis.unchecked_reason:
                print(f"{service.name}: {analysis.unchecked_reason}", file=sys.stderr)
            findings[service.name] = list(analysis.findings)
        return findings
    finally:
        runner.close()


def _service(name: str) -> Service:
    return Service(
        name=name, path=name, stage=1, critical=False, baseline=BASELINE, baseline_source="this script",
        requirements=(), test_requirements=(), suite=None, settings=ServiceSettings(),
    )  # fmt: skip


def blocking(findings: Iterable[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.severity is Severity.ERROR]


# ---- current distributions


def precision(work: Path, names: Sequence[str]) -> None:
    """Print the first table, and all blocking findings."""
    root = work / "now"
    findings = scan(root, names, work, None)
    files = {name: sum(1 for _ in (root / name).rglob("*.py")) for name in names}
    false: list[Finding] = []
    print("| distribution of today | files | blocks | of that false | deprecated | too new for 3.9 | other warnings |")
    print("|---|---|---|---|---|---|---|")
    for name in names:
        errors = blocking(findings[name])
        wrong = [finding for finding in errors if _name(finding) not in TRUE]
        false += wrong
        codes = Counter(finding.code for finding in findings[name] if finding.severity is not Severity.ERROR)
        rest = sum(codes.values()) - codes["PY220"] - codes["PY210"]
        print(
            f"| {name} | {files[name]} | {len(errors)} | {len(wrong)} | {codes['PY220']} | {codes['PY210']} | {rest} |"
        )
    removed = [finding for finding in false if finding.code in REMOVED]
    total = sum(files.values())
    print(f"\nfalse alarms of something removed: {len(removed)} in {total} files")
    print(*(f"- {_describe(finding)}" for finding in false), sep="\n")


def _name(finding: Finding) -> tuple[str, str]:
    assert finding.location is not None
    return finding.location.path, finding.names[0] if finding.names else ""


def _describe(finding: Finding) -> str:
    assert finding.location is not None
    return f"{finding.location.path}:{finding.location.line}: {finding.code} {finding.message}"


# ---- old distributions


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
    """Print the second table, and what was not found."""
    root = work / "then"
    with ThreadPoolExecutor(2) as threads:
        made = threads.map(lambda item: environment(work, item, pythons[item]), (BASELINE, TARGET))
        environments = dict(zip((BASELINE, TARGET), made, strict=True))
    lock = installed(environments[TARGET]) | dict(item.split("==") for item in pinned("then"))
    findings = scan(root, names, work, lock)
    errors = [item for findings in findings.values() for item in blocking(findings)]
    spans = {span for item in errors for span in _lines(root, item)}
    finders = {str(root / item.location.path) for item in errors if item.code == "PY207" and item.location}
    print("| distribution of years ago | modules | import on 3.9 | and not on 3.12 | of these found | causes | found |")
    print("|---|---|---|---|---|---|---|")
    missed: list[Failure] = []
    rows: list[tuple[int, ...]] = []
    with ThreadPoolExecutor(2) as threads:
        trials = threads.map(lambda item: trial(root, item, environments), names)
        for name, (tried, works, failures) in zip(names, trials, strict=True):
            named = [item for item in failures if spans & set(item.places) or finders & set(item.above)]
            missed += [item for item in failures if item not in named]
            rows.append(
                (tried, works, len(failures), len(named), len(set(map(_cause, failures))), len(set(map(_cause, named))))
            )
            if failures:
                print(f"| {name} | {' | '.join(map(str, rows[-1]))} |", flush=True)
    sums = [sum(column) for column in zip(*rows, strict=True)]
    print(f"| all {len(names)} | {' | '.join(map(str, sums))} |\n")
    for item in missed:
        file, line = _cause(item)
        print(f"- {item.module} ({file.removeprefix(f'{root}/')}:{line}): {item.error}")


def _cause(failure: Failure) -> tuple[str, int]:
    """Return the root cause, as far as it is in the old distributions."""
    return failure.places[-1] if failure.places else (failure.module, 0)


def environment(work: Path, interpreter: Interpreter, python: Path) -> Path:
    """Create an environment with ``venv`` and the dependencies, in the same versions on both; return its Python."""
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
    folders = [str(item) for item in python.parent.parent.glob("lib/python*/site-packages")]
    return {canonicalize_name(item.name): item.version for item in distributions(path=folders)}


def trial(root: Path, name: str, environments: Mapping[Interpreter, Path]) -> tuple[int, int, list[Failure]]:
    """Return the number of modules, the number that import on the baseline, and the failures on the target."""
    path = [str(root / item) for item in with_requirements(root, name)]
    modules = sorted(module_names(root / name))
    modules = modules[:: 1 + len(modules) // MOST_MODULES]
    stored = root.parent / "trials" / f"{name}.json"
    if stored.exists():
        on_baseline, on_target = json.loads(stored.read_bytes())
    else:
        on_baseline = imported(environments[BASELINE], path, modules)
        on_target = imported(environments[TARGET], path, [item for item in modules if on_baseline[item] is None])
        stored.parent.mkdir(exist_ok=True)
        stored.write_text(json.dumps([on_baseline, on_target]), "utf-8")
    failures = [failure(module, outcome, path) for module, outcome in on_target.items() if outcome is not None]
    return len(modules), len(on_target), failures


def failure(module: str, outcome: Mapping[str, Any], path: Sequence[str]) -> Failure:
    above = []
    steps = outcome["missing"].split(".")
    for count in range(1, len(steps)):
        file = "/".join(steps[:count])
        above += [f"{folder}/{file}{end}" for folder in path for end in (".py", "/__init__.py")]
    places = tuple((str(file), int(line)) for file, line in outcome["places"])
    return Failure(module=module, error=outcome["error"], places=places, above=tuple(above))


def with_requirements(root: Path, name: str) -> list[str]:
    """Return the distribution and those of the old distributions that it requires, directly or not."""
    names = [name]
    for distribution in names:
        for required in _requires(root / distribution):
            if (root / required).is_dir() and required not in names:
                names.append(required)
    return names


def _requires(folder: Path) -> Iterator[str]:
    for distribution in distributions(path=[str(folder)]):
        assert isinstance(distribution, Distribution)
        yield from (canonicalize_name(NAME.match(text)[0]) for text in distribution.requires or ())  # type: ignore[index]


def module_names(folder: Path) -> Iterator[str]:
    """Yield all modules except those that run when imported: ``__main__``, and installed scripts."""
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
    """Yield the lines of the statement that a finding points at."""
    assert finding.location is not None
    file, line = root / finding.location.path, finding.location.line or 1
    first, last = next((span for span in statements(file) if span[0] <= line <= span[1]), (line, line))
    yield from ((str(file), number) for number in range(first, last + 1))


@cache
def statements(file: Path) -> list[tuple[int, int]]:
    """Return first and last line of each simple statement."""
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
