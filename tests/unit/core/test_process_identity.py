"""Containers are removed at once if their owner is dead, never while it lives."""

import errno
import os
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.process_identity import (
    ProcessIdentity,
    has_ended,
    is_abandoned,
    process_start_ticks,
    this_process,
)
from pytest_py312.runners.docker.container_specs import OWNER_LABEL
from pytest_py312.runners.docker.engine import DockerEngine


def test_a_living_owner_keeps_its_containers() -> None:
    """At any age; and labels survive a round trip."""
    own_identity = this_process()
    assert ProcessIdentity.parse(str(own_identity)) == own_identity
    assert not is_abandoned(str(own_identity), created=0.0, now=1e9, observer=own_identity)


def test_a_dead_owner_is_recognised_at_once() -> None:
    """A process that has ended, and one whose id was reused."""
    own_identity = this_process()
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for pid, started in ((ended.pid, 1), (own_identity.pid, own_identity.start_ticks - 1)):
        label = str(
            ProcessIdentity(
                boot_id=own_identity.boot_id,
                namespace=own_identity.namespace,
                user=own_identity.user,
                pid=pid,
                start_ticks=started,
            )
        )
        assert is_abandoned(label, created=99.0, now=100.0, observer=own_identity)
    assert process_start_ticks(ended.pid) is None


def test_an_owner_that_cannot_be_checked_is_given_a_day() -> None:
    """Another machine or namespace on the same engine, another user, or a foreign label."""
    own_identity = this_process()
    labels = [
        f"other-boot/{own_identity.namespace}/{own_identity.user}/1/1",
        f"{own_identity.boot_id}/pid:[1]/{own_identity.user}/1/1",
        "rubbish",
        "",
        f"{own_identity.boot_id}/{own_identity.namespace}/x/1/1",
    ]
    for label in labels:
        assert not is_abandoned(label, created=0.0, now=3600.0, observer=own_identity)
        assert is_abandoned(label, created=0.0, now=25 * 3600.0, observer=own_identity)
    somebody = ProcessIdentity(
        boot_id=own_identity.boot_id,
        namespace=own_identity.namespace,
        user=1234,
        pid=own_identity.pid,
        start_ticks=own_identity.start_ticks,
    )
    assert not is_abandoned(
        f"{own_identity.boot_id}/{own_identity.namespace}/77/99999999/1", created=0.0, now=1.0, observer=somebody
    )


@given(st.text())
def test_no_label_crashes_the_removal(label: str) -> None:
    """Anyone can write labels."""
    observer = ProcessIdentity(boot_id="b", namespace="n", user=1, pid=1, start_ticks=1)
    assert is_abandoned(label, created=0.0, now=0.0, observer=observer) in (True, False)


@dataclass(kw_only=True)
class LeftoverClient:
    """A Docker SDK client with one container and three images of ``owner``; one image is in use."""

    owner: ProcessIdentity
    removed: list[str] = field(default_factory=list)

    def _listed(self, *names: str) -> list[dict[str, Any]]:
        return [{"Id": name, "Labels": {OWNER_LABEL: str(self.owner)}, "Created": 0} for name in names]

    def containers(self, **_: Any) -> list[dict[str, Any]]:
        return self._listed("container")

    def images(self, **_: Any) -> list[dict[str, Any]]:
        return self._listed("first", "in use", "last")

    def remove_container(self, container: str, **_: Any) -> None:
        self.removed.append(container)

    def remove_image(self, image: str, **_: Any) -> None:
        import docker.errors

        if image == "in use":
            raise docker.errors.APIError("conflict", explanation="image is being used by running container")
        self.removed.append(image)


def test_an_image_in_use_does_not_stop_the_removal_of_others() -> None:
    """Containers are removed first, since they use their images."""
    own_identity = this_process()
    client = LeftoverClient(owner=replace(own_identity, start_ticks=own_identity.start_ticks - 1))
    engine = DockerEngine(client)  # type: ignore[arg-type]  # only the methods that the removal needs
    assert engine.sweep(own_identity, now=1.0) == 1
    assert client.removed == ["container", "first", "last"]


def test_resources_of_a_living_run_are_kept() -> None:
    """Both containers and images."""
    own_identity = this_process()
    client = LeftoverClient(owner=own_identity)
    assert DockerEngine(client).sweep(own_identity, now=1.0) == 0  # type: ignore[arg-type]  # as above
    assert client.removed == []


@pytest.mark.parametrize(
    ("error", "ended"), [(OSError(errno.EMFILE, "too many open files"), False), (FileNotFoundError(), True)]
)
def test_a_process_has_ended_only_if_that_is_certain(
    error: OSError, ended: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = process_start_ticks(os.getpid())
    assert started is not None
    assert not has_ended(os.getpid(), started)
    assert has_ended(os.getpid(), started + 1)

    def fail(path: Path, *arguments: object) -> str:
        raise error

    monkeypatch.setattr(Path, "read_text", fail)
    assert process_start_ticks(os.getpid()) is None
    assert has_ended(os.getpid(), started) is ended
