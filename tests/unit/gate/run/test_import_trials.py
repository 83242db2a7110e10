"""What is tried where a module that a service imports once it runs fails on the target only."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_py312.analysis.files.source_reader import SourceFolder, SourceReader
from pytest_py312.core.model.fleet import Cell
from pytest_py312.dependencies.installation.result import Installation
from pytest_py312.gate.run.import_trials import ImportTrials
from pytest_py312.runners.runner import ProbeJob, ProbeResult
from tests.support.fakes import FakeRunner, cell_of, cell_run_of, installation_of, service, service_tree

FAILURE = """\
Traceback (most recent call last):
  File "/env/lib/python3.12/site-packages/dateutil/parser/__init__.py", line 1, in <module>
  File "/env/lib/python3.12/site-packages/dateutil/tz/tz.py", line 21, in <module>
ModuleNotFoundError: No module named 'six.moves'"""
VERSIONS = {"python-dateutil": "2.8.2", "six": "1.15.0"}


def trials_of(root: Path, working: Sequence[str], tried: list[str]) -> ImportTrials:
    """Return trials of a service that imports ``dateutil.parser`` in a function, which fails on 3.12.

    :param working: requirements with which it can be imported there.
    :param tried: gets what is tried.
    """

    def run(job: ProbeJob) -> ProbeResult:
        (batch,) = job.request["batches"]
        ok = job.build.interpreter.minor < 12
        names = {"folder": batch["folder"], "module": "dateutil.parser"}
        return cell_run_of({"event": "import", **names, "ok": ok, "detail": "" if ok else FAILURE}, {"event": "end"})

    def imports_with(cell: Cell, added: Sequence[str], modules: Sequence[str]) -> Mapping[str, str]:
        tried.extend(added)
        return dict.fromkeys(modules, "" if set(added) <= set(working) else FAILURE)

    path = service().path
    service_tree(root / path, {"app.py": "def main():\n    from dateutil import parser\n    parser.parse('')\n"})
    reader = SourceReader(root=root, cache=root / "cache", processes=1)
    source = reader.read([SourceFolder(path=path, roots=(path,))])[path]

    def installed(cell: Cell) -> Installation:
        made = installation_of(str(cell.interpreter), VERSIONS)
        assert made.environment is not None
        modules = {"python-dateutil": ("dateutil",), "six": ("six",)}
        return replace(made, environment=replace(made.environment, modules=modules))

    return ImportTrials(
        root=root,
        runner=FakeRunner(cell=run),
        read=lambda _: source,
        installation=installed,
        start_imports=lambda _: {},
        imports_with=imports_with,
    )


@pytest.mark.parametrize(
    ("working", "tried", "remedy"),
    [
        (["six>1.15.0"], ["six>1.15.0"], "require six>1.15.0: with it dateutil.parser can be imported on 3.12 (tried)"),
        (
            ["python-dateutil>2.8.2"],
            ["six>1.15.0", "python-dateutil>2.8.2"],
            "require python-dateutil>2.8.2: with it dateutil.parser can be imported on 3.12 (tried)",
        ),
        ([], ["six>1.15.0", "python-dateutil>2.8.2"], ""),
    ],
)
def test_newer_versions_of_what_fails_are_tried(
    tmp_path: Path, working: list[str], tried: list[str], remedy: str
) -> None:
    """First of the project whose module is missing, then of the one that misses it."""
    done: list[str] = []
    failures = trials_of(tmp_path, working, done).failures(cell_of("3.12"), frozenset())
    assert {module.name: imported.remedy for module, imported in failures.items()} == {"dateutil.parser": remedy}
    assert done == tried
