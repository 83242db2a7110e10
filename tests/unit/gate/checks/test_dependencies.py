"""PY1xx from fake facts: what blocks, what is pre-existing, and what is undetermined."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_py312.core.model.findings import Finding, Interpreter, Location, Outcome, Severity, SpecifierChange, Status
from pytest_py312.core.model.fleet import (
    Cell,
    InstallRecipe,
    InstallStep,
    Program,
    RequirementSource,
    Service,
    StartModule,
)
from pytest_py312.core.model.measurements import StartImport
from pytest_py312.dependencies.installation.result import Installation
from pytest_py312.dependencies.resolution.lock import DependencyLock, Pin
from pytest_py312.dependencies.store.stored_distribution import StoredDistribution
from pytest_py312.gate.checks.dependencies import DependencyCheck
from pytest_py312.repository.formats.requirements_file import read_requirements
from pytest_py312.repository.services.requirements.requirement_set import (
    LocatedEntry,
    RequirementProblem,
    RequirementSet,
)
from tests.support.fakes import FakeFacts, cell_of, installation_of, service, service_tree

WHERE = Location(path="services/user-service/requirements.txt", line=2)
CONFLICT = Finding(code="PY101", message="the set conflicts", location=WHERE, names=("numpy",))


def required(*lines: str) -> RequirementSet:
    text = read_requirements("\n".join(lines), WHERE.path)
    entries = tuple(
        LocatedEntry(entry=entry, location=Location(path=WHERE.path, line=entry.line)) for entry in text.entries
    )
    return RequirementSet(entries=entries)


def broken(*findings: Finding) -> Installation:
    return Installation(findings=findings)


def judged(target: Installation, baseline: Installation | None = None, **facts: Any) -> Outcome:
    installations = {"3.12": target, "3.9": baseline or installation_of("3.9")}
    return DependencyCheck().run(cell_of("3.12"), FakeFacts(installations=installations, **facts)).outcome


@pytest.mark.parametrize("interpreter", ["3.9", "3.10", "3.12"])
def test_a_set_that_installs_and_imports_passes(interpreter: str) -> None:
    facts = FakeFacts(installations={interpreter: installation_of(interpreter, {"numpy": "1.26.4"})})

    outcome = DependencyCheck().run(cell_of(interpreter), facts).outcome

    assert (outcome.status, outcome.findings) == (Status.PASSED, ())
    assert (outcome.service, str(outcome.interpreter), outcome.check) == ("user-service", interpreter, "dependencies")


def test_a_failure_on_the_target_only_names_its_project() -> None:
    outcome = judged(broken(CONFLICT))

    assert (outcome.status, outcome.reason) == (Status.FAILED, "the set conflicts")
    assert outcome.findings == (CONFLICT,)


def test_a_conflict_on_both_is_pre_existing_and_still_fails() -> None:
    outcome = judged(broken(CONFLICT), broken(CONFLICT))

    assert outcome.status is Status.FAILED
    assert outcome.reason == "the set conflicts (also fails on 3.9)"
    assert [finding.preexisting for finding in outcome.findings] == [True]


def test_an_undetermined_set_is_errored() -> None:
    outcome = judged(Installation(unchecked="uv could not resolve the set: no network"))

    assert (outcome.status, outcome.reason) == (Status.ERRORED, "uv could not resolve the set: no network")


def test_a_set_that_is_undetermined_on_both_has_no_finding() -> None:
    """The reason says it, and a finding could be waived."""
    undetermined = Installation(unchecked="uv could not resolve the set: no network")
    outcome = judged(undetermined, undetermined)

    assert (outcome.status, outcome.findings) == (Status.ERRORED, ())


def test_an_unchecked_baseline_is_reported_and_does_not_block() -> None:
    outcome = judged(installation_of("3.12"), Installation(unchecked="no Python 3.9 was found"))

    assert outcome.status is Status.PASSED
    (finding,) = outcome.findings
    assert (finding.code, finding.severity) == ("PY111", Severity.WARNING)
    assert "no Python 3.9 was found" in finding.message


# ---- imports


def test_a_failing_import_fails_and_names_its_project() -> None:
    target = installation_of("3.12", {"async-redis": "1.3.1"})
    detail = "Traceback\n  ...\nTypeError: duplicate base class TimeoutError"

    outcome = judged(
        replace(target, imports={"async_redis": detail}), required=required("# first", "async-redis==1.3.1")
    )

    (finding,) = outcome.findings
    assert (outcome.status, finding.code, finding.names) == (Status.FAILED, "PY105", ("async-redis",))
    assert finding.location == WHERE
    assert "async-redis==1.3.1 installs on 3.12, but `import async_redis` fails" in finding.message
    assert finding.message.endswith("TypeError: duplicate base class TimeoutError")
    assert "require a version of async-redis that runs on 3.12" in finding.remedy
    assert finding.detail == detail


@pytest.mark.parametrize(
    ("on_baseline", "status"),
    [
        ({"google.cloud.storage": ""}, Status.FAILED),
        ({"google.cloud.storage": "ImproperlyConfigured: no settings"}, Status.PASSED),
        ({}, Status.PASSED),
    ],
)
def test_a_module_that_only_the_source_imports_blocks_if_it_imports_on_the_baseline(
    on_baseline: dict[str, str], status: Status
) -> None:
    """It may need a configuration that only the service makes: alone, its failure says nothing of the interpreter."""
    failing = {"google.cloud.storage": "ModuleNotFoundError: No module named 'six.moves'"}
    pinned = {"google-cloud-storage": "1.20.0"}
    target = replace(installation_of("3.12", pinned), imports=failing, source_imports=frozenset(failing))
    baseline = replace(installation_of("3.9", pinned), imports=on_baseline, source_imports=frozenset(failing))

    outcome = judged(target, baseline, required=required("google-cloud-storage==1.20.0"))

    assert outcome.status is status
    assert [finding.code for finding in outcome.findings] == (["PY105"] if status is Status.FAILED else [])


def test_a_failing_import_without_output_is_broken() -> None:
    """The output of a cell is written by the code of the service, and may be blank."""
    target = replace(installation_of("3.12", {"aioredis": "1"}), imports={"aioredis": " \n"})

    outcome = judged(target, installation_of("3.9", {"aioredis": "1"}))

    (finding,) = outcome.findings
    assert (outcome.status, finding.code) == (Status.FAILED, "PY105")
    assert finding.message.endswith("fails: no reason was reported")


def test_an_import_that_fails_on_both_is_pre_existing() -> None:
    failing = {"aioredis": "ImportError: libssl"}
    sides = [replace(installation_of(text, {"aioredis": "1"}), imports=failing) for text in ("3.12", "3.9")]

    outcome = judged(*sides)

    assert outcome.status is Status.PASSED
    assert [finding.preexisting for finding in outcome.findings] == [True]


def test_an_import_that_fails_on_both_is_errored_without_a_suite() -> None:
    """A suite would show whether the service runs anyway."""
    failing = {"flask": "ImportError: cannot import name 'escape'"}
    sides = [replace(installation_of(text, {"flask": "1"}), imports=failing) for text in ("3.12", "3.10")]
    facts = FakeFacts(installations={"3.12": sides[0], "3.9": sides[1]})

    outcome = DependencyCheck().run(cell_of("3.12", service(suite=None)), facts).outcome

    assert outcome.status is Status.ERRORED
    assert "`import flask` fails" in outcome.reason
    assert outcome.reason.endswith("(also fails on 3.9), and without a suite nothing proves that the service runs")


@pytest.mark.parametrize(
    ("program", "status"),
    [
        (Program(name="gunicorn"), Status.ERRORED),
        (Program(name="gunicorn.app.wsgiapp", is_module=True), Status.ERRORED),
        (Program(name="celery"), Status.PASSED),
    ],
)
def test_a_start_program_that_can_be_imported_on_neither_side_is_errored(program: Program, status: Status) -> None:
    """Also where the service has a suite, which does not start it."""
    failing = {"gunicorn": "ImportError: no gevent"}
    sides = [replace(installation_of(text, {"gunicorn": "1"}), imports=failing) for text in ("3.12", "3.10")]
    facts = FakeFacts(installations={"3.12": sides[0], "3.9": sides[1]})

    outcome = DependencyCheck().run(cell_of("3.12", service(programs=(program,))), facts).outcome

    assert outcome.status is status
    assert ("the service is started with it" in outcome.reason) is (status is Status.ERRORED)


def test_a_module_that_needs_an_extra_is_pre_existing() -> None:
    """For example blackd, as its project black imports."""
    sides = {}
    for text in ("3.9", "3.12"):
        made = installation_of(text, {"black": "23.7.0"}, imports={"black": "", "blackd": "ImportError: no aiohttp"})
        assert made.environment is not None
        sides[text] = replace(made, environment=replace(made.environment, modules={"black": ("black", "blackd")}))

    outcome = DependencyCheck().run(cell_of("3.12", service(suite=None)), FakeFacts(installations=sides)).outcome

    assert outcome.status is Status.PASSED


def test_another_failing_module_of_the_same_project_is_not_pre_existing() -> None:
    """For example black, where blackd fails because it needs an extra."""
    sides = {}
    for text, failing in (("3.9", ["blackd"]), ("3.12", ["black", "blackd"])):
        made = installation_of(text, {"black": "23.7.0"}, imports=dict.fromkeys(failing, "ImportError: no"))
        assert made.environment is not None
        environment = replace(made.environment, modules={"black": ("black", "blackd")})
        sides[text] = replace(made, environment=environment)

    outcome = judged(sides["3.12"], sides["3.9"])

    assert outcome.status is Status.FAILED
    assert [("`import blackd`" in found.message, found.preexisting) for found in outcome.findings] == [
        (False, False),
        (True, True),
    ]


@pytest.mark.parametrize(
    ("interpreters", "severity", "status"),
    [(("3.9", "3.10", "3.12"), Severity.NOTE, Status.PASSED), (("3.9",), Severity.ERROR, Status.FAILED)],
    ids=["it moves", "it stays"],
)
def test_a_failing_import_on_the_baseline_does_not_block_the_migration(
    interpreters: tuple[str, ...], severity: Severity, status: Status
) -> None:
    """It is a note; without another interpreter it is an error, because nothing else is known about it."""
    installed = replace(installation_of("3.9", {"black": "23.7.0"}), imports={"blackd": "ImportError: no aiohttp"})
    facts = FakeFacts(installations={"3.9": installed}, interpreters=interpreters)

    outcome = DependencyCheck().run(cell_of("3.9"), facts).outcome

    assert (outcome.status, [found.severity for found in outcome.findings]) == (status, [severity])


def test_a_finding_stands_at_the_line_that_pins_its_project() -> None:
    """And not at an earlier one that allows every version."""
    target = replace(installation_of("3.12", {"web3": "6.11"}), imports={"web3": "ImportError: no"})

    (finding,) = judged(target, required=required("web3", "web3>=1", "web3==6.11", "web3<9")).findings

    assert finding.location == Location(path=WHERE.path, line=3)


def test_an_import_that_lacks_a_library_of_the_system_names_its_package() -> None:
    error = "ImportError: libGL.so.1: cannot open shared object file: No such file or directory"

    (finding,) = judged(replace(installation_of("3.12", {"cv2": "4.8"}), imports={"cv2": error})).findings

    assert finding.remedy == ("install libgl1 (Alpine: mesa-gl), which has libGL.so, on this machine and in the image")


def test_a_module_of_another_name_still_names_its_project() -> None:
    target = installation_of("3.12", {"pyyaml": "5.4"})
    assert target.environment is not None
    environment = replace(target.environment, modules={"pyyaml": ("yaml",)})

    outcome = judged(replace(target, environment=environment, imports={"yaml": "ImportError: no"}))

    assert outcome.findings[0].names == ("pyyaml",)


# ---- what pip would refuse


@pytest.mark.parametrize(
    ("requires_python", "blocks"), [("<3.12", True), (">=3.8,<3.11", True), (">=3.8", False), ("", False), ("?", False)]
)
def test_a_distribution_that_excludes_the_interpreter_blocks(requires_python: str, blocks: bool) -> None:
    entry = StoredDistribution(name="numba", version="0.56", folder=Path("/nowhere"), requires_python=requires_python)

    outcome = judged(replace(installation_of("3.12", {"numba": "0.56"}), distributions=(entry,)))

    assert [finding.code for finding in outcome.findings] == (["PY103"] if blocks else [])
    assert outcome.status is (Status.FAILED if blocks else Status.PASSED)


@pytest.mark.parametrize(("is_declared", "status"), [(True, Status.FAILED), (False, Status.ERRORED)])
def test_an_assumed_baseline_that_a_requirement_refuses_is_not_the_services(is_declared: bool, status: Status) -> None:
    """Nothing is broken then, and the plan has to say on which Python the service runs."""
    entry = StoredDistribution(name="numba", version="0.60", folder=Path("/nowhere"), requires_python=">=3.10")
    refused = replace(installation_of("3.9", {"numba": "0.60"}), distributions=(entry,))
    cell = cell_of("3.9", service("user", baseline_is_declared=is_declared))

    outcome = DependencyCheck().run(cell, FakeFacts(installations={"3.9": refused})).outcome

    assert outcome.status is status
    assert [finding.code for finding in outcome.findings] == ["PY103"]
    assert ("set `baseline` for it in the plan" in outcome.reason) is not is_declared
    assert any(finding.blocks for finding in outcome.findings) is is_declared


def test_a_service_that_excludes_the_interpreter_has_to_be_widened() -> None:
    """There is no other version of it to require."""
    own = StoredDistribution(name="shop", version="1.0", folder=Path("/nowhere"), requires_python="<3.12")
    lock = DependencyLock(pins=(Pin(name="numba", version="1", line="numba==1"),))

    (finding,) = judged(replace(installation_of("3.12", {"shop": "1.0"}), distributions=(own,), lock=lock)).findings

    assert finding.remedy == "widen the Requires-Python of shop in its metadata"


def test_a_line_that_pip_refuses_fails_on_every_interpreter() -> None:
    problem = RequirementProblem(text="numpy=>1", message="It is not PEP 508.", location=WHERE)
    facts = FakeFacts(required=RequirementSet(problems=(problem,)))

    for interpreter in ("3.9", "3.10", "3.12"):
        outcome = DependencyCheck().run(cell_of(interpreter), facts).outcome
        assert outcome.status is Status.FAILED
        assert [(found.code, found.location) for found in outcome.findings] == [("PY107", WHERE)]


def test_a_source_build_is_a_note() -> None:
    entry = StoredDistribution(name="numpy", version="1.21.6", folder=Path("/nowhere"), from_source=True)
    lock = DependencyLock(pins=(Pin(name="numpy", version="1.21.6", line="numpy==1.21.6", from_source=True),))

    outcome = judged(replace(installation_of("3.12", {"numpy": "1.21.6"}), distributions=(entry,), lock=lock))

    assert outcome.status is Status.PASSED
    assert [(found.code, found.severity) for found in outcome.findings] == [("PY110", Severity.NOTE)]


def test_what_is_compiled_here_and_was_a_wheel_is_a_warning(tmp_path: Path) -> None:
    """Nothing says that it can be compiled where the service is installed."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "_speed.so").touch()
    entry = StoredDistribution(name="numpy", version="1.21.6", folder=tmp_path, from_source=True)
    lock = DependencyLock(pins=(Pin(name="numpy", version="1.21.6", line="numpy==1.21.6", from_source=True),))
    target = replace(installation_of("3.12", {"numpy": "1.21.6"}), distributions=(entry,), lock=lock)
    wheel = replace(entry, from_source=False)

    outcome = judged(target, installation_of("3.9", {"numpy": "1.21.6"}, distributions=(wheel,)))

    assert outcome.status is Status.PASSED
    assert [(found.code, found.severity, found.remedy) for found in outcome.findings] == [
        ("PY110", Severity.WARNING, "require a version of numpy that has a wheel for 3.12")
    ]


def test_the_codes_of_all_findings_are_declared() -> None:
    """Waivers and the reference use them."""
    problem = RequirementProblem(text="x", message="No.", location=WHERE)
    entry = StoredDistribution(
        name="numba", version="1", folder=Path("/nowhere"), requires_python="<3", from_source=True
    )
    lock = DependencyLock(pins=(Pin(name="numba", version="1", line="numba==1"),))
    target = replace(
        installation_of("3.12", {"numba": "1"}), distributions=(entry,), lock=lock, imports={"numba": "ImportError: no"}
    )

    outcome = judged(target, Installation(unchecked="no"), required=RequirementSet(problems=(problem,)))

    codes = {finding.code for finding in outcome.findings}
    assert codes == {"PY103", "PY105", "PY107", "PY110", "PY111"}
    assert codes <= set(DependencyCheck().codes)


# ---- development requirements that nothing names


def test_a_development_requirement_that_nothing_names_does_not_block() -> None:
    """Neither if it cannot be imported, nor if the environment is without it."""
    gone = Finding(code="PY104", message="pyspark==2.4: no wheel", names=("py4j",))
    installation = replace(
        installation_of("3.12", {"black": "19.10", "numpy": "1.26.4"}, imports={"black": "ImportError: imp"}),
        dispensable=frozenset({"black", "pyspark"}),
        dispensed=(gone,),
    )

    outcome = judged(installation)

    assert outcome.status is Status.PASSED
    assert [(found.code, found.severity) for found in outcome.findings] == [
        ("PY105", Severity.WARNING),
        ("PY104", Severity.WARNING),
    ]


# ---- additional sets


DEV = RequirementSource(path="services/user-service/requirements-dev.txt")


def test_a_blocked_additional_set_fails_the_service() -> None:
    """Its requirements are in no environment of the suite, and are checked as well."""
    of = service(additional_requirements=(DEV,))
    blocked = replace(CONFLICT, location=Location(path=DEV.path, line=4))

    class Further(FakeFacts):
        def installation(self, cell: Cell) -> Installation:
            is_further = cell.service.requirements == (DEV,)
            return broken(blocked) if is_further and str(cell.interpreter) == "3.12" else installation_of("3.12")

    outcomes = {on: DependencyCheck().run(cell_of(on, of), Further()).outcome for on in ("3.9", "3.10", "3.12")}

    assert [outcome.status for outcome in outcomes.values()] == [Status.PASSED, Status.PASSED, Status.FAILED]
    assert outcomes["3.12"].findings == (blocked,)


def test_an_undetermined_additional_set_is_errored() -> None:
    of = service(additional_requirements=(DEV,))

    class Further(FakeFacts):
        def installation(self, cell: Cell) -> Installation:
            return Installation(unchecked="no network") if cell.service.requirements == (DEV,) else installation_of()

    outcome = DependencyCheck().run(cell_of("3.12", of), Further()).outcome

    assert (outcome.status, outcome.reason) == (Status.ERRORED, "no network")


def test_a_library_that_asks_for_its_settings_need_not_be_replaced() -> None:
    failing = {"rest_framework": "django.core.exceptions.ImproperlyConfigured: settings are not configured."}
    target = replace(installation_of("3.12", {"rest-framework": "1"}), imports=failing)
    facts = FakeFacts(installations={"3.12": target, "3.9": installation_of("3.9", {"rest-framework": "1"})})

    outcome = DependencyCheck().run(cell_of("3.12"), facts).outcome

    (finding,) = [finding for finding in outcome.findings if finding.code == "PY105"]
    assert finding.remedy.startswith("no other version: it needs the settings of the service")


def test_findings_that_two_sets_share_are_reported_once() -> None:
    problem = RequirementProblem(text="numpy=>1", message="It is not PEP 508.", location=WHERE)
    facts = FakeFacts(required=RequirementSet(problems=(problem,)))

    outcome = DependencyCheck().run(cell_of("3.12", service(additional_requirements=(DEV,))), facts).outcome

    assert [found.code for found in outcome.findings] == ["PY107"]


@pytest.mark.parametrize("is_new_in_additional", [True, False])
def test_a_finding_that_is_new_in_one_set_blocks_if_it_is_pre_existing_in_another(is_new_in_additional: bool) -> None:
    """In the other set the project lacks something on every interpreter."""

    class Further(FakeFacts):
        def installation(self, cell: Cell) -> Installation:
            interpreter, is_additional = str(cell.interpreter), cell.service.requirements == (DEV,)
            works = interpreter == "3.9" and is_additional is is_new_in_additional
            imports = {"boto": "" if works else "ImportError: no x"}
            return installation_of(interpreter, {"boto": "1"}, imports=imports)

    outcome = DependencyCheck().run(cell_of("3.12", service(additional_requirements=(DEV,))), Further()).outcome

    assert outcome.status is Status.FAILED
    assert [(finding.code, finding.blocks) for finding in outcome.findings] == [("PY105", True)]


def test_a_finding_that_says_less_than_another_is_left_out() -> None:
    """The source was built for one set, the version is pinned by a lock file, and the warning is an error elsewhere."""
    failed = Finding(code="PY104", message="six==1.0: no wheel for 3.12, and its source fails to build", names=("six",))
    pinned = Finding(code="PY115", message="poetry.lock pins gone to 1.0: no version fits", names=("gone",))
    findings = (
        Finding(code="PY112", message="six==1.0 has no wheel", names=("six",), severity=Severity.WARNING),
        Finding(code="PY102", message="no version of gone fits", names=("gone",)),
        Finding(code="PY104", message="gone==1.0: no wheel, and its source fails to build", names=("gone",)),
        replace(failed, severity=Severity.WARNING),
        failed,
        pinned,
    )

    outcome = DependencyCheck().run(cell_of("3.12"), FakeFacts(installations={"3.12": broken(*findings)})).outcome

    assert {finding.message: finding.severity for finding in outcome.findings} == {
        failed.message: Severity.ERROR,
        pinned.message: Severity.ERROR,
    }


@pytest.mark.parametrize("interpreter", ["3.9", "3.10", "3.12"])
def test_an_invalid_line_in_an_additional_file_does_not_block(interpreter: str) -> None:
    """The service runs without that file, on its current Python as well."""
    problem = RequirementProblem(text="-r gone.txt", message="gone.txt does not exist.", location=WHERE)

    class Further(FakeFacts):
        def requirements(self, service: Service) -> RequirementSet:
            return RequirementSet(problems=(problem,) if service.requirements == (DEV,) else ())

    outcome = DependencyCheck().run(cell_of(interpreter, service(additional_requirements=(DEV,))), Further()).outcome

    assert outcome.status is Status.PASSED
    assert [(found.code, found.severity) for found in outcome.findings] == [("PY107", Severity.WARNING)]


GIT = "acme could not be fetched with git: no such host; the other requirements were checked without acme"


@pytest.mark.parametrize(
    ("rest", "status"),
    [(installation_of("3.12"), Status.ERRORED), (broken(CONFLICT), Status.FAILED)],
    ids=["the others work", "the others conflict"],
)
def test_the_others_are_judged_where_one_requirement_cannot_be_had(rest: Installation, status: Status) -> None:
    """What could not be fetched is never a pass, and does not hide what blocks without it."""
    unchecked = Installation(unchecked=GIT, unavailable=("acme",), rest=rest)

    outcome = judged(unchecked, Installation(unchecked=GIT, unavailable=("acme",), rest=installation_of("3.9")))

    assert outcome.status is status
    assert outcome.reason == (GIT if status is Status.ERRORED else "the set conflicts")


# ---- what is required and not installed

NOT_BUILT = Finding(code="PY106", message="svc/vendored does not build on 3.12: no", location=WHERE)


@pytest.mark.parametrize("interpreter", ["3.9", "3.10", "3.12"])
def test_a_path_that_builds_nowhere_fails_on_every_interpreter(interpreter: str) -> None:
    sides = {
        text: installation_of(text, findings=(NOT_BUILT,), incomplete=NOT_BUILT.message)
        for text in ("3.9", "3.10", "3.12")
    }

    outcome = DependencyCheck().run(cell_of(interpreter), FakeFacts(installations=sides)).outcome

    assert outcome.status is Status.FAILED


def test_an_environment_that_lacks_a_locked_distribution_is_errored() -> None:
    target = installation_of("3.12", {"six": "1.16.0"}, incomplete="it lacks idna 3.6, which is locked")

    outcome = judged(target)

    assert outcome.status is Status.ERRORED
    assert "on 3.12 is not what is required" in outcome.reason
    assert outcome.reason.endswith("it lacks idna 3.6, which is locked")


# ---- files that nothing installs


def with_file(*, uninstalled: bool) -> Cell:
    source = RequirementSource(path="services/user-service/requirements/test.txt", uninstalled=uninstalled)
    return cell_of("3.12", service(additional_requirements=(source,)))


class FailingAdditionalSet(FakeFacts):
    def installation(self, cell: Cell) -> Installation:
        if "+" in cell.service.name:
            return Installation(unchecked="no network") if cell.is_baseline else broken(CONFLICT)
        return installation_of(str(cell.interpreter))


def test_a_file_that_nothing_installs_only_warns() -> None:
    facts = FailingAdditionalSet()
    outcome = DependencyCheck().run(with_file(uninstalled=True), facts).outcome
    assert outcome.status is Status.PASSED
    (finding,) = outcome.findings
    assert (finding.code, finding.severity) == ("PY101", Severity.WARNING)
    assert finding.message == "the set conflicts (nothing is known to install this file)"
    assert DependencyCheck().run(with_file(uninstalled=False), facts).outcome.status is Status.FAILED


@pytest.mark.parametrize(
    ("is_described", "baseline", "expected"),
    [
        (True, broken(CONFLICT), Status.PASSED),
        (False, broken(CONFLICT), Status.FAILED),
        (True, Installation(unchecked="no network"), Status.FAILED),
        (True, installation_of("3.9"), Status.FAILED),
    ],
)
def test_a_file_beside_what_the_image_installs_only_warns_if_it_can_be_installed_nowhere(
    is_described: bool, baseline: Installation, expected: Status
) -> None:
    """An old requirements.txt beside the lock file of Poetry, which names a module of the service's own."""

    class Beside(FakeFacts):
        def installation(self, cell: Cell) -> Installation:
            if "+" in cell.service.name:
                return baseline if cell.is_baseline else broken(CONFLICT)
            return installation_of(str(cell.interpreter))

    step = InstallStep(tool="poetry", location=WHERE, project="services/user-service")
    recipe = InstallRecipe(source="Dockerfile", steps=(step,)) if is_described else None
    of = service(additional_requirements=(DEV,), recipe=recipe)
    assert DependencyCheck().run(cell_of("3.12", of), Beside()).outcome.status is expected


@pytest.mark.parametrize(
    ("failures", "modules", "severity"),
    [
        (["ImportError: no aiohttp"] * 2, {"black": ("black", "blackd")}, Severity.NOTE),
        (["ImportError: no aiohttp"] * 2, {"black": ("blackd",)}, Severity.ERROR),
        (["ModuleNotFoundError: No module named 'uwsgi'"] * 2, {"black": ("blackd",)}, Severity.NOTE),
        (["ModuleNotFoundError: No module named 'blackd.x'"] * 2, {"black": ("blackd",)}, Severity.ERROR),
        (["ImportError: x", ""], {"black": ("blackd",)}, Severity.ERROR),
        (["ModuleNotFoundError: No module named 'imp'", "ImportError: x"], {"black": ("blackd",)}, Severity.ERROR),
    ],
)
def test_a_module_that_nobody_needs_and_that_fails_on_both_is_a_note(
    failures: list[str], modules: dict[str, tuple[str, ...]], severity: Severity
) -> None:
    sides = []
    for text, failure in zip(("3.12", "3.9"), failures, strict=True):
        made = installation_of(text, {"black": "23.7.0"}, imports={"black": "", "blackd": failure})
        assert made.environment is not None
        environment = replace(made.environment, modules=modules)
        sides.append(replace(made, environment=environment, unneeded_imports=frozenset({"blackd"})))

    (finding,) = judged(*sides).findings
    assert finding.severity is severity
    assert bool(finding.remedy) is (severity is Severity.ERROR)
    (named,) = judged(replace(sides[0], unneeded_imports=frozenset()), sides[1]).findings
    assert named.severity is Severity.ERROR


@pytest.mark.parametrize(
    ("files", "severity"),
    [
        ({"black/__init__.py": "import blackd_other\n", "blackd/a.py": "import blackd\n"}, Severity.WARNING),
        ({"black/__init__.py": "def main():\n    import blackd\n"}, Severity.ERROR),
    ],
)
def test_a_module_that_fails_only_here_warns_if_no_library_names_it(
    tmp_path: Path, files: dict[str, str], severity: Severity
) -> None:
    """The service uses another one of the project, as ``mysql`` beside ``mysqlx``."""
    service_tree(tmp_path / "lib/python3.12/site-packages", files)
    sides = []
    for text, failure in (("3.12", "ImportError: x"), ("3.9", "")):
        made = installation_of(text, {"black": "1"}, imports={"black": "", "blackd": failure})
        assert made.environment is not None
        environment = replace(made.environment, modules={"black": ("black", "blackd")})
        stored = tuple(replace(entry, folder=tmp_path) for entry in made.distributions)
        unneeded = frozenset({"blackd"})
        sides.append(replace(made, environment=environment, distributions=stored, unneeded_imports=unneeded))

    (finding,) = judged(*sides).findings
    assert finding.severity is severity


def test_an_import_that_fails_only_here_blocks_unless_its_project_is_unused() -> None:
    """Snyk pins what others require; what these import is read from their source, not tried."""
    sides = [
        installation_of(text, {"anyconfig": "0.10.1"}, imports={"anyconfig": failure})
        for text, failure in (("3.12", "ModuleNotFoundError: No module named 'pkg_resources'"), ("3.9", ""))
    ]
    target = replace(sides[0], unneeded_imports=frozenset({"anyconfig"}))

    (finding,) = judged(target, sides[1]).findings
    assert finding.severity is Severity.ERROR
    (pinned,) = judged(replace(target, unused={"anyconfig": "its line says so"}), sides[1]).findings
    assert pinned.severity is Severity.WARNING
    assert pinned.message.endswith("(its line says so, and nothing of the service names it)")


def test_one_cause_of_failing_imports_is_reported_once() -> None:
    """Of several modules of a project and of the environments of two sets, whose paths differ."""
    reasons = {
        folder: f"ImportError: no x in /cache/envs/{folder * 16}/lib/python3.12/site-packages/x.py"
        for folder in ("1", "2")
    }
    made = installation_of(
        "3.12", {"boto": "1"}, imports={"boto": reasons["1"], "boto3": reasons["2"], "botox": "E: y"}
    )
    assert made.environment is not None
    target = replace(made, environment=replace(made.environment, modules={"boto": ("boto", "boto3", "botox")}))

    first, other = judged(target, installation_of("3.9", {"boto": "1"})).findings

    assert "`import boto` fails" in first.message
    assert first.detail.endswith("`import boto3` fails alike")
    assert "`import botox` fails" in other.message


# ---- production by itself, where the requirements of tests cannot be installed

TEST_FILE = RequirementSource(path="services/user-service/test.txt")
WITH_TESTS = service(test_requirements=(TEST_FILE,))
BROKEN_IMPORT = {"supervisor": "ModuleNotFoundError: No module named 'pkg_resources'"}


class UnavailableTests(FakeFacts):
    """The set with tests is as ``whole`` says; production is as in ``installations``."""

    whole: Installation = Installation(unchecked="theme could not be fetched with git")

    def installation(self, cell: Cell) -> Installation:
        return self.whole if cell.service.test_requirements else super().installation(cell)


@pytest.mark.parametrize(
    "whole",
    [Installation(unchecked="theme could not be fetched with git"), broken(CONFLICT)],
    ids=["unknown", "blocked"],
)
def test_production_is_judged_without_the_requirements_of_tests(whole: Installation) -> None:
    target = replace(installation_of("3.12", {"supervisor": "4.2.5"}), imports=BROKEN_IMPORT)
    baseline = installation_of("3.9", {"supervisor": "4.2.5"})
    facts = UnavailableTests(installations={"3.12": target, "3.9": baseline})
    facts.whole = whole

    outcome = DependencyCheck().run(cell_of("3.12", WITH_TESTS), facts).outcome

    assert outcome.status is Status.FAILED
    assert "PY105" in [finding.code for finding in outcome.findings if finding.blocks]


@pytest.mark.parametrize("interpreter", ["3.9", "3.10", "3.12"])
def test_a_production_that_works_does_not_prove_the_rest(interpreter: str) -> None:
    outcome = DependencyCheck().run(cell_of(interpreter, WITH_TESTS), UnavailableTests()).outcome

    assert (outcome.status, outcome.reason) == (Status.ERRORED, "theme could not be fetched with git")


@pytest.mark.parametrize("separate", [True, False])
def test_production_is_judged_beside_the_environment_of_separate_tests(separate: bool) -> None:
    target = replace(installation_of("3.12", {"supervisor": "4.2.5"}), imports=BROKEN_IMPORT)
    facts = UnavailableTests(installations={"3.12": target, "3.9": installation_of("3.9", {"supervisor": "4.2.5"})})
    facts.whole = installation_of("3.12", {"pytest": "7.4.4"})

    outcome = DependencyCheck().run(cell_of("3.12", replace(WITH_TESTS, separate_tests=separate)), facts).outcome

    assert outcome.status is (Status.FAILED if separate else Status.PASSED)


def test_what_both_sets_have_is_reported_once() -> None:
    """As production has it: with a remedy, and compared with a baseline that could be installed."""
    blocked = broken(CONFLICT)
    facts = UnavailableTests(installations={"3.12": blocked, "3.9": installation_of("3.9")})
    for whole in (blocked, Installation(unchecked="no", unavailable=("theme",), rest=blocked)):
        facts.whole = whole

        outcome = DependencyCheck().run(cell_of("3.12", WITH_TESTS), facts).outcome

        assert [finding.message for finding in outcome.findings if finding.code == "PY101"] == [CONFLICT.message]
        assert outcome.status is Status.FAILED


def test_an_unchecked_baseline_is_reported_once_for_all_sets() -> None:
    of = service(additional_requirements=(DEV,), test_requirements=(TEST_FILE,))

    class NoBaseline(FakeFacts):
        def installation(self, cell: Cell) -> Installation:
            return Installation(unchecked="no 3.9 here") if cell.is_baseline else broken(CONFLICT)

    outcome = DependencyCheck().run(cell_of("3.12", of), NoBaseline()).outcome

    assert [finding.code for finding in outcome.findings].count("PY111") == 1


def test_the_start_is_tried_in_production_where_tests_cannot_be_had() -> None:
    of = replace(WITH_TESTS, start_modules=(StartModule(name="app"),))

    class Started(UnavailableTests):
        def start_imports(self, cell: Cell) -> dict[str, StartImport]:
            is_broken = not cell.service.test_requirements and str(cell.interpreter) == "3.12"
            return {"app": StartImport(detail="ModuleNotFoundError: No module named 'imp'" if is_broken else "")}

    outcome = DependencyCheck().run(cell_of("3.12", of), Started()).outcome

    assert outcome.status is Status.FAILED
    assert "PY117" in [finding.code for finding in outcome.findings if finding.blocks]


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("side", ["3.9", "3.12"])
def test_an_outcome_is_kept_only_if_all_that_starts_the_service_was_tried(side: str, kept: bool) -> None:
    """Of a process that was ended, some imports are unknown."""
    of = service(start_modules=(StartModule(name="app"),))
    started = StartImport() if kept else StartImport(detail="its process ended", is_unfinished=True)
    facts = FakeFacts(started={"3.9": {"app": ""}, "3.12": {"app": ""}, side: {"app": started}})

    result = DependencyCheck().run(cell_of("3.12", of), facts)

    assert (result.outcome.status, result.is_kept) == (Status.PASSED, kept)


@pytest.mark.parametrize("folder", ["/home/me/.cache/pytest-py312/envs", "/cache/envs"])
def test_the_path_of_an_environment_is_no_part_of_a_finding(folder: str) -> None:
    """It differs between the sets of one interpreter, whose equal findings are reported once."""
    path = f"{folder}/{'0a' * 16}/lib/python3.12/site-packages/psycopg2/_psycopg.so"
    detail = f'  File "{path}", line 1\nImportError: {path}: undefined symbol: _PyInterpreterState_Get'
    target = replace(installation_of("3.12", {"psycopg2": "2.9.6"}), imports={"psycopg2": detail})

    (finding,) = judged(target, installation_of("3.9", {"psycopg2": "2.9.6"})).findings

    assert finding.message.endswith("ImportError: psycopg2/_psycopg.so: undefined symbol: _PyInterpreterState_Get")
    assert "envs" not in finding.detail


def test_conflicts_that_one_change_resolves_are_one_finding() -> None:
    """One bound of protobuf is in the way of three projects."""
    change = SpecifierChange(path="requirements.txt", line=1, name="protobuf", old="==3.20", new="==4.21")
    others = ("grpcio-tools", "logging", "pubsub")
    conflicts = [
        Finding(code="PY101", message=f"{name} and protobuf conflict on 3.12", names=(name, "protobuf"), detail="a")
        for name in others
    ]

    class Repaired(FakeFacts):
        def repair(self, cell: Cell, findings: Sequence[Finding]) -> list[Finding]:
            return [replace(each, changes=(change,), remedy="protobuf==4.21") for each in findings]

    of_all = {"3.12": broken(*conflicts), "3.9": installation_of("3.9")}
    apart = DependencyCheck().run(cell_of("3.12"), FakeFacts(installations=of_all)).outcome
    (finding,) = DependencyCheck().run(cell_of("3.12"), Repaired(installations=of_all)).outcome.findings

    assert len(apart.findings) == 3
    assert finding.message == (
        "grpcio-tools and protobuf conflict on 3.12 (and 2 more conflicts that the same change resolves)"
    )
    assert finding.names == ("grpcio-tools", "protobuf", "logging", "pubsub")
    assert "pubsub and protobuf conflict on 3.12" in finding.detail


@pytest.mark.parametrize(
    ("other", "expected"), [("", Status.PASSED), ("ModuleNotFoundError: No module named 'x'", Status.FAILED)]
)
def test_a_module_that_lacks_an_extra_on_the_only_python_of_a_service(other: str, expected: Status) -> None:
    """It runs there today: ``import slack_sdk`` works, and ``import slack`` needs aiohttp."""
    installation = installation_of("3.12", {"slack-sdk": "3.48.0"})
    assert installation.environment is not None
    environment = replace(installation.environment, modules={"slack-sdk": ("slack", "slack_sdk")})
    imports = {"slack": "ModuleNotFoundError: No module named 'aiohttp'", "slack_sdk": other}
    facts = FakeFacts(
        interpreters=("3.12",), installations={"3.12": replace(installation, environment=environment, imports=imports)}
    )
    cell = cell_of("3.12", service(baseline=Interpreter.parse("3.12")))
    assert DependencyCheck().run(cell, facts).outcome.status is expected
