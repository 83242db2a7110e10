"""Which versions of two services meet, and what is reported if they cannot."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest

from pytest_py312.core.errors import RolloutRefused
from pytest_py312.repository.plan.rollout_settings import ContractAction, ContractSettings, RolloutSettings
from pytest_py312.rollout.domain.contracts import contract_edges
from pytest_py312.rollout.domain.measurements import Result
from pytest_py312.rollout.domain.model import StageRun
from pytest_py312.rollout.domain.target_model import Container, ServiceSpec
from pytest_py312.rollout.execution.contract_runner import ContractRunner
from pytest_py312.rollout.targets.target import ServiceUnreachable, TargetRefused, TargetUnavailable
from tests.support.fakes import FakeTarget
from tests.unit.rollout.runs import carried_on, planned, spec

CALL = ContractSettings(first="gateway", second="auth", path="/verify")
FUNCTION = ContractSettings(first="auth", second="gateway", write=ContractAction(function="app:key"), format="json")


@dataclass
class Answering(FakeTarget):
    """Each container answers that it is well, on the Python of its image."""

    python: str = ""
    """The version that all containers report instead."""
    away: bool = False
    pythons: tuple[str, ...] = ("python3",)
    apart: set[str] = field(default_factory=set)
    """Ids of containers that cannot be reached."""
    failing: int = 0
    """Number of answers that fail before the first success."""
    asked: list[str] = field(default_factory=list)

    def execute(self, container: Container, argv: Sequence[str], *, timeout: float) -> tuple[int, str]:
        if self.away:
            raise TargetUnavailable("the engine does not answer")
        if argv[0] not in self.pythons:
            raise TargetRefused(f"no {argv[0]}")
        request = json.loads(argv[-1])
        self.asked.append(f"{container.id} {request['url']}".strip())
        python = self.python or ("3.12" if "new" in container.image else "3.9")
        well = len(self.asked) > self.failing
        return 0, "py312-contract " + json.dumps({"ok": well, "detail": "", "data": "", "python": python})

    def start_stand_in(self, spec: ServiceSpec, old: Container, *, run: str) -> Container:
        return Container(id=f"stand-in-{spec.service}", image=old.image)

    def remove_stand_in(self, container: Container) -> None:
        self.asked.append(f"dismiss {container.id}")

    def address_for_caller(self, spec: ServiceSpec, callee: Container, caller: Container) -> tuple[str, int]:
        if callee.id in self.apart:
            raise ServiceUnreachable("they are in no network together")
        return callee.id, 80


def deployed_run(*services: str) -> StageRun:
    return carried_on(planned(*services))


def make_runner(target: FakeTarget, *runs: StageRun) -> ContractRunner:
    for name in ("auth", "gateway"):
        target.serve(name, "old-3.9")
    return ContractRunner(target, runs, {name: spec(name) for name in ("auth", "gateway")})


def test_a_service_that_was_not_moved_is_the_old_one() -> None:
    target = Answering()
    made = make_runner(target, deployed_run("auth"))
    result = made.run_contract(CALL)
    assert (result.result, target.asked) == (Result.SUCCESSFUL, ["id2 http://new-auth:80/verify"])
    assert result.reason.startswith("not tried: the old auth is not running")


def test_all_four_meet_where_both_moved_and_the_callee_has_a_control() -> None:
    target = Answering()
    run = deployed_run("auth", "gateway").with_deployment(
        "auth", control=Container(id="control-auth", image="old-image-auth")
    )
    made = make_runner(target, run)
    assert made.run_contract(CALL).result is Result.SUCCESSFUL
    made.close()
    assert target.asked == [
        "new-gateway http://new-auth:80/verify",
        "stand-in-gateway http://new-auth:80/verify",
        "new-gateway http://control-auth:80/verify",
        "stand-in-gateway http://control-auth:80/verify",
        "dismiss stand-in-gateway",
    ]


def test_what_was_brought_back_is_the_old_one_again() -> None:
    target = Answering()
    run = deployed_run("auth").with_deployment("auth", restored=True, switched=False)
    assert make_runner(target, run).run_contract(CALL).reason == "neither gateway nor auth is new"


def test_a_python_that_is_not_the_services_tells_nothing() -> None:
    made = make_runner(Answering(python="3.11"), deployed_run("auth"))
    result = made.run_contract(CALL)
    assert result.result is Result.INCONCLUSIVE
    assert "the Python of its container is 3.11, but gateway runs on 3.9" in result.reason


def test_python_by_another_name_will_do_and_none_is_reported() -> None:
    assert (
        make_runner(Answering(pythons=("python",)), deployed_run("auth")).run_contract(CALL).result is Result.SUCCESSFUL
    )
    none = make_runner(Answering(pythons=()), deployed_run("auth")).run_contract(CALL)
    assert (none.result, "the contract script gave no answer" in none.reason) == (Result.INCONCLUSIVE, True)


def test_blindness_is_no_broken_contract_nor_are_services_that_meet_by_another_way() -> None:
    assert make_runner(Answering(away=True), deployed_run("auth")).run_contract(CALL).result is Result.INCONCLUSIVE
    apart = make_runner(Answering(apart={"new-auth"}), deployed_run("auth")).run_contract(CALL)
    assert (apart.result, apart.reason.partition(";")[0]) == (
        Result.INCONCLUSIVE,
        "old -> new: not tried (they are in no network together",
    )
    assert 'add at = "host:port" to the contract' in apart.reason


def test_a_new_version_that_nothing_leads_to_where_the_old_one_is_met_breaks_the_contract() -> None:
    run = deployed_run("auth").with_deployment("auth", control=Container(id="control-auth", image="old-image-auth"))
    result = make_runner(Answering(apart={"new-auth"}), run).run_contract(CALL)
    assert (result.result, result.reason) == (Result.FAILED, "old -> new: broken (they are in no network together)")


def test_what_the_plan_says_where_it_is_is_asked_there() -> None:
    """The address in the plan leads to the deployed version, whatever else runs."""
    target = Answering(apart={"new-auth", "control-auth"})
    run = deployed_run("auth").with_deployment("auth", control=Container(id="control-auth", image="old-image-auth"))
    result = make_runner(target, run).run_contract(replace(CALL, at="proxy:8080"))
    assert (result.result, target.asked) == (Result.SUCCESSFUL, ["id2 http://proxy:8080/verify"])
    assert result.reason == (
        "not tried: the old auth cannot be called by what is at proxy:8080, which leads to the deployed version"
    )


@pytest.mark.parametrize(("failing", "result"), [(2, Result.SUCCESSFUL), (3, Result.FAILED)])
def test_a_blip_breaks_no_contract(failing: int, result: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    rests: list[float] = []
    monkeypatch.setattr("pytest_py312.core.clock.pause", rests.append)
    assert make_runner(Answering(failing=failing), deployed_run("auth")).run_contract(CALL).result is result
    assert rests == [1.0, 1.0]


def test_mistakes_are_reported() -> None:
    with pytest.raises(RolloutRefused, match="the target fake does not support contracts"):
        make_runner(FakeTarget(), deployed_run("auth"))
    misspelt = ContractSettings(first="gatewya", second="auth", path="/")
    with pytest.raises(RolloutRefused, match=r'gatewya, which is no service.*perhaps you meant "gateway"'):
        make_runner(Answering(), deployed_run("auth")).run_contract(misspelt)
    stopped = Answering()
    made = make_runner(stopped, deployed_run("auth"))
    stopped.containers["id2"].running = False
    assert made.run_contract(CALL).reason == "gateway is not running"


def test_each_edge_is_named_once() -> None:
    settings = RolloutSettings(contracts=(CALL, CALL, FUNCTION))
    assert contract_edges(settings.contracts, ["auth"]) == ["gateway->auth", "auth->gateway"]
    assert contract_edges(settings.contracts, ["user"]) == []
