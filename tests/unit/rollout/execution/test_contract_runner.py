"""Who meets whom, and what is said where they cannot."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest

from pytest_py312.core.errors import RolloutRefused
from pytest_py312.repository.plan.rollout_settings import ContractSettings, Doing, RolloutSettings
from pytest_py312.rollout.domain.contracts import edges_of
from pytest_py312.rollout.domain.model import Container, Result, ServiceSpec, StageRun
from pytest_py312.rollout.execution.contract_runner import Contracting
from pytest_py312.rollout.targets.docker.contract_exec import meeting_place
from pytest_py312.rollout.targets.target import TargetLost, TargetRefused, TargetUnreachable
from tests.support.fakes import FakeTarget
from tests.unit.rollout.runs import carried_on, planned, spec

CALL = ContractSettings(first="gateway", second="auth", path="/verify")
FUNCTION = ContractSettings(first="auth", second="gateway", write=Doing(function="app:key"), format="json")


@dataclass
class Answering(FakeTarget):
    """Each container answers that it is well, on the Python of its image."""

    python: str = ""
    """What all say instead."""
    away: bool = False
    pythons: tuple[str, ...] = ("python3",)
    apart: set[str] = field(default_factory=set)
    """Ids of those to whom nothing leads."""
    failing: int = 0
    """So many of the first answers are that it is not well."""
    asked: list[str] = field(default_factory=list)

    def execute(self, container: Container, argv: Sequence[str], *, limit: float) -> tuple[int, str]:
        if self.away:
            raise TargetLost("the engine does not answer")
        if argv[0] not in self.pythons:
            raise TargetRefused(f"no {argv[0]}")
        request = json.loads(argv[-1])
        self.asked.append(f"{container.id} {request['url']}".strip())
        python = self.python or ("3.12" if "new" in container.image else "3.9")
        well = len(self.asked) > self.failing
        return 0, "py312-contract " + json.dumps({"ok": well, "detail": "", "data": "", "python": python})

    def stand_in(self, spec: ServiceSpec, old: Container, *, run: str) -> Container:
        return Container(id=f"stand-in-{spec.service}", image=old.image)

    def dismiss(self, container: Container) -> None:
        self.asked.append(f"dismiss {container.id}")

    def met(self, spec: ServiceSpec, callee: Container, caller: Container) -> tuple[str, int]:
        if callee.id in self.apart:
            raise TargetUnreachable("they are in no network together")
        return callee.id, 80


def moved(*services: str) -> StageRun:
    return carried_on(planned(*services))


def keeping(target: FakeTarget, *runs: StageRun) -> Contracting:
    for name in ("auth", "gateway"):
        target.serve(name, "old-3.9")
    return Contracting(target, runs, {name: spec(name) for name in ("auth", "gateway")})


def test_a_service_that_was_not_moved_is_the_old_one() -> None:
    target = Answering()
    made = keeping(target, moved("auth"))
    result = made.result(CALL)
    assert (result.result, target.asked) == (Result.SUCCESSFUL, ["id2 http://new-auth:80/verify"])
    assert result.reason.startswith("not tried: the old auth does not run")


def test_all_four_meet_where_both_moved_and_the_callee_has_a_twin() -> None:
    target = Answering()
    run = moved("auth", "gateway").with_deployment("auth", twin=Container(id="twin-auth", image="old-image-auth"))
    made = keeping(target, run)
    assert made.result(CALL).result is Result.SUCCESSFUL
    made.close()
    assert target.asked == [
        "new-gateway http://new-auth:80/verify",
        "stand-in-gateway http://new-auth:80/verify",
        "new-gateway http://twin-auth:80/verify",
        "stand-in-gateway http://twin-auth:80/verify",
        "dismiss stand-in-gateway",
    ]


def test_what_was_brought_back_is_the_old_one_again() -> None:
    target = Answering()
    run = moved("auth").with_deployment("auth", restored=True, switched=False)
    assert keeping(target, run).result(CALL).reason == "neither gateway nor auth is new"


def test_a_python_that_is_not_the_services_tells_nothing() -> None:
    made = keeping(Answering(python="3.11"), moved("auth"))
    result = made.result(CALL)
    assert result.result is Result.INCONCLUSIVE
    assert "the Python of its container is 3.11, and gateway runs on 3.9" in result.reason


def test_python_by_another_name_will_do_and_none_is_told() -> None:
    assert keeping(Answering(pythons=("python",)), moved("auth")).result(CALL).result is Result.SUCCESSFUL
    none = keeping(Answering(pythons=()), moved("auth")).result(CALL)
    assert (none.result, "its Python did not answer" in none.reason) == (Result.INCONCLUSIVE, True)


def test_blindness_is_no_broken_contract_nor_are_services_that_meet_by_another_way() -> None:
    assert keeping(Answering(away=True), moved("auth")).result(CALL).result is Result.INCONCLUSIVE
    apart = keeping(Answering(apart={"new-auth"}), moved("auth")).result(CALL)
    assert (apart.result, apart.reason.partition(";")[0]) == (
        Result.INCONCLUSIVE,
        "old -> new: not tried (they are in no network together",
    )
    assert 'write at = "host:port" into the contract' in apart.reason


def test_a_new_version_that_nothing_leads_to_where_the_old_one_is_met_breaks_the_contract() -> None:
    run = moved("auth").with_deployment("auth", twin=Container(id="twin-auth", image="old-image-auth"))
    result = keeping(Answering(apart={"new-auth"}), run).result(CALL)
    assert (result.result, result.reason) == (Result.FAILED, "old -> new: broken (they are in no network together)")


def test_what_the_plan_says_where_it_is_is_asked_there() -> None:
    """That leads to the one that is deployed, whoever else runs."""
    target = Answering(apart={"new-auth", "twin-auth"})
    run = moved("auth").with_deployment("auth", twin=Container(id="twin-auth", image="old-image-auth"))
    result = keeping(target, run).result(replace(CALL, at="proxy:8080"))
    assert (result.result, target.asked) == (Result.SUCCESSFUL, ["id2 http://proxy:8080/verify"])
    assert result.reason == (
        "not tried: the old auth is not called by what is at proxy:8080: that meets the one that is deployed"
    )


@pytest.mark.parametrize(("failing", "result"), [(2, Result.SUCCESSFUL), (3, Result.FAILED)])
def test_a_blip_breaks_no_contract(failing: int, result: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    rests: list[float] = []
    monkeypatch.setattr("pytest_py312.core.clock.pause", rests.append)
    assert keeping(Answering(failing=failing), moved("auth")).result(CALL).result is result
    assert rests == [1.0, 1.0]


def test_mistakes_are_told() -> None:
    with pytest.raises(RolloutRefused, match="contracts cannot be kept on the target fake"):
        keeping(FakeTarget(), moved("auth"))
    misspelt = ContractSettings(first="gatewya", second="auth", path="/")
    with pytest.raises(RolloutRefused, match=r'gatewya, which is no service.*perhaps you meant "gateway"'):
        keeping(Answering(), moved("auth")).result(misspelt)
    stopped = Answering()
    made = keeping(stopped, moved("auth"))
    stopped.containers["id2"].running = False
    assert made.result(CALL).reason == "gateway does not run"


def test_each_edge_is_named_once() -> None:
    settings = RolloutSettings(contracts=(CALL, CALL, FUNCTION))
    assert edges_of(settings.contracts, ["auth"]) == ["gateway->auth", "auth->gateway"]
    assert edges_of(settings.contracts, ["user"]) == []


# ---- where containers of an engine meet


def container(*networks: str, name: str = "/auth", mode: str = "default") -> dict[str, object]:
    homes = {one: {"IPAddress": f"10.0.{number}.2", "Gateway": "10.0.0.1"} for number, one in enumerate(networks)}
    return {"Name": name, "HostConfig": {"NetworkMode": mode}, "NetworkSettings": {"Networks": homes}}


@pytest.mark.parametrize(
    ("callee", "caller", "place"),
    [
        (container("bridge"), container("bridge"), ("10.0.0.2", 80)),
        (container("bridge", "backend"), container("bridge", "backend"), ("auth", 80)),
        (container("backend", name="/auth.twin-r1"), container("backend"), ("10.0.0.2", 80)),
        (container("backend"), container("host", mode="host"), ("10.0.0.2", 80)),
        (container("host", mode="host"), container("backend"), ("10.0.0.1", 80)),
        (container("host", mode="host"), container("host", mode="host"), ("127.0.0.1", 80)),
    ],
)
def test_where_two_containers_meet(
    callee: dict[str, object], caller: dict[str, object], place: tuple[str, int]
) -> None:
    """By the service's name, as others would call it, wherever names are known."""
    assert meeting_place(callee, caller, spec=spec("auth", port=80)) == place


def test_two_that_are_in_no_network_together() -> None:
    with pytest.raises(TargetUnreachable, match=r"no network together \(backend; other\)"):
        meeting_place(container("backend"), container("other"), spec=spec("auth", port=80))
