"""PY117: what a service is started with, on both sides."""

import pytest

from pytest_py312.core.model.findings import Location, Outcome, Severity, Status
from pytest_py312.core.model.fleet import Cell, InstallRecipe, InstallStep, StartModule
from pytest_py312.core.model.measurements import StartImport
from pytest_py312.gate.checks.dependencies import DependencyCheck
from pytest_py312.gate.checks.suite import SuiteCheck
from tests.support.fakes import INTERPRETERS, FakeFacts, cell_of, installation_of, run_of, service

NO_MODULE = (
    'Traceback (most recent call last):\n  File "/x/repository/cache/repository/services/user-service/app/main.py", '
    "line 3, in <module>\n    import imp\nModuleNotFoundError: No module named 'imp'\n"
)
NO_DATABASE = "Traceback (most recent call last):\nsqlalchemy.exc.OperationalError: could not connect\n"


def cell(interpreter: str = "3.12", recipe: InstallRecipe | None = None) -> Cell:
    started = service(start_modules=(StartModule(name="app.main"),), recipe=recipe)
    return cell_of(interpreter, started)


def judged(target: str | None, baseline: str | None, interpreter: str = "3.12") -> Outcome:
    """``None``: it is not known."""
    started = {
        name: {} if detail is None else {"app.main": detail}
        for name, detail in (("3.12", target), (str(cell().service.baseline), baseline))
    }
    return DependencyCheck().run(cell(interpreter), FakeFacts(started=started)).outcome


def test_a_start_that_fails_on_the_target_only_blocks() -> None:
    outcome = judged(NO_MODULE, "")
    assert outcome.status is Status.FAILED
    (finding,) = outcome.findings
    assert (finding.code, finding.severity) == ("PY117", Severity.ERROR)
    assert finding.location == Location(path="services/user-service/app/main.py", line=3)
    assert "No module named 'imp'" in finding.message


def test_code_that_can_be_imported_on_neither_side_proves_nothing() -> None:
    outcome = judged(NO_MODULE, NO_MODULE)
    assert outcome.status is Status.ERRORED
    assert "app.main" in outcome.reason


@pytest.mark.parametrize(
    ("target", "baseline", "status", "codes"),
    [
        (NO_MODULE, "", Status.FAILED, ["PY117"]),
        (NO_MODULE, NO_MODULE, Status.PASSED, []),
        (NO_DATABASE, NO_DATABASE, Status.PASSED, []),
    ],
)
def test_what_something_else_starts_counts_only_if_the_target_breaks_it(
    target: str, baseline: str, status: Status, codes: list[str]
) -> None:
    """A job of cron may run on another machine, with what it needs there."""
    job = StartModule(name="purge", is_program=True, is_script=True, is_additional=True)
    facts = FakeFacts(started={"3.12": {"purge": target}, "3.9": {"purge": baseline}})

    outcome = DependencyCheck().run(cell_of("3.12", service(start_modules=(job,))), facts).outcome

    assert outcome.status is status
    assert [finding.code for finding in outcome.findings] == codes


def test_a_configuration_file_is_called_by_its_name() -> None:
    file = StartModule(name="gunicorn.conf", folder="conf", is_script=True, is_additional=True)
    facts = FakeFacts(started={"3.12": {"gunicorn.conf": NO_MODULE}, "3.9": {"gunicorn.conf": ""}})

    (finding,) = DependencyCheck().run(cell_of("3.12", service(start_modules=(file,))), facts).outcome.findings

    assert finding.message.startswith("conf/gunicorn.conf.py, which the server reads at its start, cannot be imported")


def test_a_script_is_called_as_it_is_run() -> None:
    script = StartModule(name="main", folder="src", is_program=True, is_script=True)
    facts = FakeFacts(started={"3.12": {"main": NO_MODULE}, "3.9": {"main": NO_MODULE}})

    outcome = DependencyCheck().run(cell_of("3.12", service(start_modules=(script,))), facts).outcome

    assert outcome.status is Status.ERRORED
    assert outcome.reason.startswith("`python src/main.py` cannot be imported: ModuleNotFoundError")


@pytest.mark.parametrize("baseline", ["", NO_MODULE])
def test_the_path_of_an_environment_is_no_part_of_what_is_reported(baseline: str) -> None:
    name = "ImportError: cannot import name 'a' from 'six' ({}six.py)"
    path = f"/home/x/.cache/envs/{'0' * 32}/lib/python3.12/site-packages/"
    outcome = judged(name.format(path), baseline)
    assert outcome.status is (Status.ERRORED if baseline else Status.FAILED)
    assert name.format("") in outcome.reason
    assert path not in str(outcome)


def test_code_that_is_generated_when_the_image_is_built_is_no_fault_of_the_start() -> None:
    missing = "ModuleNotFoundError: No module named 'shop_pb2'\n"  # the suite decides
    outcome = judged(missing, missing)
    assert (outcome.status, [finding.severity for finding in outcome.findings]) == (Status.PASSED, [Severity.NOTE])


def test_what_is_missing_outside_of_the_code_is_a_note_where_there_is_a_suite() -> None:
    """The suite may import the module with a database of its own."""
    outcome = judged(NO_DATABASE, NO_DATABASE)
    assert outcome.status is Status.PASSED
    assert [finding.severity for finding in outcome.findings] == [Severity.NOTE]


def test_without_a_suite_it_proves_nothing() -> None:
    without = cell_of("3.12", service(start_modules=(StartModule(name="app.main"),), suite=None))
    facts = FakeFacts(started={name: {"app.main": NO_DATABASE} for name in ("3.12", str(without.service.baseline))})
    outcome = DependencyCheck().run(without, facts).outcome
    assert outcome.status is Status.ERRORED
    assert "OperationalError: could not connect" in outcome.reason
    assert "no suite imports it, so nothing proves that the service starts" in outcome.reason


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (NO_MODULE, Status.FAILED),
        ("AttributeError: 'EntryPoints' object has no attribute 'get'", Status.FAILED),
        ("pydantic.ValidationError: 'http://localhost:1' is no address", Status.PASSED),
    ],
)
def test_where_the_baseline_needs_a_placeholder_its_value_may_be_refused(target: str, expected: Status) -> None:
    """A newer library may refuse the value of a placeholder."""
    needs = StartImport(placeholders=(("ADDRESS", "http://localhost:1"),))
    started: dict[str, dict[str, str | StartImport]] = {"3.12": {"app.main": target}, "3.9": {"app.main": needs}}
    outcome = DependencyCheck().run(cell(), FakeFacts(started=started)).outcome
    assert outcome.status is expected


def test_a_variable_that_only_the_target_lacks_is_a_regression() -> None:
    """A placeholder would hide that: production sets none."""
    needs = StartImport(placeholders=(("API_KEY", "1"),), without_placeholders="ValidationError: API_KEY is required")
    started: dict[str, dict[str, str | StartImport]] = {"3.12": {"app.main": needs}, "3.9": {"app.main": ""}}
    outcome = DependencyCheck().run(cell(), FakeFacts(started=started)).outcome
    assert outcome.status is Status.FAILED
    assert "API_KEY is required" in outcome.reason


def test_a_further_variable_that_only_the_target_lacks_leaves_it_unproven() -> None:
    """Another version of a library may only name more of them: nothing shows that the service fails."""
    on_both, on_target = ("BUCKET", "1"), ("API_KEY", "1")
    started: dict[str, dict[str, str | StartImport]] = {
        "3.12": {"app.main": StartImport(placeholders=(on_both, on_target), without_placeholders="KeyError: 'BUCKET'")},
        "3.9": {"app.main": StartImport(placeholders=(on_both,), without_placeholders="KeyError: 'BUCKET'")},
    }
    outcome = DependencyCheck().run(cell(), FakeFacts(started=started)).outcome
    assert outcome.status is Status.ERRORED
    assert "only with a value for API_KEY, which it does not need on 3.9" in outcome.reason


@pytest.mark.parametrize(
    ("imported", "expected"),
    [(("app.main",), Status.PASSED), ((), Status.ERRORED), (None, Status.ERRORED)],
)
def test_a_suite_proves_a_start_that_fails_on_both_if_it_imports_it(
    imported: tuple[str, ...] | None, expected: Status
) -> None:
    """``None``: its tests ran in other processes, so it is not known."""
    runs = {name: run_of({"t.py::test": "passed"}, name, started_modules=imported) for name in INTERPRETERS}
    started = {name: {"app.main": NO_DATABASE} for name in INTERPRETERS}
    outcome = SuiteCheck().run(cell(), FakeFacts(started=started, runs=runs)).outcome
    assert outcome.status is expected
    assert ("no test imports it" in outcome.reason) is (expected is Status.ERRORED)


@pytest.mark.parametrize(
    ("detail", "last_line"),
    [
        (NO_DATABASE, "sqlalchemy.exc.OperationalError: could not connect"),
        (
            "  File x\npydantic.ValidationError: 1 validation error for Settings\nport\n  field required",
            "pydantic.ValidationError: 1 validation error for Settings port field required",
        ),
        (
            "Traceback (most recent call last):\n  File \"a.py\", line 1\nModuleNotFoundError: No module named 'x'\n\n"
            "During handling of the above exception, another exception occurred:\n\n"
            'Traceback (most recent call last):\n  File "b.py", line 2\n    go()\ndjango.ImproperlyConfigured: no x\n',
            "django.ImproperlyConfigured: no x",
        ),
        ("exit code 3", "exit code 3"),
        ("", ""),
    ],
)
def test_the_exception_is_one_line(detail: str, last_line: str) -> None:
    assert StartImport(detail=detail).last_line == last_line


@pytest.mark.parametrize("baseline", ["", NO_MODULE, None])
def test_what_imports_passes(baseline: str | None) -> None:
    assert judged("", baseline).status is Status.PASSED


def test_a_failure_where_the_baseline_is_not_known_is_no_regression_and_proves_nothing() -> None:
    outcome = judged(NO_MODULE, None)
    assert outcome.status is Status.ERRORED
    assert "it is not known how on 3.9" in outcome.reason


@pytest.mark.parametrize("baseline", [StartImport(), StartImport(detail="it did not end", is_unfinished=True)])
def test_an_import_that_does_not_end_proves_nothing(baseline: StartImport) -> None:
    """It may wait for a database, or the machine is slow: that is no fault of the target, and no proof."""
    unfinished = StartImport(detail="it did not end within 90 seconds", is_unfinished=True)
    started = {"3.12": {"app.main": unfinished}, "3.9": {"app.main": baseline}}
    runs = {name: run_of({"t.py::test": "passed"}, name, started_modules=()) for name in INTERPRETERS}
    facts = FakeFacts(started=started, runs=runs)

    result = DependencyCheck().run(cell(), facts)
    assert (result.outcome.status, result.is_kept) == (Status.PASSED, False)
    outcome = SuiteCheck().run(cell(), facts).outcome
    assert outcome.status is Status.ERRORED
    assert "it did not end within 90 seconds" in outcome.reason


def test_the_baseline_itself_is_not_blocked() -> None:
    outcome = judged("", NO_MODULE, str(cell().service.baseline))
    assert outcome.status is Status.PASSED


def test_the_finding_says_that_no_pth_file_ran() -> None:
    where = Location(path="services/user-service/Dockerfile", line=4)
    step = InstallStep(tool="pip", location=where, arguments=("a",), target="/deps")
    of_target = cell(recipe=InstallRecipe(source=where.path, steps=(step,)))
    baseline = str(of_target.service.baseline)
    facts = FakeFacts(started={"3.12": {"app.main": NO_MODULE}, baseline: {"app.main": ""}})
    (finding,) = DependencyCheck().run(of_target, facts).outcome.findings
    assert "services/user-service/Dockerfile:4 installs into a folder" in finding.message


@pytest.mark.parametrize(
    ("target", "prefix", "python_path", "expected"),
    [
        ("/deps", "", (), True),
        ("/usr/local/lib/python3.12/site-packages", "", (), False),
        ("", "/install", (), False),
        ("", "/install", ("/install/lib/python3.12/site-packages",), True),
        ("", "/install", ("/app",), False),
        ("", "", ("/app",), False),
    ],
)
def test_which_folders_run_no_pth_files(target: str, prefix: str, python_path: tuple[str, ...], expected: bool) -> None:
    location = Location(path="Dockerfile", line=1)
    step = InstallStep(tool="pip", location=location, files=("a.txt",), target=target, prefix=prefix)
    recipe = InstallRecipe(source="Dockerfile", steps=(step,), python_path=python_path)
    assert (recipe.folder_without_pth is not None) is expected


NO_PACKAGING = "ModuleNotFoundError: No module named 'packaging'"
NO_WORKER = "ModuleNotFoundError: No module named 'server.workers'"
NO_GEVENT = "RuntimeError: gevent worker requires gevent"


def test_a_start_that_fails_as_an_installed_module_does_has_its_remedy_there() -> None:
    error = "ModuleNotFoundError: No module named 'six.moves'"
    made = installation_of("3.12", {"six": "1.12.0"}, imports={"six.moves": f"Traceback\n{error}"})
    started = cell_of("3.12", service(start_modules=(StartModule(name="app"),)))
    sides = {"3.12": made, "3.9": installation_of("3.9", {"six": "1.12.0"})}
    detail = f'  File "/e/lib/python3.12/site-packages/dateutil/tz.py", line 21, in <module>\n{error}'
    facts = FakeFacts(installations=sides, started={"3.12": {"app": detail}, "3.9": {"app": ""}})
    findings = DependencyCheck().run(started, facts).outcome.findings
    (start,) = [finding for finding in findings if finding.code == "PY117"]
    assert start.remedy == "fix `import six.moves` first, which fails with the same error"


def option_judged(name: str, target: str, baseline: str) -> Outcome:
    of_target = cell_of("3.12", service(start_modules=(StartModule(name=name, is_own=False),)))
    earlier = str(of_target.service.baseline)
    facts = FakeFacts(
        started={"3.12": {name: target}, earlier: {name: baseline}},
        installations={
            "3.12": installation_of("3.12", {"server": "27.0"}),
            earlier: installation_of(earlier, {"server": "23.0", "packaging": "26.2"}),
        },
    )
    return DependencyCheck().run(of_target, facts).outcome


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (NO_PACKAGING, "require packaging, which only another project requires on 3.9"),
        (NO_WORKER, "require a version of server that has server.workers, as server==23.0 does"),
        (NO_GEVENT, ""),
    ],
)
def test_what_an_option_of_a_server_names_blocks_if_only_the_target_lacks_it(error: str, remedy: str) -> None:
    outcome = option_judged("gunicorn.workers.ggevent", error, "")
    assert outcome.status is Status.FAILED
    (finding,) = outcome.findings
    assert (finding.code, finding.severity, finding.remedy) == ("PY117", Severity.ERROR, remedy)
    assert "gunicorn.workers.ggevent, which an option of the start command names" in finding.message


@pytest.mark.parametrize(
    ("name", "error", "expected"),
    [
        ("gunicorn.workers.ggevent", NO_GEVENT, Status.ERRORED),
        ("uvicorn.workers", "ModuleNotFoundError: No module named 'uvicorn'", Status.ERRORED),
        ("elsewhere.workers", "ModuleNotFoundError: No module named 'elsewhere'", Status.PASSED),
        ("elsewhere.workers", "ModuleNotFoundError: No module named 'six'", Status.ERRORED),
        ("django_celery_beat.schedulers", "ImproperlyConfigured: no settings", Status.PASSED),
    ],
)
def test_what_an_option_names_and_neither_side_has(name: str, error: str, expected: Status) -> None:
    """A package that nobody knows may be in another folder of the repository, and one may need settings."""
    assert option_judged(name, error, error).status is expected


@pytest.mark.parametrize(
    ("target", "baseline"),
    [
        (StartImport(detail="it did not end within 90 seconds", is_unfinished=True), StartImport()),
        (
            StartImport(detail="RuntimeError: no loop"),
            StartImport(detail="it did not end within 90 seconds", is_unfinished=True),
        ),
    ],
)
def test_what_an_option_names_and_is_not_known_to_import_proves_nothing(
    target: StartImport, baseline: StartImport
) -> None:
    """No suite imports it."""
    started = service(start_modules=(StartModule(name="company.workers", is_own=False),))
    facts = FakeFacts(started={"3.12": {"company.workers": target}, "3.9": {"company.workers": baseline}})
    outcome = DependencyCheck().run(cell_of("3.12", started), facts).outcome
    assert outcome.status is Status.ERRORED
    assert "no test proves that the service starts with it" in outcome.reason
