"""Contracts between services on a real engine, one migrated and one not."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace

import pytest

from pytest_py312.repository.plan.rollout_settings import ContractAction, ContractSettings
from pytest_py312.rollout.domain.contracts import ContractResult
from pytest_py312.rollout.domain.measurements import Result
from pytest_py312.rollout.execution.contract_runner import ContractRunner
from pytest_py312.runners.docker.errors import translate_errors
from tests.integration.rollouts.docker_environments import DockerEnvironment

MakeEnvironment = Callable[..., AbstractContextManager[DockerEnvironment]]
CWD = ContractAction(function="os:getcwd")
CALL = ContractSettings(first="user", second="auth", path="/version")
BY_HASH = ContractSettings(first="auth", second="user", write=CWD, read=CWD, format="hash")
BY_NAME = ContractSettings(first="auth", second="user", write=CWD, format="pickle")


def attempts(result: ContractResult) -> list[str]:
    return [f"{attempt.first} -> {attempt.second}: {attempt.result.value}" for attempt in result.tried]


@pytest.mark.docker
def test_a_cache_keyed_by_hash_fails_and_a_partition_is_inconclusive(make_environment: MakeEnvironment) -> None:
    """With a fixed hash seed, as some set for such caches: 3.9 and 3.12 hash text differently all the same."""
    with make_environment("auth", "user") as environment, environment.driver() as (driver, journal):
        both = environment.run("3.12")
        moved = replace(both, deployments=both.deployments[:1]).with_deployment("auth", wants_control=True)
        driver.deploy(moved)
        runner = ContractRunner(environment.target, journal.current_runs(), {"user": environment.spec("user")})
        try:
            call, by_hash, by_name = runner.run_contracts([CALL, BY_HASH, BY_NAME], ["auth"])
            assert (call.result, attempts(call)) == (
                Result.SUCCESSFUL,
                ["old -> new: successful", "old -> old: successful"],
            ), call
            assert (by_hash.result, attempts(by_hash)) == (
                Result.FAILED,
                ["new -> old: failed", "old -> old: successful"],
            )
            assert by_hash.edge == "auth->user"
            assert by_name.result is Result.SUCCESSFUL, by_name

            with translate_errors():
                environment.engine.client.disconnect_container_from_network(environment.old["user"], "bridge")
            partitioned = ContractRunner(environment.target, journal.current_runs(), {"user": environment.spec("user")})
            assert partitioned.run_contract(CALL).result is Result.INCONCLUSIVE, (
                "an unreachable service is no fault of the new version"
            )
            partitioned.close()
        finally:
            runner.close()


@pytest.mark.docker
def test_without_a_control_the_kept_image_replaces_the_old_version(make_environment: MakeEnvironment) -> None:
    with make_environment("auth", "user") as environment, environment.driver() as (driver, journal):
        driver.deploy(environment.run("3.12"))
        runner = ContractRunner(environment.target, journal.current_runs(), {})
        try:
            by_hash, call = runner.run_contract(BY_HASH), runner.run_contract(CALL)
            assert sum(".stand-in-" in name for name in environment.containers()) == 2
        finally:
            runner.close()
        assert (by_hash.result, attempts(by_hash)) == (
            Result.FAILED,
            ["new -> new: successful", "old -> new: failed", "new -> old: failed", "old -> old: successful"],
        )
        assert attempts(call) == ["new -> new: successful", "old -> new: successful"]
        assert call.reason == "not tried: the old auth is not running (`control = true` runs it beside the new one)"
        assert not any(".stand-in-" in name for name in environment.containers())
