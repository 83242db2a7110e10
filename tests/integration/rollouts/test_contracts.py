"""Contracts between services on a real engine, one moved and one not."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace

import pytest

from pytest_py312.repository.plan.rollout_settings import ContractSettings, Doing
from pytest_py312.rollout.domain.contracts import ContractResult
from pytest_py312.rollout.domain.model import Result
from pytest_py312.rollout.execution.contract_runner import Contracting
from pytest_py312.runners.docker.errors import told_apart
from tests.integration.rollouts.services import Place

APlace = Callable[..., AbstractContextManager[Place]]
CWD = Doing(function="os:getcwd")
CALL = ContractSettings(first="user", second="auth", path="/version")
BY_HASH = ContractSettings(first="auth", second="user", write=CWD, read=CWD, format="hash")
BY_NAME = ContractSettings(first="auth", second="user", write=CWD, format="pickle")


def met(result: ContractResult) -> list[str]:
    return [f"{one.first} -> {one.second}: {one.result.value}" for one in result.tried]


@pytest.mark.docker
def test_a_cache_keyed_by_hash_is_caught_and_a_partition_is_named(a_place: APlace) -> None:
    """With a fixed seed, as some set it for such caches: 3.9 and 3.12 hash text in different ways all the same."""
    with a_place("auth", "user") as here, here.driver() as (driver, journal):
        both = here.run("3.12")
        moved = replace(both, deployments=both.deployments[:1]).with_deployment("auth", wants_twin=True)
        driver.deploy(moved)
        keeping = Contracting(here.target, journal.newest(), {"user": here.spec("user")})
        try:
            call, by_hash, by_name = keeping.results([CALL, BY_HASH, BY_NAME], ["auth"])
            assert (call.result, met(call)) == (
                Result.SUCCESSFUL,
                ["old -> new: successful", "old -> old: successful"],
            ), call
            assert (by_hash.result, met(by_hash)) == (Result.FAILED, ["new -> old: failed", "old -> old: successful"])
            assert by_hash.edge == "auth->user"
            assert by_name.result is Result.SUCCESSFUL, by_name

            with told_apart():
                here.engine.client.disconnect_container_from_network(here.old["user"], "bridge")
            cut = Contracting(here.target, journal.newest(), {"user": here.spec("user")})
            assert cut.result(CALL).result is Result.INCONCLUSIVE, "whom nobody can reach is no new version's fault"
            cut.close()
        finally:
            keeping.close()


@pytest.mark.docker
def test_without_a_twin_the_kept_image_stands_in_for_the_old_version(a_place: APlace) -> None:
    with a_place("auth", "user") as here, here.driver() as (driver, journal):
        driver.deploy(here.run("3.12"))
        keeping = Contracting(here.target, journal.newest(), {})
        try:
            by_hash, call = keeping.result(BY_HASH), keeping.result(CALL)
            assert sum(".stand-in-" in name for name in here.containers()) == 2
        finally:
            keeping.close()
        assert (by_hash.result, met(by_hash)) == (
            Result.FAILED,
            ["new -> new: successful", "old -> new: failed", "new -> old: failed", "old -> old: successful"],
        )
        assert met(call) == ["new -> new: successful", "old -> new: successful"]
        assert call.reason == "not tried: the old auth does not run (`twin = true` lets it run beside the new one)"
        assert not any(".stand-in-" in name for name in here.containers())
