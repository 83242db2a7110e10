"""The environment lock on an engine whose images come and go."""

from typing import Any, cast

import docker.errors
import pytest
import requests

from pytest_py312.rollout.domain.target_model import LockHolder
from pytest_py312.rollout.targets.docker.lock import MAX_IMAGE_ATTEMPTS, DockerLock
from pytest_py312.rollout.targets.target import TargetRefused
from pytest_py312.runners.docker.engine import DockerEngine


class FewImages:
    """A client of an engine that creates containers from some images only."""

    def __init__(self, there: set[str]) -> None:
        self.there = there
        self.made: list[str] = []

    def create_container_from_config(self, request: dict[str, Any], *, name: str) -> None:
        if request["Image"] not in self.there:
            answer = requests.Response()
            answer.status_code = 404
            raise docker.errors.ImageNotFound("gone", response=answer, explanation=f"No such image: {request['Image']}")
        self.made.append(request["Image"])


def lock_on(client: FewImages, *images: str) -> DockerLock:
    named = iter(images)
    return DockerLock(cast("DockerEngine", type("Stub", (), {"client": client})()), "test", lambda: next(named))


HOLDER = LockHolder(name="ops", host="here", process="1", journal="j", run="r1", stage=1, since="2026-01-01T00:00:00Z")


def test_an_image_that_is_removed_meanwhile_is_replaced_by_another() -> None:
    client = FewImages({"sha256:stays"})
    assert lock_on(client, "sha256:gone", "sha256:stays").acquire(HOLDER) is None
    assert client.made == ["sha256:stays"]


def test_without_a_usable_image_the_lock_is_refused() -> None:
    with pytest.raises(TargetRefused, match="No such image: sha256:gone"):
        lock_on(FewImages(set()), *["sha256:gone"] * MAX_IMAGE_ATTEMPTS).acquire(HOLDER)
