"""Whose containers may be swept: a living run's never, a dead one's at once."""

import subprocess
import sys
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.process_identity import Owner, is_abandoned, started_at, this_process
from pytest_py312.runners.docker.container_specs import OWNER_LABEL
from pytest_py312.runners.docker.engine import Engine


def test_a_living_owner_keeps_its_containers() -> None:
    """However old they are; and a label is read back as it was written."""
    me = this_process()
    assert Owner.parse(str(me)) == me
    assert not is_abandoned(str(me), created=0.0, now=1e9, me=me)


def test_a_dead_owner_is_known_at_once() -> None:
    """A process that has ended, and one whose number has been given to another."""
    me = this_process()
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for pid, started in ((ended.pid, 1), (me.pid, me.started - 1)):
        label = str(Owner(boot=me.boot, namespace=me.namespace, user=me.user, pid=pid, started=started))
        assert is_abandoned(label, created=99.0, now=100.0, me=me)
    assert started_at(ended.pid) is None


def test_an_owner_that_cannot_be_seen_from_here_is_given_a_day() -> None:
    """Another machine or namespace that shares the engine, another user, or a label of another making."""
    me = this_process()
    labels = [
        f"other-boot/{me.namespace}/{me.user}/1/1",
        f"{me.boot}/pid:[1]/{me.user}/1/1",
        "rubbish",
        "",
        f"{me.boot}/{me.namespace}/x/1/1",
    ]
    for label in labels:
        assert not is_abandoned(label, created=0.0, now=3600.0, me=me)
        assert is_abandoned(label, created=0.0, now=25 * 3600.0, me=me)
    somebody = Owner(boot=me.boot, namespace=me.namespace, user=1234, pid=me.pid, started=me.started)
    assert not is_abandoned(f"{me.boot}/{me.namespace}/77/99999999/1", created=0.0, now=1.0, me=somebody)


@given(st.text())
def test_no_label_crashes_the_sweep(label: str) -> None:
    """Labels are anybody's to write."""
    me = Owner(boot="b", namespace="n", user=1, pid=1, started=1)
    assert is_abandoned(label, created=0.0, now=0.0, me=me) in (True, False)


@dataclass(kw_only=True)
class LeftBehind:
    """The SDK's client of an engine that has one container and three images of ``owner``; one image is in use."""

    owner: Owner
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


def test_an_image_that_is_in_use_keeps_no_other_from_being_swept() -> None:
    """And containers go first, since they hold their images."""
    me = this_process()
    client = LeftBehind(owner=replace(me, started=me.started - 1))
    engine = Engine(client)  # type: ignore[arg-type]  # as much of a client as a sweep needs
    assert engine.sweep(me, now=1.0) == 1
    assert client.removed == ["container", "first", "last"]


def test_what_a_living_run_has_is_not_swept() -> None:
    """Neither its containers nor its images."""
    me = this_process()
    client = LeftBehind(owner=me)
    assert Engine(client).sweep(me, now=1.0) == 0  # type: ignore[arg-type]  # as above
    assert client.removed == []
