"""Faults of a stage on a real engine: the final state of each, and the old version serving after it.

All run at once, each in its own environment, one sample at a time as a schedule takes them.
"""

import http.client
import http.server
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pytest_py312.core import clock
from pytest_py312.repository.plan.loader import load_plan
from pytest_py312.rollout.context import RolloutContext
from pytest_py312.rollout.domain.contracts import contract_edges
from pytest_py312.rollout.domain.model import StageRun, StageState
from pytest_py312.rollout.domain.stop_signals import StopRequest
from pytest_py312.rollout.domain.target_model import Container
from pytest_py312.rollout.execution.stage_runner import StageRequest, StageRunner
from pytest_py312.rollout.execution.steps import StepResult, StepRunner, StepStatus, make_steps
from pytest_py312.rollout.targets.docker.target import DockerTarget
from pytest_py312.rollout.targets.target import TargetRefused
from pytest_py312.runners.docker.engine import connect
from pytest_py312.runners.docker.errors import translate_errors
from tests.integration.rollouts.docker_environments import DockerEnvironment, build_image, eventually, start_environment
from tests.support.fakes import service_tree

pytestmark = [pytest.mark.docker, pytest.mark.timeout(420)]

PLAN = """
target = "3.12"

[deploy]
image = "py312-rollout-test:{image}"
container = "{container}"
port = 8000
health = "/health"
version = "/version"
drain = "1s"
environments = {{ {name} = {{ prometheus = "{prometheus}" }} }}

[soak]
interval = "1s"
duration = "10s"
initial-delay = 0
min-requests = 20
confirm = {{ probes = 3, every = "0.1s", bad = 2 }}
compare = {{ min-points = 8, looks = 1 }}
{soak}

[[stage]]
number = 1
services = ["auth"]
critical = true
"""
S = StageState


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A fault and its result. ``soak`` is added to the plan; ``failing`` is the step that fails, with ``reason``."""

    image: str
    state: StageState | None
    failing: str
    reason: str
    or_reason: str = ""
    soak: str = ""
    asked: str = ""
    """The path that is requested during the soak."""
    times: int = 1
    memory: str = ""
    """The container's memory limit."""


FAULTS = {
    "crash at start": Fault(
        image="{version}-crash", state=S.ROLLED_BACK, failing="deploy[auth]", reason="no module named nothing"
    ),
    "crash after the health window": Fault(
        image="{version}-good", asked="/die", state=S.ROLLED_BACK, failing="soak[auth]", reason="auth: availability"
    ),
    "crash loop": Fault(
        image="{version}-good",
        asked="/stumble",
        times=20,
        state=S.ROLLED_BACK,
        failing="soak[auth]",
        reason="auth: crash loop: restarted",
    ),
    "killed: out of memory": Fault(
        image="{version}-good",
        asked="/grow",
        times=20,
        memory="100m",
        state=S.ROLLED_BACK,
        failing="soak[auth]",
        reason="auth: out of memory",
        or_reason="auth: crash loop",  # where the engine has dropped the event from its history
    ),
    "5 % errors": Fault(
        image="{version}-few",
        soak='load = { rate = 200, path = "/work", seconds = "0.5s", errors = "20%" }',
        state=S.ROLLED_BACK,
        failing="soak[auth]",
        reason="auth: load errors",
    ),
    "half again as slow": Fault(
        image="{version}-slow",
        soak='control = true\n[[soak.metric]]\nname = "latency"\nprovider = "http"\nquery = "/query"',
        state=S.HELD,
        failing="verdict[stage-1]",  # by an interim analysis or, on a noisy machine, by the last one
        reason="auth: latency compared",
    ),
    "memory leak": Fault(
        image="{version}-leak",
        soak='[[soak.metric]]\nname = "memory"\nprovider = "docker"\nfailure = "value > 150000000"',
        state=S.HELD,
        failing="soak[auth]",
        reason="auth: memory",
    ),
    "no traffic": Fault(
        image="{version}-good",
        soak='[[soak.metric]]\nname = "orders"\nprovider = "prometheus"\nquery = "orders"\nfailure = "value < 1"',
        state=S.SOAKING,
        failing="verdict[stage-1]",
        reason="inconclusive: auth: orders inconclusive for",
    ),
    "a cache that is keyed by a hash": Fault(
        image="{version}-good",
        soak="""[[contract]]
writer = "auth"
reader = "auth"
write = "os:getcwd"
read = "os:getcwd"
format = "hash"
""",
        state=S.ROLLED_BACK,
        failing="contract[auth->auth]",
        reason="old -> new: broken (the hash is",
    ),
    "wrong interpreter": Fault(
        image="3.11-good", state=None, failing="preflight", reason="declares Python 3.11, not 3.12"
    ),
    "wrong interpreter that claims to be right": Fault(
        image="3.11-good-claims", state=S.ROLLED_BACK, failing="verify[auth]", reason="Python 3.11, not on 3.12"
    ),
}


@dataclass(kw_only=True)
class Case:
    """One fault in its own environment."""

    fault: Fault
    environment: DockerEnvironment
    context: RolloutContext
    ticks: int = 0
    requests_path: dict[str, StepResult] = field(default_factory=dict)
    run: StageRun | None = None

    def tick(self) -> None:
        """Take one sample, as one run of a schedule."""
        request = StageRequest(stage=1, environment=self.environment.name, sample_once=True)
        staging = StageRunner(self.context, request, find_unproven=lambda services: [], stop=StopRequest())
        steps = StepRunner(staging)
        edges = contract_edges(self.context.settings().contracts, ["auth"])
        self.answers = {str(step): steps.answer(step) for step in make_steps(["auth"], 1, deploys=True, edges=edges)}
        with suppress(Exception):
            self.run = staging.run
        steps.close()
        self.ticks += 1

    @property
    def is_over(self) -> bool:
        """Whether the stage is decided or reported as inconclusive."""
        verdict = self.answers["verdict[stage-1]"]
        return verdict.status is not StepStatus.PENDING or "inconclusive: " in verdict.reason

    def ask(self) -> None:
        """Request the path that triggers the fault. If the engine restarts the container, wait until it is up again."""
        assert self.run is not None
        new = self.run["auth"].new
        assert new is not None
        requests_path(self.environment, new, self.fault.asked)
        if self.fault.asked != "/die":
            eventually(lambda: requests_path(self.environment, new, "/health"), "it was not started again")

    def serving(self) -> str:
        return self.environment.serving()["auth"][1]


def requests_path(environment: DockerEnvironment, container: Container, path: str) -> bool:
    with suppress(OSError, http.client.HTTPException, TargetRefused):  # it exits without an answer, or is not running
        host, port = environment.target.address(environment.spec("auth"), container)
        urllib.request.urlopen(f"http://{host}:{port}{path}", timeout=5).close()
        return True
    return False


@pytest.fixture
def images() -> dict[str, str]:
    engine = connect()
    try:
        for kind in ("crash", "good", "few", "slow", "leak"):
            build_image(engine, "3.12", kind)
        build_image(engine, "3.11")
        build_image(engine, "3.11", claims="3.12.1")
        return {"3.9": build_image(engine, "3.9")}
    finally:
        engine.close()


@pytest.fixture
def prometheus() -> Iterator[str]:
    """Run a Prometheus that has no series."""

    class Empty(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b'{"status": "success", "data": {"resultType": "vector", "result": []}}'
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Empty)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def cases(tmp_path: Path, images: dict[str, str], prometheus: str) -> Iterator[dict[str, Case]]:
    with ExitStack() as opened:
        cases = {}
        for number, (name, fault) in enumerate(FAULTS.items()):
            folder = tmp_path / str(number)
            environment = opened.enter_context(start_environment(folder / "journal", images, "auth"))
            if fault.memory:
                with translate_errors():
                    environment.engine.client.update_container(
                        environment.old["auth"], mem_limit=fault.memory, memswap_limit=fault.memory
                    )
            plan = PLAN.format(
                image=fault.image,
                container=f"{environment.name}-auth",
                name=environment.name,
                prometheus=prometheus,
                soak=fault.soak,
            )
            root = service_tree(folder / "repository", {"services/auth/requirements.txt": "", "py312.toml": plan})
            context = RolloutContext(
                plan=load_plan(root / "py312.toml", today=clock.today()),
                state_dir=folder / "journal",
                target=_always(environment),
                log=lambda text: None,
            )
            cases[name] = Case(fault=fault, environment=environment, context=context)
        yield cases


def _always(environment: DockerEnvironment) -> Callable[[], DockerTarget]:
    return lambda: environment.target


def test_each_fault_ends_in_the_documented_state(cases: dict[str, Case]) -> None:
    left = list(cases)
    deadline = clock.stopwatch() + 300
    while left:
        assert clock.stopwatch() < deadline, f"not over: {left}"
        for name in left:
            cases[name].tick()
            fault = cases[name].fault
            if fault.asked and cases[name].ticks <= fault.times and not cases[name].is_over:
                cases[name].ask()
        left = [name for name in left if not cases[name].is_over]
    for name, case in cases.items():
        fault, reasons_by_step = case.fault, {step: answer.reason for step, answer in case.answers.items()}
        assert (case.run.state if case.run else None) is fault.state, (name, reasons_by_step)
        failing = case.answers[fault.failing].status
        assert failing is (StepStatus.PENDING if fault.state is S.SOAKING else StepStatus.FAILED), (
            name,
            reasons_by_step,
        )
        reasons = [reason for reason in (fault.reason, fault.or_reason) if reason]
        assert any(reason in reasons_by_step[fault.failing] for reason in reasons), (name, reasons_by_step)
        if fault.state in (S.HELD, S.SOAKING):
            assert case.serving() == "3.12", name
            assert case.run is not None
            with case.environment.driver() as (driver, _):
                driver.rollback(case.run.run, reason="decided")
        assert case.environment.serving() == case.environment.all_old(), name
