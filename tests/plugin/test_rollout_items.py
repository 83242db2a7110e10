"""A stage's rollout as items of one run, on a target in memory, with a fake clock."""

import json
import os
import signal
import threading
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NoReturn

import pytest
from jsonschema import Draft202012Validator

import pytest_py312
from pytest_py312.core import clock
from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.process import Cancellation, CommandResult
from pytest_py312.core.process_identity import process_start_ticks, this_process
from pytest_py312.plugin import rollout
from pytest_py312.rollout.domain.events import Decided
from pytest_py312.rollout.domain.journal import Journal
from pytest_py312.rollout.domain.model import StageRun, StageState
from pytest_py312.rollout.domain.target_model import Container, ServiceSpec, Usage
from pytest_py312.rollout.execution.locking import Operator
from pytest_py312.rollout.preflight import plan_checks
from pytest_py312.rollout.targets.target import ServiceUnreachable
from tests.plugin.gate_helpers import FLEET, Faked
from tests.plugin.test_neighbours import needs
from tests.support.fakes import FakeTarget, service_tree
from tests.unit.rollout.fake_suites import FakeSuite, command_result

PLAN = """
target = "3.12"
interpreters = ["3.9", "3.10", "3.12"]
services = ["services/*"]

[deploy]
image = "new-{version}"
readiness-delay = 0

[deploy.environments]
prod = { after = ["test"] }
test = {}

[soak]
interval = "60s"
duration = "180s"
initial-delay = 0

[[stage]]
number = 1
services = ["auth-service", "user-service"]
critical = true

[[stage]]
number = 2
services = ["late-service"]

[service."auth-service"]
deploy = { needs = ["user-service"] }
"""
FILES = {
    **FLEET,
    "py312.toml": PLAN,
    "services/late-service/Dockerfile": "FROM python:3.10-slim\n",
    "services/late-service/requirements.txt": "",
}
SCHEMA = json.loads(
    (Path(pytest_py312.__file__).parent / "gate/reports/report.schema.json").read_text(encoding="utf-8")
)
SERVICES = ("auth-service", "user-service", "late-service")
STAGE = "py312::stage-1/test"
CHECKS = [
    *(
        f"services/auth-service::py{version}::{check}"
        for version in ("3.10", "3.12")
        for check in ("dependencies", "suite")
    ),
    *(
        f"services/user-service::py{version}::{check}"
        for version in ("3.9", "3.10", "3.12")
        for check in ("dependencies", "suite")
    ),
]
STEPS = [
    "preflight",
    *(
        f"{kind}[{name}]"
        for kind in ("deploy", "verify", "soak", "compare")
        for name in ("user-service", "auth-service")
    ),
    "verdict[stage-1]",
]


@dataclass
class Watched(FakeTarget):
    """``starved`` is the service that the kernel kills when memory runs out, after ``spare`` samples."""

    starved: str = ""
    sampled: int = 0
    spare: int = 0
    now: Callable[[str], None] = field(default=lambda service: None)

    def read_usage(self, spec: object, *_: object, since: float) -> Usage:
        service = str(getattr(spec, "service", ""))
        self.now(service)
        self.sampled += service == self.starved
        ended = service == self.starved and self.sampled > self.spare + 1  # the first reading begins the soak
        return Usage(cpu_seconds=1.0, memory=5, restarts=0, out_of_memory=ended)


@dataclass
class Stage:
    """A fleet that serves on 3.9, and pytest to move it."""

    faked: Faked
    target: Watched = field(default_factory=Watched)
    seconds: float = 1000.0

    def run(self, *arguments: str, code: int, deploy: str = "--py312-deploy=test") -> pytest.RunResult:
        options = [deploy] if deploy else []
        result = self.faked.bare("--py312-stage=1", *options, *arguments)
        assert result.ret == code, result.stdout.str()
        return result

    @property
    def newest(self) -> StageRun:
        journal = self.journal()
        try:
            return next(run for run in journal.current_runs() if run.stage == 1)
        finally:
            journal.close()

    def journal(self) -> Journal:
        return Journal(self.faked.root / ".py312")

    def serving(self) -> dict[str, str]:
        return {
            name: image.rpartition("-")[2] for name, image in self.target.serving().items() if name != "late-service"
        }


@dataclass
class Meeting(Watched):
    """Its containers execute all requests; only those of the image ``cannot_read`` fail to read."""

    cannot_read: str = ""
    requests: list[str] = field(default_factory=list)

    def execute(self, container: Container, argv: Sequence[str], *, timeout: float) -> tuple[int, str]:
        request, python = json.loads(argv[-1]), container.image.rpartition("-")[2]
        self.requests.append(f"{request['do']} on {python}")
        well = request["do"] == "write" or container.image != self.cannot_read
        answer = {"ok": well, "detail": "" if well else "KeyError: 'user'", "data": "YQ==", "python": python}
        return 0, f"py312-contract {json.dumps(answer)}"

    def start_stand_in(self, spec: ServiceSpec, old: Container, *, run: str) -> Container:
        self.requests.append(f"stand in for {spec.service}")
        return Container(id=f"stand-in-{spec.service}", image=old.image)

    def remove_stand_in(self, container: Container) -> None:
        self.requests.append(f"dismiss {container.id}")

    def address_for_caller(self, spec: ServiceSpec, callee: Container, caller: Container) -> tuple[str, int]:
        raise ServiceUnreachable("they are in no network together")


CONTRACT = """
[[contract]]
writer = "user-service"
reader = "auth-service"
write = "app.cache:example"
format = "pickle"
"""


OLD = {"auth-service": "3.9", "user-service": "3.9"}
NEW = {"auth-service": "3.12", "user-service": "3.12"}


@pytest.fixture
def stage(faked: Faked, monkeypatch: pytest.MonkeyPatch) -> Stage:
    service_tree(faked.root, FILES)
    made = Stage(faked=faked)
    for name in SERVICES:
        made.target.serve(name, "old-3.9")

    async def rest(seconds: float) -> None:
        made.seconds += seconds

    monkeypatch.setattr("pytest_py312.core.database.SYNCHRONOUS", "OFF")
    monkeypatch.setattr("pytest_py312.core.clock.asyncio.sleep", rest)
    monkeypatch.setattr(clock, "boottime", lambda: made.seconds)
    monkeypatch.setattr(clock, "timestamp", lambda: 1e9 + made.seconds)
    monkeypatch.setattr(rollout, "connect_target", lambda settings, environment: nullcontext(made.target))
    return made


def test_one_run_checks_deploys_watches_and_accepts(stage: Stage) -> None:
    result = stage.run("-v", code=0)
    order = [line.split(" ")[0] for line in result.outlines if "::" in line and "%]" in line]
    assert order == [*CHECKS, *(f"{STAGE}::{step}" for step in STEPS)]
    result.assert_outcomes(passed=len(CHECKS) + len(STEPS) - 2, skipped=2)  # nothing to compare with
    result.stdout.fnmatch_lines(["passed: stage 1 in test is accepted on Python 3.12 (3 m of 3 m credited)*"])
    assert stage.serving() == NEW
    assert stage.target.locks == {}


def test_a_deployment_does_not_start_the_interpreters_of_the_gate(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The checks have started them already; only the doctor lists them."""

    def refuse(interpreter: Interpreter, _: Path) -> NoReturn:
        pytest.fail(f"starts {interpreter}")

    monkeypatch.setattr(plan_checks, "find_installed", refuse)
    stage.run(code=0)
    assert stage.serving() == NEW


# ---- nothing is deployed that is not proven


def test_a_check_that_fails_keeps_the_stage_from_being_deployed(stage: Stage) -> None:
    stage.faked.gate.answers["user-service-py3.12-suite"] = ("failed", "a test newly fails")
    result = stage.run(code=1)
    result.stdout.fnmatch_lines(["failed: stage 1 in test is not deployed*user-service-py3.12-suite (failed)"])
    result.assert_outcomes(passed=len(CHECKS) - 1, failed=3, skipped=len(STEPS) - 2)
    assert stage.serving() == OLD
    assert "switch user-service" not in stage.target.steps


@pytest.mark.parametrize("chosen", ["-mpy312_rollout", "--py312-python=3.12", "--deselect=services/user-service"])
def test_what_was_not_checked_has_to_be_known_from_before(stage: Stage, chosen: str) -> None:
    result = stage.run(chosen, code=1)
    result.stdout.fnmatch_lines(["*not deployed*(not run, and no earlier outcome is valid)*"])
    assert stage.serving() == OLD
    stage.faked.gate.proven.update(check.split("/")[1].replace("::", "-") for check in CHECKS)
    stage.run(chosen, code=0)
    assert stage.serving() == NEW


def test_a_list_of_items_deploys_nothing(stage: Stage) -> None:
    result = stage.run("--collect-only", "-q", code=0)
    assert [line for line in result.outlines if "::" in line] == [*CHECKS, *(f"{STAGE}::{step}" for step in STEPS)]
    assert not stage.target.steps
    assert not (stage.faked.root / ".py312" / "rollout.sqlite").exists()


# ---- the exit status is the journal's


def test_tick_by_tick(stage: Stage) -> None:
    """75 until the whole soak is credited; JUnit has the soaks skipped and the verdict failed meanwhile."""
    for credited in ("0 s", "1 m", "2 m"):
        result = stage.run(
            "--py312-soak-mode=sample-once", "--junitxml=junit.xml", "--py312-report=report.json", code=75
        )
        result.stdout.fnmatch_lines([f"*pending: stage 1 in test is soaking: {credited} of 3 m credited; *due in 1 m"])
        assert "5 pending" in result.outlines[-1]
        stage.seconds += 60.0
    document = json.loads((stage.faked.root / "report.json").read_text(encoding="utf-8"))
    Draft202012Validator(SCHEMA).validate(document)
    summary = document["rollout"]
    assert (summary["status"], summary["state"], summary["credited"], summary["soak"]) == (
        "pending",
        "soaking",
        120.0,
        180.0,
    )
    assert document["exit_status"] == 75
    cases = {case.get("name"): case for case in ET.parse(stage.faked.root / "junit.xml").iter("testcase")}  # our own
    assert cases["deploy[user-service]"].find("skipped") is not None, "it was up already"
    skipped = cases["soak[user-service]"].find("skipped")
    assert skipped is not None
    assert "2 m of 3 m credited" in str(skipped.get("message"))
    assert cases["verdict[stage-1]"].find("failure") is not None
    stage.run("--py312-soak-mode=sample-once", code=0)
    assert stage.target.steps.count("switch user-service") == 1


@pytest.mark.parametrize("chosen", ["-knothing", "-mpy312_suite", "--lf", "-x"])
def test_no_choice_of_items_makes_an_unsoaked_stage_green(stage: Stage, chosen: str) -> None:
    stage.run("--py312-soak-mode=sample-once", code=75)
    stage.run("--py312-soak-mode=sample-once", chosen, code=75)
    assert stage.newest.state is StageState.SOAKING


@pytest.mark.parametrize("chosen", ["-knothing", "-mpy312_suite"])
def test_a_stage_of_which_nothing_was_done_is_a_failure(stage: Stage, chosen: str) -> None:
    result = stage.run(chosen, code=1)
    result.stdout.fnmatch_lines(["*failed: nothing that was requested was deployed as stage 1 in test*"])


def test_an_accepted_stage_stays_so_while_it_serves(stage: Stage) -> None:
    stage.run(code=0)
    steps = len(stage.target.steps)
    result = stage.run(code=0)
    result.stdout.fnmatch_lines(["*passed: stage 1 in test is accepted*"])
    assert not [step for step in stage.target.steps[steps:] if step.startswith(("prepare", "switch"))]
    stage.run("-mpy312_suite", code=0)
    stage.run("-knothing", code=1)
    stage.faked.gate.answers["user-service-py3.12-suite"] = ("failed", "a test newly fails")
    stage.run(code=1)


LOST_ITEM = """
import pytest  # and pytest_py312

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item):
    return True if item.nodeid.endswith("user-service::py3.12::dependencies") else None
"""


@pytest.mark.parametrize("inconclusive", ["fail", "warn"])
def test_an_item_that_did_not_run_is_no_success(stage: Stage, inconclusive: str) -> None:
    """Also where what could not be checked has an exit code of its own, and an earlier run has proven it."""
    stage.run(code=0)
    (stage.faked.root / "conftest.py").write_text(LOST_ITEM)
    stage.faked.gate.proven.update(check.split("/")[1].replace("::", "-") for check in CHECKS)
    stage.run(f"--py312-inconclusive={inconclusive}", code=1)


def test_the_last_step_alone_does_all_that_comes_before(stage: Stage) -> None:
    stage.faked.gate.proven.update(check.split("/")[1].replace("::", "-") for check in CHECKS)
    stage.run("-kverdict", code=0)
    assert stage.serving() == NEW


def test_a_stage_that_was_deployed_in_part_is_brought_back(stage: Stage) -> None:
    """``-k`` chose one of two services."""
    stage.run("-k", "dependencies or suite or (deploy and user)", code=1)
    assert stage.newest.reason.endswith("interrupted by the end of the run")
    assert stage.serving() == OLD
    stage.run(code=0)


# ---- what goes wrong


def test_a_service_that_is_not_ready_brings_all_of_them_back(stage: Stage) -> None:
    """The last lines that it has logged are in the report; once more, the same is not deployed again."""
    stage.target.before = lambda step: stage.target.unready.add("new-3.12") if step == "switch auth-service" else None
    result = stage.run("-v", code=1)
    result.stdout.fnmatch_lines(
        [
            f"{STAGE}::deploy[[]user-service] PASSED*",
            f"{STAGE}::deploy[[]auth-service] FAILED*",
            f"{STAGE}::verify[[]user-service] SKIPPED*",
            "*logged:*",
            "the log of it",
        ]
    )
    assert stage.serving() == OLD
    stage.target.unready.clear()
    result = stage.run(code=1)
    result.stdout.fnmatch_lines(["*was rolled back with these very images (auth-service: exit code 1)*py312 deploy*"])
    assert stage.serving() == OLD


def test_a_severe_breach_fails_the_service_to_blame(stage: Stage) -> None:
    stage.target.starved, stage.target.spare = "auth-service", 1
    result = stage.run("-v", code=1)
    result.stdout.fnmatch_lines(
        [
            f"{STAGE}::soak[[]user-service] SKIPPED*",
            f"{STAGE}::soak[[]auth-service] FAILED*",
            f"{STAGE}::verdict[[]stage-1] FAILED*",
            "*auth-service: out of memory: killed by the kernel: out of memory; stage 1 in test is rolled back*",
            "*- samples -*",
            "out of memory: 1 successful, 1 failed*",
            "*- limits -*",
            "a sample each 1 m for 3 m*",
            "*- log templates -*",
        ]
    )
    assert stage.serving() == OLD


@pytest.mark.parametrize("cannot_read", ["", "new-3.12", "old-3.9"])
def test_a_contract_that_only_the_new_version_breaks_brings_the_stage_back(stage: Stage, cannot_read: str) -> None:
    """If the previous versions fail it as well, the result is undetermined, and a person has to decide."""
    (stage.faked.root / "py312.toml").write_text(PLAN + CONTRACT)
    stage.target = target = Meeting(cannot_read=cannot_read)
    for name in SERVICES:
        target.serve(name, "old-3.9")
    result = stage.run("-v", code=1 if cannot_read else 0)
    edge = f"{STAGE}::contract[[]user-service->auth-service]"
    result.stdout.fnmatch_lines([f"{edge} {'FAILED' if cannot_read else 'PASSED'}*"])
    assert target.requests[:3] == ["write on 3.12", "read on 3.12", "stand in for user-service"]
    assert target.requests[-2:] == ["dismiss stand-in-user-service", "dismiss stand-in-auth-service"]
    if cannot_read == "new-3.12":
        assert stage.newest.state is StageState.ROLLED_BACK
        assert stage.newest.reason.startswith("auth-service: contract user-service->auth-service: pickle of app.cache")
        assert stage.serving() == OLD
    else:
        assert stage.newest.state is (StageState.HELD if cannot_read else StageState.ACCEPTED)
        assert stage.serving() == NEW


def test_a_contract_that_was_deselected_is_not_kept(stage: Stage) -> None:
    (stage.faked.root / "py312.toml").write_text(PLAN + CONTRACT)
    stage.target = target = Meeting()
    for name in SERVICES:
        target.serve(name, "old-3.9")
    stage.run("-k", "not contract", code=1)
    assert stage.newest.state is StageState.HELD
    assert stage.newest.reason == "verdict: contract user-service->auth-service: was not tested"


def test_a_broken_contract_that_a_person_has_accepted_fails_no_more(stage: Stage) -> None:
    plan = PLAN.replace('duration = "180s"', 'duration = "180s"\non-severe = "hold"') + CONTRACT
    (stage.faked.root / "py312.toml").write_text(plan)
    stage.target = target = Meeting(cannot_read="new-3.12")
    for name in SERVICES:
        target.serve(name, "old-3.9")
    edge = f"{STAGE}::contract[[]user-service->auth-service]"
    stage.run("--py312-soak-mode=sample-once", "-v", code=1).stdout.fnmatch_lines([f"{edge} FAILED*"])
    assert stage.newest.pending_decisions == ("auth-service: contract user-service->auth-service",)
    run, journal = stage.newest, stage.journal()
    journal.acquire(run.run, owner="a person")
    journal.record(run.run, Decided(accept=True, by="a person", reason="read by nobody"), owner="a person")
    journal.close()
    stage.run("-v", code=0).stdout.fnmatch_lines([f"{edge} PASSED*"])
    assert stage.newest.is_completed


# ---- acceptance tests


@dataclass
class StageWithSuite:
    """A stage with acceptance tests, which start no process."""

    stage: Stage
    suite: FakeSuite = field(default_factory=FakeSuite)

    def fail_on(self, version: str, *, from_call: int = 0) -> None:
        """Let a test fail while this version serves."""

        def failing() -> list[str]:
            is_serving = self.stage.serving()["user-service"] == version
            return ["test_pay"] if is_serving and len(self.suite.calls) >= from_call else []

        self.suite.failing = failing


@pytest.fixture
def with_suite(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> StageWithSuite:
    made = StageWithSuite(stage=stage)
    acceptance = 'critical = true\nacceptance = [{ name = "e2e", pytest = "tests/e2e" }]'
    files = {"py312.toml": PLAN.replace("critical = true", acceptance), "tests/e2e/test_shop.py": ""}
    service_tree(stage.faked.root, files)
    monkeypatch.setattr("pytest_py312.rollout.execution.acceptance_runner.process", made.suite)
    return made


def test_acceptance_tests_are_items_before_and_after_the_soak(with_suite: StageWithSuite) -> None:
    result = with_suite.stage.run("-v", code=0)
    order = [
        line.split(" ")[0].rpartition("::")[2] for line in result.outlines if f"{STAGE}::" in line and "%]" in line
    ]
    assert order.index("acceptance[e2e]") == order.index("soak[user-service]") - 1
    assert order[-2:] == ["final-acceptance[e2e]", "verdict[stage-1]"]
    assert len(with_suite.suite.calls) == 3


def test_a_new_failure_after_the_deployment_fails_its_item(with_suite: StageWithSuite) -> None:
    """And not the last service that was verified."""
    with_suite.fail_on("3.12")
    result = with_suite.stage.run("-v", code=1)
    result.stdout.fnmatch_lines(
        [
            f"{STAGE}::verify[[]auth-service] PASSED*",
            f"{STAGE}::acceptance[[]e2e] FAILED*",
            f"{STAGE}::soak[[]user-service] SKIPPED*",
            "*acceptance e2e after the deployment: 2 passed, 1 newly failing*; stage 1 in test is rolled back",
            "*- output -*",
        ]
    )
    assert with_suite.stage.serving() == OLD
    with_suite.suite.failing = list
    result = with_suite.stage.run(code=1)
    result.stdout.fnmatch_lines(["*was rolled back with these very images*py312 deploy*"])


def test_a_new_failure_at_the_end_of_the_soak_fails_the_last_item(with_suite: StageWithSuite) -> None:
    with_suite.fail_on("3.12", from_call=3)
    result = with_suite.stage.run("-v", code=1)
    result.stdout.fnmatch_lines([f"{STAGE}::acceptance[[]e2e] PASSED*", f"{STAGE}::final-acceptance[[]e2e] FAILED*"])
    assert with_suite.stage.newest.reason.startswith("stage 1: acceptance e2e at the end of the soak: newly failing")
    assert with_suite.stage.serving() == OLD


@pytest.mark.parametrize("chosen", ["not acceptance", "verdict"])
def test_no_choice_of_items_leaves_acceptance_tests_out(with_suite: StageWithSuite, chosen: str) -> None:
    with_suite.stage.faked.gate.proven.update(check.split("/")[1].replace("::", "-") for check in CHECKS)
    with_suite.fail_on("3.12")
    with_suite.stage.run("-k", chosen, code=1)
    assert with_suite.stage.newest.state is StageState.ROLLED_BACK


def test_sample_by_sample_the_last_run_is_that_of_the_last_sample(with_suite: StageWithSuite) -> None:
    for _ in range(3):
        result = with_suite.stage.run("--py312-soak-mode=sample-once", "-v", code=75)
        result.stdout.fnmatch_lines(
            [f"{STAGE}::acceptance[[]e2e] PASSED*", f"{STAGE}::final-acceptance[[]e2e] PENDING*"]
        )
        with_suite.stage.seconds += 60.0
    assert len(with_suite.suite.calls) == 2
    with_suite.stage.run("--py312-soak-mode=sample-once", code=0)
    assert len(with_suite.suite.calls) == 3


def test_a_signal_ends_acceptance_tests_and_the_next_run_repeats_them(with_suite: StageWithSuite) -> None:
    def interrupted(cancelled: Cancellation) -> CommandResult | None:
        if len(with_suite.suite.calls) < 3:
            return None
        os.kill(os.getpid(), signal.SIGTERM)
        assert isinstance(cancelled, threading.Event)
        assert cancelled.wait(30.0)
        return command_result((), reason="CANCELLED")

    with_suite.suite.ending = interrupted
    with_suite.stage.run(code=2)
    assert with_suite.stage.newest.state is StageState.SOAKED
    assert with_suite.stage.serving() == NEW
    with_suite.suite.ending = lambda cancelled: None
    with_suite.stage.run("--py312-soak-mode=sample-once", code=0)
    assert with_suite.stage.newest.is_completed


def test_a_held_stage_is_a_failure_and_is_watched_on(stage: Stage) -> None:
    """Somebody changes a service manually."""

    def by_hand(service: str) -> None:
        serving = next(one for one in stage.target.containers.values() if one.name == "auth-service")
        if service == "user-service" and serving.running and stage.target.sampled:
            serving.name, serving.running = "gone", False
            stage.target.serve("auth-service", "hand-3.12")
        stage.target.sampled += 1

    stage.target.now = by_hand
    stage.run("--py312-soak-mode=sample-once", code=75)
    stage.seconds += 60.0
    result = stage.run("--py312-soak-mode=sample-once", "-v", code=1)
    result.stdout.fnmatch_lines([f"{STAGE}::soak[[]user-service] PENDING*", f"{STAGE}::soak[[]auth-service] FAILED*"])
    assert stage.newest.state is StageState.HELD
    stage.run("-knothing", code=1)


# ---- interrupted, and taken up again


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_watching_and_leaves_the_new_version_up(stage: Stage, number: signal.Signals) -> None:
    handler = signal.getsignal(number)
    stage.target.now = lambda service: os.kill(os.getpid(), number)
    result = stage.run("--py312-soak=1h", code=2)
    result.stdout.fnmatch_lines([f"*monitoring was interrupted by {number.name}; the new version keeps running*"])
    assert stage.serving() == NEW
    stage.target.now = lambda service: None
    stage.run("--py312-soak-mode=sample-once", code=75)
    assert stage.target.steps.count("switch user-service") == 1
    assert signal.getsignal(number) == handler


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_it_is_deployed_brings_it_back(stage: Stage, number: signal.Signals) -> None:
    stage.target.after = lambda step: os.kill(os.getpid(), number) if step == "switch user-service" else None
    stage.run(code=2)
    assert stage.serving() == OLD
    stage.target.after = lambda step: None
    stage.run(code=0)


def test_what_a_dead_process_has_left_is_finished_first(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def killed(step: str) -> None:
        if step == "switch auth-service":
            raise Killed

    def dead(self: object) -> None:
        raise Killed

    stage.target.before = killed
    with monkeypatch.context() as patch:
        patch.setattr("pytest_py312.rollout.execution.stage_runner.StageRunner.close", dead)
        with pytest.raises(Killed):
            stage.faked.bare("--py312-stage=1", "--py312-deploy=test")
    assert stage.newest.state is StageState.DEPLOYING
    stage.target.before = lambda step: None
    monkeypatch.setattr("pytest_py312.rollout.execution.locking.is_dead", lambda process: True)
    monkeypatch.setattr("pytest_py312.core.clock.time.sleep", lambda seconds: None)
    result = stage.run(code=0)
    result.stdout.fnmatch_lines(["*stage 1 was left deploying*"])
    assert stage.target.steps.index("restore user-service") < len(stage.target.steps) - 8
    assert stage.serving() == NEW


def test_jobs_of_a_schedule_go_on_with_a_soak_wherever_they_run(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_py312.rollout.execution.locking.is_dead", lambda process: False)
    for number in range(3):
        me = Operator(name="ci", host="runner", process=f"job {number}")
        monkeypatch.setattr("pytest_py312.rollout.execution.stage_runner.current_operator", lambda me=me: me)
        stage.run("--py312-soak-mode=sample-once", code=75)
        stage.seconds += 60.0
    stage.run("--py312-soak-mode=sample-once", code=0)


def test_a_soak_that_is_longer_than_the_one_that_was_accepted_is_not_over(stage: Stage) -> None:
    stage.run(code=0)
    stage.run("--py312-soak=3m", deploy="", code=0)
    result = stage.run("--py312-soak=48h", deploy="", code=1)
    result.stdout.fnmatch_lines(
        ["failed: *is accepted (*, 3 m credited): there is nothing to monitor; deploy it first*"]
    )


@needs("rerunfailures")
def test_a_stage_that_is_not_over_hides_no_failure_behind_items_that_are_run_again(stage: Stage) -> None:
    stage.run("--py312-soak-mode=sample-once", code=75)
    stage.faked.gate.answers["user-service-py3.12-suite"] = ("failed", "a test newly fails")
    stage.seconds += 60.0
    stage.run("--py312-soak-mode=sample-once", "--reruns=1", code=1)


def test_a_soak_is_gone_on_with_as_it_was_begun(stage: Stage) -> None:
    ticks = "--py312-soak-mode=sample-once"
    stage.run(ticks, "--py312-soak=120", "--py312-interval=30s", code=75)
    result = stage.run(ticks, "--py312-soak=1m", code=1)
    result.stdout.fnmatch_lines(
        ["*requested soak (60 s, a sample each 30 s) is not the one that stage 1*(120 s, each 30 s)*"]
    )
    stage.seconds += 30.0
    result = stage.run(ticks, code=75)
    result.stdout.fnmatch_lines(["*30 s of 2 m credited*"])
    (stage.faked.root / "py312.toml").write_text(PLAN.replace("initial-delay = 0", "initial-delay = 1"))
    result = stage.run(ticks, code=1)
    result.stdout.fnmatch_lines(["*the plan was changed after stage 1 was deployed*"])
    stage.run(ticks, "--py312-accept-config-change", code=75)


def test_other_images_are_not_what_is_soaking(stage: Stage) -> None:
    stage.run("--py312-soak-mode=sample-once", code=75)
    (stage.faked.root / "py312.toml").write_text(PLAN.replace("new-{version}", "newer-{version}"))
    result = stage.run("--py312-accept-config-change", code=1)
    result.stdout.fnmatch_lines(["*with other images of user-service, auth-service than now*"])


def test_another_one_at_it_is_named(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.run("--py312-soak-mode=sample-once", code=75)
    held = stage.target.locks["test"]
    stage.target.locks["test"] = replace(held, name="Ms. Other", process="elsewhere")
    result = stage.run("--py312-soak-mode=sample-once", code=1)
    result.stdout.fnmatch_lines(["*test is held by Ms. Other on *; only one operator at a time*"])


def test_the_second_of_two_that_watch_has_nothing_to_do(stage: Stage) -> None:
    stage.run("--py312-soak-mode=sample-once", code=75)
    living = str(replace(this_process(), pid=1, start_ticks=process_start_ticks(1) or 0))
    stage.target.locks["test"] = replace(stage.target.locks["test"], name="Ms. Other", process=living)
    with closing(stage.journal()) as journal:
        journal.acquire(stage.newest.run, owner=living)
    result = stage.run("--py312-soak-mode=sample-once", code=75)
    result.stdout.fnmatch_lines(["pending: stage 1 in test is soaking, and another process monitors it: *Ms. Other*"])
    with closing(stage.journal()) as journal:
        assert journal.owner(stage.newest.run) == living


# ---- without deploying


def test_a_stage_that_is_up_can_be_watched_alone(stage: Stage) -> None:
    result = stage.run("--py312-soak=3m", deploy="", code=1)
    result.stdout.fnmatch_lines(["*stage 1 in test was never deployed: there is nothing to monitor*"])
    stage.run("--py312-soak-mode=sample-once", code=75)
    result = stage.run("--py312-soak=3m", "-v", deploy="", code=0)
    assert "deploy[" not in result.stdout.str()


def test_the_services_name_the_stage_that_is_watched(stage: Stage) -> None:
    stage.run("--py312-soak-mode=sample-once", code=75)
    result = stage.faked.bare("--py312-services=user-service", "--py312-soak=3m")
    assert result.ret == 0, result.stdout.str()


def test_what_served_before_is_verified(stage: Stage) -> None:
    """After a rollback; the checks have nothing to say to that."""
    stage.target.starved = "auth-service"
    stage.run(code=1)
    result = stage.run("--py312-verify-rollback", "-v", deploy="", code=0)
    result.assert_outcomes(passed=2)
    for one in stage.target.containers.values():
        one.name = "gone" if one.name == "auth-service" else one.name
    result = stage.run("--py312-verify-rollback", deploy="", code=1)
    result.stdout.fnmatch_lines(["auth-service: nothing serves"])
    stage.run("--py312-verify-rollback", "-knothing", deploy="", code=1)


# ---- the order of stages and environments


def test_stages_and_environments_come_in_their_order(stage: Stage) -> None:
    bare = stage.faked.bare
    result = bare("--py312-stage=2", "--py312-deploy=test")
    result.stdout.fnmatch_lines(["*stage 2 cannot start in test: stage 1 was never deployed there*"])
    result = stage.run(deploy="--py312-deploy=prod", code=1)
    result.stdout.fnmatch_lines(["*stage 1 cannot start in prod: it was never deployed in test*"])
    stage.run(code=0)
    assert bare("--py312-stage=2", "--py312-deploy=test").ret == 0
    stage.target.locks.clear()
    stage.run(deploy="--py312-deploy=prod", code=0)


# ---- neighbours and mistakes


def test_the_order_is_nobody_elses(stage: Stage) -> None:
    """Neither ``--ff`` nor an order by chance puts a soak before its deployment."""
    stage.run("--py312-soak-mode=sample-once", code=75)
    result = stage.run("--py312-soak-mode=sample-once", "--ff", "-v", code=75)
    order = [line.split(" ")[0] for line in result.outlines if "::" in line and "%]" in line]
    assert order == [*CHECKS, *(f"{STAGE}::{step}" for step in STEPS)]


def test_a_time_limit_for_tests_is_none_for_a_soak(stage: Stage) -> None:
    (stage.faked.root / "timeouts.py").write_text(
        "def pytest_collection_finish(session):\n"
        "    marks = [item.get_closest_marker('timeout') for item in session.items if 'py312::' in item.nodeid]\n"
        "    print('timeouts:', [mark.args[0] for mark in marks])\n"
    )
    stage.faked.pytester.syspathinsert()
    result = stage.run("--collect-only", "-q", "--timeout=1", "-p", "timeouts", code=0)
    assert "timeouts: [0, 0" in result.stdout.str()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--py312-deploy=test", "one stage at a time is deployed and monitored, and none is named"),
        ("--py312-stage=1,2 --py312-deploy=test", "not 2: --py312-stage=N"),
        ("--py312-stage=1 --py312-deploy=prd", 'no environment prd, perhaps you meant "prod"'),
        ("--py312-stage=1 --py312-deploy=test -n 2", "a rollout runs in one process"),
        ("--py312-stage=1 --py312-deploy=test --py312-fix", "fix first, then deploy"),
        ("--py312-stage=1 --py312-deploy=test --py312-soak-mode=sample", 'perhaps you meant "sample-once"'),
        ("--py312-stage=1 --py312-deploy=test --py312-soak=soon", "expected a duration such as 172800"),
        ("--py312-stage=1 --py312-deploy=test --py312-soak=8d", "at most 7 days"),
        ("--py312-stage=1 --py312-deploy=test --py312-soak=5s", "is longer than the soak of"),
        ("--py312-stage=1 --py312-deploy=test --py312-services=user-service", "a stage is deployed as a whole"),
        ("--py312-stage=1 --py312-deploy=test --py312-env=prod", "already names the environment"),
        ("--py312-stage=1 --py312-verify-rollback --py312-soak=1h", "remove --py312-deploy"),
        ("--py312-stage=1 --py312-interval=5m", "combine it with --py312-deploy=ENVIRONMENT"),
        ("--py312-stage=1 --py312-deply=test", 'perhaps you meant "--py312-deploy"'),
        ("--py312-stge=1", 'perhaps you meant "--py312-stage"'),
    ],
)
def test_mistakes_are_reported_before_anything_is_done(stage: Stage, words: str, message: str) -> None:
    result = stage.faked.bare(*words.split())
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert message in result.stderr.str() + result.stdout.str()
    assert "Traceback" not in result.stderr.str()
    assert not stage.target.steps
