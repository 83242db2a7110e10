"""A plain Docker engine: one container a service, and the old one kept stopped beside it as the way back.

What serves is converged on by container id: whoever else has the name or runs for the service is stopped, then the
chosen one is given the name, a restart policy that survives the engine, and started. Each step looks first whether it
is done already, so any of it can be repeated from anywhere.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from pytest_py312.core import clock
from pytest_py312.core.model.findings import Interpreter
from pytest_py312.rollout.domain.model import Container, Observation, ServiceSpec, Usage
from pytest_py312.rollout.metrics.http_client import Answer, NoAnswer, NotAsked, ask, url_of
from pytest_py312.rollout.targets.docker import inspection
from pytest_py312.rollout.targets.docker.addressing import Reach
from pytest_py312.rollout.targets.docker.container_config import (
    cpu_of,
    memory_of,
    request_like,
    request_of,
    stands_beside,
)
from pytest_py312.rollout.targets.docker.contract_exec import met
from pytest_py312.rollout.targets.docker.control_container import remove_twins, start_stand_in, start_twin
from pytest_py312.rollout.targets.docker.engine_calls import (
    in_words,
    inspected,
    labelled,
    log_of,
    moment_in,
    ran_out_before,
    remove,
)
from pytest_py312.rollout.targets.docker.health import executed, unwell
from pytest_py312.rollout.targets.docker.lock import DockerLock
from pytest_py312.rollout.targets.interpreter_detection import (
    ANSWER_LIMIT,
    ASK_ALL,
    ASK_FIRST,
    interpreters_in,
    is_python,
    with_own_word,
)
from pytest_py312.rollout.targets.labels import RUN_LABEL, SERVICE_LABEL, Said
from pytest_py312.rollout.targets.target import (
    EngineFacts,
    ImageFacts,
    Lock,
    Phase,
    Readiness,
    TargetError,
    TargetRefused,
)
from pytest_py312.runners.docker.container_specs import OWNER_LABEL
from pytest_py312.runners.docker.engine import Engine
from pytest_py312.runners.docker.errors import Refused, told_apart

ASK_LIMIT = 5.0
"""Seconds for one question over HTTP, all of its answer included."""
YOUNG = 60.0
"""Seconds after its start within which a restart that the engine counted is told of the new container."""
LOG_LINES = 2000

_ALWAYS: Any = {"Name": "always"}
_WHILE_WANTED: Any = {"Name": "unless-stopped"}


class DockerTarget:
    """See :class:`~pytest_py312.rollout.targets.target.Target`."""

    name = "docker"

    def __init__(self, engine: Engine, *, address: str = "") -> None:
        """:param address: of the engine; empty is the usual one."""
        self._engine = engine
        self._reach = Reach(engine, address)

    def identity(self) -> str:
        return inspection.identity(self._engine)

    def image_id(self, reference: str) -> str:
        with in_words():
            found = self._engine.image_id(reference)
        if found is None:
            raise TargetRefused(f"the engine has no image {reference}; build or pull it first")
        return found

    def engine_facts(self) -> EngineFacts:
        return inspection.engine_facts(self._engine)

    def image_facts(self, reference: str) -> ImageFacts | None:
        return inspection.image_facts(self._engine, reference)

    def keeps(self, spec: ServiceSpec, container: Container) -> bool:
        return inspection.has_container(self._engine, container.id)

    # ---- looking

    def observe(self, spec: ServiceSpec) -> Observation | None:
        with in_words():
            said = inspected(self._engine, spec.container)
            if said is None:
                return None
            state = said["State"]
            running = bool(state.get("Running")) and not state.get("Restarting")
            return Observation(
                container=_container(said),
                running=running,
                interpreters=self._interpreters(said, spec) if running else (),
                started_at=str(state.get("StartedAt", "")),
                restarts=int(said.get("RestartCount", 0)),
                exit_code=None if running else int(state.get("ExitCode", -1)),
                out_of_memory=bool(state.get("OOMKilled")),
                health=str((state.get("Health") or {}).get("Status", "")),
            )

    def _interpreters(self, said: Said, spec: ServiceSpec) -> tuple[Interpreter, ...]:
        """Those of all its processes; where there is no shell, of the first one; and what it says itself over HTTP."""
        container = str(said["Id"])
        found = self._versions(container, ["sh", "-c", ASK_ALL])
        if not found and is_python(str(said.get("Path", ""))):
            found = self._versions(container, list(ASK_FIRST))
        if spec.version and spec.port:
            answer = self._asked(said, spec, spec.version)
            found = with_own_word(found, answer.body if isinstance(answer, Answer) else b"")
        return tuple(sorted(found))

    def _versions(self, container: str, argv: list[str]) -> set[Interpreter]:
        printed = bytearray()
        try:
            self._engine.execute(container, argv, lambda kind, part: printed.extend(part[:ANSWER_LIMIT]))
        except Refused:
            return set()  # it has no such program, or has just ended; not knowing is told by whoever asks
        return interpreters_in(bytes(printed))

    def _asked(self, said: Said, spec: ServiceSpec, path: str) -> Answer | str:
        """The answer, or why there is none."""
        try:
            return asyncio.run(ask(url_of(*self._reach.of(said, spec), path), limit=ASK_LIMIT))
        except (NoAnswer, NotAsked, TargetError) as error:
            return str(error)
        except ImportError as error:
            raise TargetRefused(f"asking over HTTP needs pytest-py312[rollout] ({error})") from error

    def address(self, spec: ServiceSpec, container: Container) -> tuple[str, int]:
        """See :class:`~pytest_py312.rollout.monitoring.probe_plan.Reachable`.

        :raises TargetUnreachable: it may be well, and cannot be asked from here.
        """
        with in_words():
            said = inspected(self._engine, container.id)
            if said is None:
                raise TargetRefused("its container is gone")
            return self._reach.of(said, spec)

    def ready(self, spec: ServiceSpec, container: Container) -> Readiness:
        with in_words():
            said = inspected(self._engine, container.id)
            if said is None:
                return Readiness(phase=Phase.BROKEN, detail="its container is gone")
            state = said["State"]
            trouble = _trouble(said)
            if trouble:
                words = " / ".join(log_of(self._engine, container.id, tail=3))
                return Readiness(phase=Phase.BROKEN, detail=f"{trouble}; its last words: {words or 'none'}")
            health = str((state.get("Health") or {}).get("Status", "none"))
            if health == "unhealthy":
                log = (state["Health"].get("Log") or [{}])[-1]
                return Readiness(phase=Phase.BROKEN, detail=f"unhealthy: {str(log.get('Output', '')).strip()[:300]}")
            if health == "starting":
                return Readiness(phase=Phase.STARTING, detail="its health check has not succeeded yet")
            if spec.health and spec.port:
                answer = self._asked(said, spec, spec.health)
                if isinstance(answer, str) or not 200 <= answer.status < 400:
                    told = answer if isinstance(answer, str) else f"{spec.health} answers {answer.status}"
                    return Readiness(phase=Phase.STARTING, detail=told)
                return Readiness(phase=Phase.READY)
            trouble = unwell(self._engine, said, spec, self._reach, limit=ASK_LIMIT)
            if trouble:
                return Readiness(phase=Phase.STARTING, detail=trouble)
            asked = bool(health == "healthy" or spec.health_command or (spec.grpc is not None and spec.port))
            return Readiness(phase=Phase.READY, asked=asked)

    def execute(self, container: Container, argv: Sequence[str], *, limit: float) -> tuple[int, str]:
        """See :class:`~pytest_py312.rollout.monitoring.health_probes.Executing`."""
        with in_words():
            return executed(self._engine, container, argv, limit=limit)

    def sample(self, spec: ServiceSpec, container: Container, *, since: float) -> Usage:
        with in_words():
            said = inspected(self._engine, container.id)
            if said is None:
                raise TargetRefused(f"container {container.id[:12]} is gone")
            with told_apart():
                statistics: Any = self._engine.client.stats(container.id, stream=False, one_shot=True)
            log = log_of(self._engine, container.id, tail=LOG_LINES, since=since or None)
            return Usage(
                cpu_seconds=cpu_of(statistics),
                memory=memory_of(statistics),
                restarts=int(said.get("RestartCount", 0)),
                out_of_memory=bool(said["State"].get("OOMKilled")) or ran_out_before(self._engine, said, since=since),
                started_at=str(said["State"].get("StartedAt", "")),
                log=tuple(log),
                log_lost=len(log) >= LOG_LINES,
            )

    # ---- acting

    def break_down(self, container: Container) -> None:
        """Stop it, as if it had died, for a drill. The engine does not start again what somebody has stopped."""
        with in_words(), told_apart():
            self._engine.client.stop(container.id, timeout=1)

    def prepare(self, spec: ServiceSpec, *, image: str, run: str) -> Container:
        with in_words():
            serving = inspected(self._engine, spec.container)
            self._remove_made(spec, run, keep=str(serving["Id"]) if serving else "")
            remove_twins(self._engine, spec)
            self._forget(spec)
            return self._made(spec, serving, image=image, run=run)

    def _made(self, spec: ServiceSpec, like: Said | None, *, image: str, run: str) -> Container:
        if like is None:
            request = request_of(spec, image=image, run=run)
        else:
            if like["HostConfig"].get("AutoRemove"):
                raise TargetRefused(
                    f"{spec.container} was started with --rm: stopped, it would be gone, and with it the way back; "
                    "start it without"
                )
            with told_apart():
                image_of_it: Any = self._engine.client.inspect_image(like["Image"])  # type: ignore[no-untyped-call]  # so in its stubs
            request = request_like(like, image_of_it, spec=spec, image=image, run=run)
        with told_apart():
            made: Any = self._engine.client.create_container_from_config(  # type: ignore[no-untyped-call]  # so in its stubs
                request, name=f"{spec.container}.next-{run}"
            )
        return Container(id=str(made["Id"]), image=image)

    def switch(self, spec: ServiceSpec, container: Container) -> None:
        with in_words():
            if inspected(self._engine, container.id) is None:
                raise TargetRefused(f"container {container.id[:12]} is gone")
            for other in self._others(spec, container.id):
                self._retire(spec, other)
            said = inspected(self._engine, container.id)
            if said is None:
                raise TargetRefused(f"container {container.id[:12]} was removed meanwhile")
            with told_apart():
                if _name(said) != spec.container:
                    self._engine.client.rename(container.id, spec.container)
                if _policy(said) == _WHILE_WANTED["Name"]:
                    # it stays down when the engine is killed and comes back; `always` does not
                    self._engine.client.update_container(container.id, restart_policy=_ALWAYS)
                self._engine.client.start(container.id)

    def _others(self, spec: ServiceSpec, chosen: str) -> list[Said]:
        """Whoever else has the name, or runs for the service. A twin does neither."""
        ours = labelled(self._engine, spec, f"{SERVICE_LABEL}={spec.service}")
        ids = {str(one["Id"]) for one in ours if not stands_beside(one)}
        named = inspected(self._engine, spec.container)
        ids |= {str(named["Id"])} if named else set()
        found = [said for one in sorted(ids - {chosen}) if (said := inspected(self._engine, one)) is not None]
        return [said for said in found if said["State"].get("Running") or _name(said) == spec.container]

    def _retire(self, spec: ServiceSpec, said: Said) -> None:
        """Stop one and keep it. `always` goes first, or the engine would start it again whenever it starts itself."""
        container = str(said["Id"])
        with told_apart():
            if said["HostConfig"].get("AutoRemove"):
                raise Refused(f"{_name(said)} was started with --rm and would be gone", 409)
            if _policy(said) == _ALWAYS["Name"]:
                self._engine.client.update_container(container, restart_policy=_WHILE_WANTED)
            self._engine.client.stop(container, timeout=max(1, round(spec.drain)))
            if _name(said) == spec.container:
                self._engine.client.rename(container, f"{spec.container}.{container[:8]}")

    def restore(self, spec: ServiceSpec, old: Container | None, *, run: str) -> str:
        with in_words():
            way_back = self._way_back(spec, old, run) if old is not None else None
            if way_back is not None:
                self.switch(spec, way_back)
            return "\n".join(self._remove_made(spec, run, keep=way_back.id if way_back else ""))

    def _way_back(self, spec: ServiceSpec, old: Container, run: str) -> Container:
        """The old container, or one made anew of its image where somebody has removed it."""
        if inspected(self._engine, old.id) is not None:
            return old
        again = f"{run}.old"
        for one in self._made_by(spec, again):  # of an attempt that did not come to its end
            if one["ImageID"] == old.image:
                return Container(id=str(one["Id"]), image=old.image)
        if self._engine.image_id(old.image) is None:
            raise TargetRefused(f"the old container {old.id[:12]} is gone, and so is its image {old.image[:19]}")
        # set up like the one that was made after it, wherever that has come to
        made = [one for one in self._made_by(spec, run) if not stands_beside(one)]
        like = inspected(self._engine, spec.container) or (
            inspected(self._engine, str(made[0]["Id"])) if made else None
        )
        if like is None:
            raise TargetRefused(
                f"the old container {old.id[:12]} is gone, and nothing is left to tell how it was set up"
            )
        return self._made(spec, like, image=old.image, run=again)

    def _made_by(self, spec: ServiceSpec, run: str) -> list[Any]:
        """The containers that a run has made for a service, as the engine lists them."""
        return labelled(self._engine, spec, f"{SERVICE_LABEL}={spec.service}", f"{RUN_LABEL}={run}")

    def _remove_made(self, spec: ServiceSpec, run: str, *, keep: str) -> list[str]:
        """Remove what a run has made for a service, and return what it had logged last."""
        found = self._made_by(spec, run)
        logged: list[str] = []
        for one in found:
            if one["Id"] == keep:
                continue
            if not stands_beside(one):
                logged += log_of(self._engine, one["Id"], tail=40)
            remove(self._engine, str(one["Id"]))
        return logged

    def _forget(self, spec: ServiceSpec) -> None:
        """Remove what earlier runs have made and nobody will go back to: the one that serves joins those that are
        kept. What somebody else has made is never removed."""
        kept = [
            one
            for one in labelled(self._engine, spec, f"{SERVICE_LABEL}={spec.service}")
            if one.get("State") == "exited" and not stands_beside(one)
        ]
        kept.sort(key=lambda one: int(one["Created"]), reverse=True)
        for one in kept[max(0, spec.retain - 1) :]:
            remove(self._engine, str(one["Id"]))

    def twin(self, spec: ServiceSpec, old: Container, *, run: str) -> Container:
        with in_words():
            return start_twin(self._engine, spec, old, run=run)

    def remove_twin(self, spec: ServiceSpec, *, run: str) -> None:
        with in_words():
            remove_twins(self._engine, spec, run=run)

    # ---- for one another, see :class:`~pytest_py312.rollout.targets.target.Meeting`

    def stand_in(self, spec: ServiceSpec, old: Container, *, run: str) -> Container:
        with in_words():
            return start_stand_in(self._engine, spec, old, run=run)

    def dismiss(self, container: Container) -> None:
        with in_words():
            remove(self._engine, container.id)

    def met(self, spec: ServiceSpec, callee: Container, caller: Container) -> tuple[str, int]:
        with in_words():
            return met(self._engine, spec, callee, caller)

    def lock(self, environment: str) -> Lock:
        return DockerLock(self._engine, environment, self._any_image)

    def _any_image(self) -> str:
        """An image for a lock: the oldest, which is the least likely to be removed meanwhile. Not one of a run of the
        checks: a container has the labels of its image, and what carries theirs is swept away when they have ended."""
        with told_apart():
            images: Any = self._engine.client.images()
        for image in sorted(images, key=lambda image: int(image.get("Created") or 0)):
            if OWNER_LABEL not in (image.get("Labels") or {}):
                return str(image["Id"])
        raise TargetRefused("the engine has no image at all, so nothing can be deployed")


def _container(said: Said) -> Container:
    return Container(id=str(said["Id"]), image=str(said["Image"]))


def _name(said: Said) -> str:
    return str(said["Name"]).removeprefix("/")


def _policy(said: Said) -> str:
    return str((said["HostConfig"].get("RestartPolicy") or {}).get("Name", ""))


def _label(said: Said, label: str) -> str:
    return str((said["Config"].get("Labels") or {}).get(label, ""))


def _trouble(said: Said) -> str:
    """Why a container will not serve, ``""`` where it may."""
    state = said["State"]
    if state.get("OOMKilled"):
        return "killed for want of memory"
    if state.get("Restarting") or not state.get("Running"):
        return f"it has ended with exit code {state.get('ExitCode')}"
    if int(said.get("RestartCount", 0)) and age_of(str(state.get("StartedAt", ""))) < YOUNG:
        return f"it was started again {said['RestartCount']} times"
    return ""


def age_of(started_at: str) -> float:
    """Seconds since a moment as the engine writes it; infinite where that is not to be read."""
    moment = moment_in(started_at)
    return float("inf") if moment is None else clock.timestamp() - moment
