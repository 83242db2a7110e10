"""What goes wrong with a stage on a real engine, the state that each ends in, and the old version serving after it.

All of them at once, each in an environment of its own, sample by sample as a schedule would take them.
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
from pytest_py312.rollout.context import Ground
from pytest_py312.rollout.domain.contracts import edges_of
from pytest_py312.rollout.domain.model import Container, StageRun, StageState
from pytest_py312.rollout.domain.stop_signals import Stop
from pytest_py312.rollout.execution.stage_runner import Staging, Wish
from pytest_py312.rollout.execution.steps import Answer, Steps, StepStatus, steps_of
from pytest_py312.rollout.targets.docker.target import DockerTarget
from pytest_py312.rollout.targets.target import TargetRefused
from pytest_py312.runners.docker.engine import connect
from pytest_py312.runners.docker.errors import told_apart
from tests.integration.rollouts.services import Place, built, eventually, place
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
class Trouble:
    """``soak`` is what the plan says more. ``failing`` is the step that tells it, ``reason`` is in what it says."""

    image: str
    state: StageState | None
    failing: str
    reason: str
    or_reason: str = ""
    soak: str = ""
    asked: str = ""
    """The path that it is asked for while it is watched."""
    times: int = 1
    memory: str = ""
    """What it may use at most."""


TROUBLES = {
    "crash at start": Trouble(
        image="{version}-crash", state=S.ROLLED_BACK, failing="deploy[auth]", reason="no module named nothing"
    ),
    "crash after the health window": Trouble(
        image="{version}-good", asked="/die", state=S.ROLLED_BACK, failing="soak[auth]", reason="auth: availability"
    ),
    "it is started again and again": Trouble(
        image="{version}-good",
        asked="/stumble",
        times=20,
        state=S.ROLLED_BACK,
        failing="soak[auth]",
        reason="auth: crash loop: started again",
    ),
    "killed for want of memory": Trouble(
        image="{version}-good",
        asked="/grow",
        times=20,
        memory="100m",
        state=S.ROLLED_BACK,
        failing="soak[auth]",
        reason="auth: out of memory",
        or_reason="auth: crash loop",  # where the engine did more since than it remembers
    ),
    "5 % errors": Trouble(
        image="{version}-few",
        soak='load = { rate = 200, path = "/work", seconds = "0.5s", errors = "20%" }',
        state=S.ROLLED_BACK,
        failing="soak[auth]",
        reason="auth: load errors",
    ),
    "half as slow again": Trouble(
        image="{version}-slow",
        soak='twin = true\n[[soak.metric]]\nname = "latency"\nprovider = "http"\nquery = "/query"',
        state=S.HELD,
        failing="verdict[stage-1]",  # by a look on the way or, on a noisy machine, by the last one
        reason="auth: latency compared",
    ),
    "memory leak": Trouble(
        image="{version}-leak",
        soak='[[soak.metric]]\nname = "memory"\nprovider = "docker"\nfailure = "value > 150000000"',
        state=S.HELD,
        failing="soak[auth]",
        reason="auth: memory",
    ),
    "no traffic": Trouble(
        image="{version}-good",
        soak='[[soak.metric]]\nname = "orders"\nprovider = "prometheus"\nquery = "orders"\nfailure = "value < 1"',
        state=S.SOAKING,
        failing="verdict[stage-1]",
        reason="cannot tell: auth: orders told nothing for",
    ),
    "a cache that is keyed by a hash": Trouble(
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
    "wrong interpreter": Trouble(image="3.11-good", state=None, failing="preflight", reason="has Python 3.11, not"),
    "wrong interpreter that says it is right": Trouble(
        image="3.11-good-claims", state=S.ROLLED_BACK, failing="verify[auth]", reason="Python 3.11, not on 3.12"
    ),
}


@dataclass(kw_only=True)
class Case:
    """One trouble in an environment of its own."""

    trouble: Trouble
    here: Place
    ground: Ground
    ticks: int = 0
    answers: dict[str, Answer] = field(default_factory=dict)
    run: StageRun | None = None

    def tick(self) -> None:
        """What one run does."""
        wish = Wish(stage=1, environment=self.here.name, ticks=True)
        staging = Staging(self.ground, wish, unproven=lambda services: [], stop=Stop())
        steps = Steps(staging)
        edges = edges_of(self.ground.settings().contracts, ["auth"])
        self.answers = {str(step): steps.answer(step) for step in steps_of(["auth"], 1, deploys=True, edges=edges)}
        with suppress(Exception):
            self.run = staging.run
        steps.close()
        self.ticks += 1

    @property
    def is_over(self) -> bool:
        """It is decided; or, where nothing can be told, said so."""
        verdict = self.answers["verdict[stage-1]"]
        return verdict.status is not StepStatus.PENDING or "cannot tell" in verdict.reason

    def ask(self) -> None:
        """What ends it. Where the engine starts it again, that is waited for: it is up, and has been down."""
        assert self.run is not None
        new = self.run["auth"].new
        assert new is not None
        answers(self.here, new, self.trouble.asked)
        if self.trouble.asked != "/die":
            eventually(lambda: answers(self.here, new, "/health"), "it was not started again")

    def serving(self) -> str:
        return self.here.serving()["auth"][1]


def answers(here: Place, container: Container, path: str) -> bool:
    with suppress(OSError, http.client.HTTPException, TargetRefused):  # it ends without an answer, or does not run now
        host, port = here.target.address(here.spec("auth"), container)
        urllib.request.urlopen(f"http://{host}:{port}{path}", timeout=5).close()
        return True
    return False


@pytest.fixture
def images() -> dict[str, str]:
    engine = connect()
    try:
        for kind in ("crash", "good", "few", "slow", "leak"):
            built(engine, "3.12", kind)
        built(engine, "3.11")
        built(engine, "3.11", claims="3.12.1")
        return {"3.9": built(engine, "3.9")}
    finally:
        engine.close()


@pytest.fixture
def prometheus() -> Iterator[str]:
    """One that has never heard of any series."""

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
        found = {}
        for number, (name, trouble) in enumerate(TROUBLES.items()):
            folder = tmp_path / str(number)
            here = opened.enter_context(place(folder / "journal", images, "auth"))
            if trouble.memory:
                with told_apart():
                    here.engine.client.update_container(
                        here.old["auth"], mem_limit=trouble.memory, memswap_limit=trouble.memory
                    )
            plan = PLAN.format(
                image=trouble.image,
                container=f"{here.name}-auth",
                name=here.name,
                prometheus=prometheus,
                soak=trouble.soak,
            )
            root = service_tree(folder / "repository", {"services/auth/requirements.txt": "", "py312.toml": plan})
            ground = Ground(
                plan=load_plan(root / "py312.toml", today=clock.today()),
                state=folder / "journal",
                target=_always(here),
                told=lambda text: None,
            )
            found[name] = Case(trouble=trouble, here=here, ground=ground)
        yield found


def _always(here: Place) -> Callable[[], DockerTarget]:
    return lambda: here.target


def test_each_ends_in_the_state_that_is_promised(cases: dict[str, Case]) -> None:
    left = list(cases)
    deadline = clock.stopwatch() + 300
    while left:
        assert clock.stopwatch() < deadline, f"not over: {left}"
        for name in left:
            cases[name].tick()
            trouble = cases[name].trouble
            if trouble.asked and cases[name].ticks <= trouble.times and not cases[name].is_over:
                cases[name].ask()
        left = [name for name in left if not cases[name].is_over]
    for name, case in cases.items():
        trouble, told = case.trouble, {step: answer.reason for step, answer in case.answers.items()}
        assert (case.run.state if case.run else None) is trouble.state, (name, told)
        failing = case.answers[trouble.failing].status
        assert failing is (StepStatus.PENDING if trouble.state is S.SOAKING else StepStatus.FAILED), (name, told)
        reasons = [reason for reason in (trouble.reason, trouble.or_reason) if reason]
        assert any(reason in told[trouble.failing] for reason in reasons), (name, told)
        if trouble.state in (S.HELD, S.SOAKING):
            assert case.serving() == "3.12", name
            assert case.run is not None
            with case.here.driver() as (driver, _):
                driver.rollback(case.run.run, reason="decided")
        assert case.here.serving() == case.here.all_old(), name
