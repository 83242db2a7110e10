"""Services of a swarm as a manager is asked for them. All methods raise as the engine's client does."""

from collections.abc import Callable
from typing import Any

from pytest_py312.core import clock
from pytest_py312.rollout.targets.labels import Said
from pytest_py312.rollout.targets.swarm.errors import is_out_of_sequence, is_taken
from pytest_py312.rollout.targets.swarm.specs import id_of, starts_first
from pytest_py312.rollout.targets.swarm.tasks import Standing, standing_of
from pytest_py312.rollout.targets.target import TargetRefused
from pytest_py312.runners.docker.engine import Engine
from pytest_py312.runners.docker.errors import Refused, if_known, told_apart

ATTEMPTS = 20
"""How often a change is tried that others are quicker with."""
BETWEEN_ATTEMPTS = 0.1

Change = Callable[[Said | None], Said | None]
"""The spec that a service has (``None``: there is none) -> the one it is to have (``None``: nothing is to be done)."""


class Services:
    """The services behind one manager."""

    def __init__(self, engine: Engine) -> None:
        self._client: Any = engine.client  # whose stubs leave half of what a swarm needs untyped

    @property
    def api(self) -> tuple[int, ...]:
        """The version of the API that is spoken."""
        return tuple(int(number) for number in self._client.api_version.split("."))

    # ---- looking

    def standing(self, name: str) -> Standing | None:
        """A service and its tasks; ``None`` where there is no service of that name."""
        service = self._service(name)
        if service is None:
            return None
        with told_apart():
            tasks = self._client.tasks(filters={"service": service["ID"]})
            nodes = self._client.nodes()
        return standing_of(service, tasks, nodes)

    def _service(self, name: str) -> Said | None:
        found: Said | None = if_known(lambda: self._client.inspect_service(name))
        return found if found and found["Spec"]["Name"] == name else None  # an id is found as well

    def remembered(self, name: str, spec: str) -> dict[str, Any] | None:
        """The spec of that id, if the service has it, or had it before the last change."""
        service = self._service(name) or {}
        for key in ("Spec", "PreviousSpec"):
            found = service.get(key)
            if found and id_of(name, found["TaskTemplate"]) == spec:
                return dict(found)
        return None

    def starts_first(self, spec: Said) -> bool:
        """See :func:`.specs.starts_first`."""
        with told_apart():
            networks = self._client.networks(filters={"driver": "host"})
        host = {str(network[key]) for network in networks for key in ("Id", "Name")}
        return starts_first(spec, frozenset({"host", *host}))

    def network(self, name: str) -> str:
        """The id of a network."""
        with told_apart():
            found = self._client.inspect_network(name)
        return str(found["Id"])

    # ---- images

    def pinned(self, reference: str) -> str | None:
        """What names an image for ever; ``None`` where neither the manager nor a registry has it."""
        if "@" in reference:
            return reference
        repository = _repository(reference)
        digest = self._digest(reference)
        if digest:
            return f"{repository}@{digest}"
        said = self._image(reference)
        known = [str(one) for one in (said or {}).get("RepoDigests") or () if str(one).startswith(f"{repository}@")]
        return known[0] if known else str(said["Id"]) if said else None

    def is_in_registry(self, image: str) -> bool:
        """Whether each node can fetch it."""
        return self._digest(image) is not None

    def is_checked(self, image: str) -> bool:
        """Whether an image checks its health itself. One that cannot be looked at may."""
        said = self._image(image)
        if said is None:
            return True
        test = ((said.get("Config") or {}).get("Healthcheck") or {}).get("Test")
        return bool(test) and test != ["NONE"]

    def _image(self, reference: str) -> Said | None:
        return if_known(lambda: self._client.inspect_image(reference))

    def _digest(self, reference: str) -> str | None:
        if reference.startswith("sha256:"):
            return None  # an id, and no name
        try:
            with told_apart():
                found = self._client.inspect_distribution(reference)
        except Refused:
            return None  # there is no such image, no such registry, or no right to look
        return str((found.get("Descriptor") or {}).get("digest", "")) or None

    # ---- acting

    def change(self, name: str, change: Change) -> None:
        """Change a service, or make it. Where somebody else changes it at the same time, what they made is looked at
        again.

        :raises TargetRefused: others change it all the time.
        """
        for _ in range(ATTEMPTS):
            service = self._service(name)
            wanted = change(service["Spec"] if service else None)
            if wanted is None:
                return
            try:
                with told_apart():
                    if service is None:
                        self._create(wanted)
                    else:
                        self._update(service, wanted)
            except Refused as refused:
                if not (is_out_of_sequence(refused) or (service is None and is_taken(refused))):
                    raise
                clock.pause(BETWEEN_ATTEMPTS)
                continue
            return
        raise TargetRefused(f"{name} is changed by others all the time; try again")

    def _create(self, wanted: Said) -> None:
        self._client.create_service(
            wanted["TaskTemplate"],
            name=wanted["Name"],
            labels=wanted.get("Labels"),
            mode=wanted.get("Mode"),
            update_config=wanted.get("UpdateConfig"),
            rollback_config=wanted.get("RollbackConfig"),
            endpoint_spec=wanted.get("EndpointSpec"),
        )

    def _update(self, service: Said, wanted: Said) -> None:
        self._client.update_service(
            service["ID"],
            service["Version"]["Index"],
            wanted["TaskTemplate"],
            name=wanted["Name"],
            labels=wanted.get("Labels"),
            mode=wanted.get("Mode"),
            update_config=wanted.get("UpdateConfig"),
            rollback_config=wanted.get("RollbackConfig"),
            endpoint_spec=wanted.get("EndpointSpec"),
        )

    def remove(self, name: str) -> None:
        """Remove a service; one that is gone already is fine."""
        if_known(lambda: self._client.remove_service(name))


def _repository(reference: str) -> str:
    """A reference without its tag."""
    head, colon, tail = reference.rpartition(":")
    return head if colon and "/" not in tail else reference
