"""What the probe reports of the modules that a service is started with."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_py312.core.model.fleet import StartModule
from pytest_py312.core.model.measurements import StartImport
from pytest_py312.runners.runner import ProbeJob, ProbeResult
from pytest_py312.runners.start_job import import_start_modules, start_job
from tests.support.fakes import FakeRunner, build_of, cell_of, cell_run_of, service

APP = StartModule(name="app")
SCRIPTS = [StartModule(name="main", folder=folder, is_program=True, is_script=True) for folder in ("a", "b")]
FAILED = {"event": "import", "module": "main", "ok": False, "detail": "ImportError: x"}
IMPORTED = {"event": "import", "module": "main", "ok": True, "detail": ""}
UNFINISHED = {"event": "import_unfinished", "module": "main", "seconds": 90}
Report = Callable[[ProbeJob], ProbeResult]


def job_of(*modules: StartModule, root: Path = Path("/root"), **variables: str) -> ProbeJob:
    started = service(start_modules=modules)
    cell = cell_of("3.12", replace(started, settings=replace(started.settings, environment=tuple(variables.items()))))
    return start_job(cell, build_of("3.12"), Path("/environment"), root=root, built=False)


def runner_of(report: Report) -> FakeRunner:
    runner = FakeRunner()
    runner.cell = report
    return runner


def lacking(*names: str) -> Report:
    """Return what reports the first of these variables that a job does not set."""

    def report(job: ProbeJob) -> ProbeResult:
        missing = [name for name in names if name not in dict(job.variables)]
        detail = f"KeyError: '{missing[0]}'" if missing else ""
        return cell_run_of({"event": "import", "module": "app", "ok": not missing, "detail": detail})

    return report


@pytest.mark.parametrize(("second", "detail"), [(True, ""), (False, "ImportError: again")])
def test_a_module_that_fails_is_imported_once_more(second: bool, detail: str) -> None:
    """It may have failed for a reason outside of it: another process had the port."""
    runner = FakeRunner()

    def run(job: ProbeJob) -> ProbeResult:
        names = [module["name"] for module in job.request["modules"]]
        failing = len(runner.jobs) == 1 or not second
        records = [{"event": "import", "module": name, "ok": name == "good" or not failing} for name in names]
        return cell_run_of(*({**record, "detail": "ImportError: again"} for record in records))

    runner.cell = run
    job = job_of(StartModule(name="good"), StartModule(name="server"))

    assert import_start_modules(runner, job) == {"good": StartImport(), "server": StartImport(detail=detail)}
    assert [module["name"] for module in runner.jobs[1].request["modules"]] == ["server"]


def test_of_two_scripts_with_one_name_the_failing_one_counts() -> None:
    runner, job = runner_of(lambda job: cell_run_of(FAILED, IMPORTED)), job_of(*SCRIPTS)
    assert {module["kind"] for module in job.request["modules"]} == {"script"}
    assert import_start_modules(runner, job) == {"main": StartImport(detail="ImportError: x")}


def test_a_module_gets_placeholders_for_the_variables_that_it_lacks() -> None:
    """One after the other: each import shows the first only. A variable of the plan keeps its value."""
    runner = runner_of(lacking("BUCKET", "TOKEN"))
    assert import_start_modules(runner, job_of(APP)) == {
        "app": StartImport(placeholders=(("BUCKET", "1"), ("TOKEN", "1")), without_placeholders="KeyError: 'BUCKET'")
    }
    assert len(runner.jobs) == 3

    assert import_start_modules(runner, job_of(APP, BUCKET="of-the-plan")) == {
        "app": StartImport(placeholders=(("TOKEN", "1"),), without_placeholders="KeyError: 'TOKEN'")
    }
    assert dict(runner.jobs[-1].variables)["BUCKET"] == "of-the-plan"


def test_a_placeholder_that_is_taken_for_a_module_explains_nothing() -> None:
    def run(job: ProbeJob) -> ProbeResult:
        is_set = "APP_ENV" in dict(job.variables)
        detail = "ModuleNotFoundError: No module named 'envs.1'" if is_set else "KeyError: 'APP_ENV'"
        return cell_run_of({"event": "import", "module": "app", "ok": False, "detail": detail})

    assert import_start_modules(runner_of(run), job_of(APP)) == {"app": StartImport(detail="KeyError: 'APP_ENV'")}


def test_an_import_that_does_not_end_is_no_failure_and_is_not_repeated() -> None:
    runner = runner_of(lambda job: cell_run_of({**UNFINISHED, "module": "app"}))
    (imported,) = import_start_modules(runner, job_of(APP)).values()
    assert (imported.detail, imported.is_unfinished) == ("it did not end within 90 seconds", True)
    assert len(runner.jobs) == 1


@pytest.mark.parametrize(
    ("records", "detail", "is_unfinished"),
    [
        ([IMPORTED], "the process that imports it ended early", True),
        ([], "the process that imports it ended early", True),
        ([IMPORTED, UNFINISHED], "it did not end within 90 seconds", True),
        ([UNFINISHED, FAILED], "ImportError: x", False),
        ([FAILED], "ImportError: x", False),
        ([IMPORTED, IMPORTED], "", False),
    ],
)
def test_each_of_two_scripts_with_one_name_has_to_be_imported(
    records: list[dict[str, object]], detail: str, is_unfinished: bool
) -> None:
    """Their process may reach a limit between them."""
    runner = runner_of(lambda job: cell_run_of(*records))
    (imported,) = import_start_modules(runner, job_of(*SCRIPTS)).values()
    assert (imported.detail, imported.is_unfinished) == (detail, is_unfinished)


@pytest.mark.parametrize("has_placeholder", [True, False])
def test_a_second_import_that_does_not_end_counts_if_it_has_placeholders(has_placeholder: bool) -> None:
    """The first failed for lack of a variable, which proves nothing; without one it failed for another reason."""
    runner = FakeRunner()
    detail = "KeyError: 'DB_URL'" if has_placeholder else "ImportError: x"

    def run(job: ProbeJob) -> ProbeResult:
        first = {"event": "import", "module": "app", "ok": False, "detail": detail}
        return cell_run_of(first if len(runner.jobs) == 1 else {**UNFINISHED, "module": "app"})

    runner.cell = run
    (imported,) = import_start_modules(runner, job_of(APP)).values()
    assert imported.is_unfinished is has_placeholder


def test_a_value_that_the_repository_declares_counts_before_a_placeholder() -> None:
    """Also for a variable that names a module, which no placeholder is set for."""
    runner, job = runner_of(lacking("APP_SETTINGS", "TOKEN")), job_of(APP)
    imports = import_start_modules(runner, job, {"APP_SETTINGS": "config.Local", "UNUSED": "x"})
    assert imports["app"].placeholders == (("APP_SETTINGS", "config.Local"), ("TOKEN", "1"))
    assert imports["app"].declared == {"APP_SETTINGS"}


def test_an_empty_declared_value_is_none(tmp_path: Path) -> None:
    """A placeholder stands for it, and counts as one."""
    runner, job = runner_of(lacking("CACHE_BACKEND")), job_of(APP, root=tmp_path)
    imported = import_start_modules(runner, job, {"CACHE_BACKEND": ""})["app"]
    assert imported.placeholders[0][0] == "CACHE_BACKEND"
    assert imported.placeholders[0][1]
    assert imported.declared == frozenset()
