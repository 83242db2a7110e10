"""Optional abilities of targets are found by the names of their methods, which no type checker compares."""

import inspect

import pytest

from pytest_py312.rollout.targets import target
from pytest_py312.rollout.targets.docker.target import DockerTarget
from pytest_py312.rollout.targets.kubernetes.target import KubernetesTarget
from pytest_py312.rollout.targets.swarm.target import SwarmTarget

ABILITIES = {name: ability for name, ability in vars(target).items() if name.startswith("Supports")}
EXPECTED = {
    "SupportsAddress": {DockerTarget},
    "SupportsContracts": {DockerTarget},
    "SupportsControl": {DockerTarget},
    "SupportsDrill": {DockerTarget, KubernetesTarget, SwarmTarget},
    "SupportsExec": {DockerTarget},
    "SupportsInspection": {DockerTarget, SwarmTarget},
    "SupportsInventory": {DockerTarget, KubernetesTarget, SwarmTarget},
    "SupportsUsageCheck": {KubernetesTarget},
}


def test_every_ability_is_expected_of_some_target() -> None:
    assert set(ABILITIES) == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_targets_have_the_methods_of_their_abilities(name: str) -> None:
    methods = {method for method, _ in inspect.getmembers(ABILITIES[name], inspect.isfunction) if method[0] != "_"}
    having = {kind for kind in (DockerTarget, SwarmTarget, KubernetesTarget) if methods <= set(dir(kind))}
    assert methods
    assert having == EXPECTED[name]
