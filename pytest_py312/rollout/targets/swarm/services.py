"""Services of a swarm: reading, updating and creating them through a manager. Methods raise errors of the client."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pytest_py312.core import clock
from pytest_py312.rollout.targets.common import JsonObject
from pytest_py312.rollout.targets.docker.engine_calls import as_target_errors
from pytest_py312.rollout.targets.swarm.specs import can_start_first, template_id
from pytest_py312.rollout.targets.swarm.tasks import SwarmServiceStatus, parse_service_status
from pytest_py312.rollout.targets.target import TargetRefused, TargetUnavailable
from pytest_py312.runners.docker.engine import DockerEngine
from pytest_py312.runners.docker.errors import EngineRefused, none_if_missing, translate_errors

MAX_UPDATE_ATTEMPTS = 20
"""How often an update is retried after concurrent changes by others."""
ATTEMPT_INTERVAL = 0.1

SpecChange = Callable[[JsonObject | None], JsonObject | None]
"""Maps the current spec (``None``: no service) to the desired one (``None``: nothing to do)."""


class SwarmServices:
    """Services of the swarm behind one manager."""

    def __init__(self, engine: DockerEngine) -> None:
        self._client: Any = engine.client  # its stubs leave most calls for swarms untyped

    @property
    def api_version(self) -> tuple[int, ...]:
        """Version of the engine's API in use."""
        return tuple(int(number) for number in self._client.api_version.split("."))

    # ---- reading

    def status(self, name: str) -> SwarmServiceStatus | None:
        """Return a service with its tasks, ``None`` if it does not exist."""
        service = self._service(name)
        if service is None:
            return None
        with translate_errors():
            tasks = self._client.tasks(filters={"service": service["ID"]})
            nodes = self._client.nodes()
        return parse_service_status(service, tasks, nodes)

    def _service(self, name: str) -> JsonObject | None:
        service: JsonObject | None = none_if_missing(lambda: self._client.inspect_service(name))
        return service if service and service["Spec"]["Name"] == name else None  # the call also accepts ids

    def current_or_previous_spec(self, name: str, spec_id: str) -> dict[str, Any] | None:
        """Return the service's current spec or the one before its last change if its id is ``spec_id``."""
        service = self._service(name) or {}
        for key in ("Spec", "PreviousSpec"):
            candidate = service.get(key)
            if candidate and template_id(name, candidate["TaskTemplate"]) == spec_id:
                return dict(candidate)
        return None

    def can_start_first(self, spec: JsonObject) -> bool:
        """Return whether two versions can run at once on a node; see :func:`.specs.can_start_first`."""
        with translate_errors():
            networks = self._client.networks(filters={"driver": "host"})
        host_networks = {str(network[key]) for network in networks for key in ("Id", "Name")}
        return can_start_first(spec, frozenset({"host", *host_networks}))

    def network_id(self, name: str) -> str:
        """Return the id of a network."""
        with translate_errors():
            network = self._client.inspect_network(name)
        return str(network["Id"])

    # ---- images

    def pinned_reference(self, reference: str) -> str | None:
        """Return an immutable reference of an image, ``None`` if neither the manager nor a registry has it."""
        if "@" in reference:
            return reference
        repository = _without_tag(reference)
        digest = self._registry_digest(reference)
        if digest:
            return f"{repository}@{digest}"
        image = self._inspect_image(reference)
        repository_digests = [
            str(repository_digest)
            for repository_digest in (image or {}).get("RepoDigests") or ()
            if str(repository_digest).startswith(f"{repository}@")
        ]
        return repository_digests[0] if repository_digests else str(image["Id"]) if image else None

    def is_in_registry(self, image: str) -> bool:
        """Return whether a registry has the image, so that every node can pull it."""
        return self._registry_digest(image) is not None

    def image_has_health_check(self, image: str) -> bool:
        """Return whether an image defines a health check; assume so if it cannot be inspected."""
        image_info = self._inspect_image(image)
        if image_info is None:
            return True
        test = ((image_info.get("Config") or {}).get("Healthcheck") or {}).get("Test")
        return bool(test) and test != ["NONE"]

    def _inspect_image(self, reference: str) -> JsonObject | None:
        return none_if_missing(lambda: self._client.inspect_image(reference))

    def _registry_digest(self, reference: str) -> str | None:
        if reference.startswith("sha256:"):
            return None  # an id, not a name
        try:
            with translate_errors():
                distribution = self._client.inspect_distribution(reference)
        except EngineRefused:
            return None  # no such image, no such registry, or no permission
        return str((distribution.get("Descriptor") or {}).get("digest", "")) or None

    # ---- changes

    def update(self, name: str, change: SpecChange) -> None:
        """Update or create a service. After a concurrent change, ``change`` is called again with the new spec.

        :raises TargetRefused: every attempt met a concurrent change.
        """
        for _ in range(MAX_UPDATE_ATTEMPTS):
            service = self._service(name)
            desired = change(service["Spec"] if service else None)
            if desired is None:
                return
            try:
                with translate_errors():
                    if service is None:
                        self._create(desired)
                    else:
                        self._update(service, desired)
            except EngineRefused as refused:
                if not (is_out_of_sequence(refused) or (service is None and is_name_taken(refused))):
                    raise
                clock.pause(ATTEMPT_INTERVAL)
                continue
            return
        raise TargetRefused(f"{name} is changed by others all the time; try again")

    def _create(self, desired: JsonObject) -> None:
        self._client.create_service(desired["TaskTemplate"], **_settings(desired))

    def _update(self, service: JsonObject, desired: JsonObject) -> None:
        self._client.update_service(
            service["ID"], service["Version"]["Index"], desired["TaskTemplate"], **_settings(desired)
        )

    def remove(self, name: str) -> None:
        """Remove a service if it exists."""
        none_if_missing(lambda: self._client.remove_service(name))


def _settings(desired: JsonObject) -> dict[str, Any]:
    """Return everything of a spec but its template, as arguments of the client."""
    return {
        "name": desired["Name"],
        "labels": desired.get("Labels"),
        "mode": desired.get("Mode"),
        "update_config": desired.get("UpdateConfig"),
        "rollback_config": desired.get("RollbackConfig"),
        "endpoint_spec": desired.get("EndpointSpec"),
    }


def _without_tag(reference: str) -> str:
    head, colon, tail = reference.rpartition(":")
    return head if colon and "/" not in tail else reference


_OUT_OF_SEQUENCE = "update out of sequence"
_NO_LEADER_MESSAGES = ("does not have a leader", "deadline exceeded", "connection refused", "is being restarted")
_NAME_TAKEN_STATUS = 409


@contextmanager
def as_swarm_target_errors() -> Iterator[None]:
    """Translate errors of the engine's client into those of a target.

    :raises TargetUnavailable: no manager answers, or the swarm has no leader, as for some seconds after a start.
    :raises TargetRefused: the manager refused the call.
    """
    try:
        with as_target_errors():
            yield
    except TargetRefused as error:
        cause = error.__cause__
        if (
            isinstance(cause, EngineRefused)
            and cause.status >= 500
            and any(message in str(cause) for message in _NO_LEADER_MESSAGES)
        ):
            raise TargetUnavailable(f"the swarm is temporarily unable to answer ({cause})") from error
        if isinstance(cause, EngineRefused) and "not a swarm manager" in str(cause):
            raise TargetRefused(
                "the engine is not a swarm manager; set DOCKER_HOST, or `engine` in the plan, to one"
            ) from error
        raise


def is_out_of_sequence(refused: EngineRefused) -> bool:
    """Return whether someone else changed the object meanwhile. The API reports it as 500 and not as 409."""
    return _OUT_OF_SEQUENCE in str(refused)


def is_name_taken(refused: EngineRefused) -> bool:
    """Return whether an object of that name exists already."""
    return refused.status == _NAME_TAKEN_STATUS
