"""A swarm: one service each, whose tasks the engine replaces, and which goes back to the spec that served before.

What the protocol calls a container is here the template that a service's tasks are made of, named by its digest (see
:mod:`.specs`). What serves is what the running tasks were made of, whatever the service says that it is to be:
the engine may be on its way, may have stopped on it, or may have gone back by itself. Its own rollback watches for
the first minute; it forgets that when it is restarted, and so nothing here relies on it.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from pytest_py312.core import clock
from pytest_py312.core.model.findings import Interpreter
from pytest_py312.rollout.domain.model import Container, Observation, ServiceSpec, Usage
from pytest_py312.rollout.metrics.http_client import Answer
from pytest_py312.rollout.targets.docker import inspection
from pytest_py312.rollout.targets.docker.engine_calls import log_of
from pytest_py312.rollout.targets.docker.target import LOG_LINES, YOUNG, age_of
from pytest_py312.rollout.targets.interpreter_detection import with_own_word
from pytest_py312.rollout.targets.swarm.errors import in_swarm_words
from pytest_py312.rollout.targets.swarm.lock import SwarmLock
from pytest_py312.rollout.targets.swarm.nodes import Nodes
from pytest_py312.rollout.targets.swarm.services import Services
from pytest_py312.rollout.targets.swarm.spec_store import Shelf, kept
from pytest_py312.rollout.targets.swarm.specs import (
    first_spec,
    going_back,
    id_of,
    image_in,
    run_in,
    updated,
    wanted_in,
    with_ours,
)
from pytest_py312.rollout.targets.swarm.tasks import Standing, Task
from pytest_py312.rollout.targets.target import EngineFacts, ImageFacts, Lock, Phase, Readiness, TargetRefused
from pytest_py312.runners.docker.engine import Engine
from pytest_py312.runners.docker.errors import EngineLost, Refused

POLL = 0.25


class SwarmTarget:
    """See :class:`~pytest_py312.rollout.targets.target.Target`. ``engine`` is a manager.

    :param engines: node, by name or id -> address of its engine.
    :param connect: makes an engine of an address; raises as ``runners.docker.engine.connect`` does.
    """

    name = "swarm"

    def __init__(self, engine: Engine, *, engines: Mapping[str, str], connect: Callable[[str], Engine]) -> None:
        self._engine = engine
        self._services = Services(engine)
        self._nodes = Nodes(engine, engines, connect)

    def identity(self) -> str:
        return inspection.swarm_identity(self._engine)

    @in_swarm_words()
    def image_id(self, reference: str) -> str:
        """By its digest in the registry, so that each node finds the same one; else by its id, which each node has to
        have already."""
        found = self._services.pinned(reference)
        if found is None:
            raise TargetRefused(f"neither the manager nor a registry has the image {reference}; build or push it first")
        return found

    def engine_facts(self) -> EngineFacts:
        """See :class:`~pytest_py312.rollout.targets.target.Inspectable`; so are the others. The engine is the
        manager.
        """
        return inspection.engine_facts(self._engine)

    @in_swarm_words()
    def image_facts(self, reference: str) -> ImageFacts | None:
        """What the manager has, or a registry."""
        found = inspection.image_facts(self._engine, reference)
        if found is not None:
            return found
        pinned = self._services.pinned(reference)
        return ImageFacts(id=pinned) if pinned else None

    @in_swarm_words()
    def keeps(self, spec: ServiceSpec, container: Container) -> bool:
        """Whether a spec is kept, and its image is where it can serve again."""
        document = kept(self._engine, container.id)
        image = image_in(document["TaskTemplate"]) if document else ""
        return bool(image) and self.image_facts(image) is not None

    # ---- looking

    @in_swarm_words()
    def observe(self, spec: ServiceSpec) -> Observation | None:
        standing = self._services.standing(spec.container)
        if standing is None:
            return None
        serving, image = standing.serving
        up = standing.up
        ended = standing.ended(serving)
        return Observation(
            container=Container(id=serving, image=image),
            running=standing.is_whole(serving),
            interpreters=self._interpreters(spec, up),
            started_at=max((task.created for task in up), default=""),
            restarts=len(ended),
            exit_code=ended[0].exit_code if ended else None,
            out_of_memory=any(self._ran_out(spec, task) for task in ended[:1]),
            undone=standing.undone,
        )

    def _interpreters(self, spec: ServiceSpec, up: tuple[Task, ...]) -> tuple[Interpreter, ...]:
        """Those of all tasks. One that tells nothing makes all of it unknown: part of the truth is not it."""
        found: set[Interpreter] = set()
        for task in up:
            told = self._told_by(spec, task)
            if not told:
                return ()
            found |= told
        return tuple(sorted(found))

    def _told_by(self, spec: ServiceSpec, task: Task) -> set[Interpreter]:
        target = self._nodes.target(task)
        answer = self._nodes.asked(task, spec.port, spec.version) if spec.port and spec.version else None
        if target is None and answer is None:
            raise TargetRefused(self._nobody(task) + ", or publish its port on its node and name its `version` path")
        seen = target.observe(_inside(spec, task)) if target is not None else None
        found = set(seen.interpreters) if seen is not None else set()
        return with_own_word(found, answer.body) if isinstance(answer, Answer) else found

    def _nobody(self, task: Task) -> str:
        name = self._nodes.node(task.node).name
        return (
            f"nobody can be asked about its task on the node {name}: name the engine of that node in the plan, "
            f'engines = {{ "{name}" = "tcp://..." }} of the environment'
        )

    def _ran_out(self, spec: ServiceSpec, task: Task) -> bool:
        target = self._nodes.target(task)
        seen = target.observe(_inside(spec, task)) if target is not None else None
        return seen is not None and seen.out_of_memory

    @in_swarm_words()
    def ready(self, spec: ServiceSpec, container: Container) -> Readiness:
        standing = self._services.standing(spec.container)
        if standing is None:
            return Readiness(phase=Phase.BROKEN, detail="its service is gone")
        ended = [task for task in standing.ended(container.id) if age_of(task.changed) < YOUNG]
        is_asked_for = standing.spec_id == container.id
        if standing.is_whole(container.id) and (is_asked_for or not standing.undone):
            return self._healthy(spec, standing)  # also where the service was changed in what no task is replaced for
        if not is_asked_for or standing.is_paused:
            told = standing.undone or "something else was deployed in its place"
            return Readiness(phase=Phase.BROKEN, detail=f"{told}{self._last_words(spec, ended)}")
        up = {task.place for task in standing.up}
        if any(task.place not in up for task in ended):
            told = f"a task has ended with exit code {ended[0].exit_code}"
            return Readiness(phase=Phase.BROKEN, detail=f"{told}{self._last_words(spec, ended)}")
        return Readiness(phase=Phase.STARTING, detail=standing.lack(container.id))

    def _healthy(self, spec: ServiceSpec, standing: Standing) -> Readiness:
        """What each task says of itself. The engine calls one running whose health check has succeeded once."""
        asked = []
        for task in standing.up:
            found = self._health_of(spec, task)
            if found.phase is not Phase.READY:
                return found
            asked.append(found.asked)
        checked = bool((standing.spec["TaskTemplate"]["ContainerSpec"].get("Healthcheck") or {}).get("Test"))
        return Readiness(phase=Phase.READY, asked=checked or all(asked))

    def _health_of(self, spec: ServiceSpec, task: Task) -> Readiness:
        answer = self._nodes.asked(task, spec.port, spec.health) if spec.health and spec.port else None
        if isinstance(answer, str) or (answer is not None and not 200 <= answer.status < 400):
            told = answer if isinstance(answer, str) else f"{spec.health} answers {answer.status}"
            return Readiness(phase=Phase.STARTING, detail=told)
        target = self._nodes.target(task)
        if target is None:
            return Readiness(phase=Phase.READY, asked=answer is not None)
        found = target.ready(_inside(spec, task), Container(id=task.container, image=task.image))
        if found.phase is Phase.BROKEN:
            seen = target.observe(_inside(spec, task))
            if seen is None or not seen.running:
                # a manager that was just started again takes it for running; when it looks, the task has ended
                return Readiness(phase=Phase.STARTING, detail=found.detail)
        return replace(found, asked=found.asked or answer is not None)

    def _last_words(self, spec: ServiceSpec, ended: list[Task]) -> str:
        """Of the newest of the tasks that have ended, with what was said of it."""
        for task in ended[:1]:
            words = " / ".join(self._log(spec, task, since=0.0)[-3:])
            return f"; {task.error or task.state}; its last words: {words or 'none'}"
        return ""

    def _log(self, spec: ServiceSpec, task: Task, *, since: float) -> list[str]:
        """What a task has logged. That its node cannot be asked keeps nobody from going back."""
        with suppress(EngineLost, Refused, TargetRefused):
            engine = self._nodes.engine(task.node)
            if engine is not None and task.container:
                return log_of(engine, task.container, tail=LOG_LINES, since=since or None)
        return []

    @in_swarm_words()
    def sample(self, spec: ServiceSpec, container: Container, *, since: float) -> Usage:
        standing = self._services.standing(spec.container)
        if standing is None:
            raise TargetRefused("its service is gone")
        ended = standing.ended(container.id)
        up = [task for task in standing.up if task.spec == container.id]
        usages, unmeasured = [], ""
        for task in up:
            target = self._nodes.target(task)
            if target is None:
                unmeasured = self._nobody(task)
                continue
            usages.append(target.sample(spec, Container(id=task.container, image=task.image), since=since))
        log = [line for usage in usages for line in usage.log]
        gone = [task for task in ended if age_of(task.changed) <= clock.timestamp() - since] if since else []
        for task in gone:
            log += self._log(spec, task, since=since)
        return Usage(
            cpu_seconds=None if unmeasured else sum(usage.cpu_seconds or 0.0 for usage in usages),
            memory=None if unmeasured else sum(usage.memory or 0 for usage in usages),
            unmeasured=unmeasured,
            restarts=len(ended),
            out_of_memory=any(usage.out_of_memory for usage in usages)
            or any(self._ran_out(spec, task) for task in gone),
            started_at=max((task.created for task in up), default=""),
            log=tuple(log),
            log_lost=bool(unmeasured) or any(usage.log_lost for usage in usages),
        )

    # ---- acting

    @in_swarm_words()
    def prepare(self, spec: ServiceSpec, *, image: str, run: str) -> Container:
        standing = self._services.standing(spec.container)
        shelf = Shelf(self._engine, spec)
        api = self._services.api
        if standing is None:
            network = self._services.network(spec.network) if spec.network else ""
            made = first_spec(spec, image=image, run=run, network=network, api=api)
            base = ""
        else:
            wanted_in(standing.spec)
            base = shelf.put(standing.spec, run=run)
            made = updated(
                standing.spec,
                spec,
                image=image,
                run=run,
                first=self._services.starts_first(standing.spec),
                is_checked=self._services.is_checked(image),
                api=api,
            )
        shelf.clear(run, keep=base)
        new = shelf.put(made, run=run, base=base)
        shelf.forget(base, new, retain=spec.retain)
        return Container(id=new, image=image)

    @in_swarm_words()
    def switch(self, spec: ServiceSpec, container: Container) -> None:
        shelf = Shelf(self._engine, spec)
        made, base = shelf.get(container.id), shelf.base(container.id)
        if made is None:
            raise TargetRefused(f"the spec {container.id[:12]} is no longer kept in the swarm")

        def change(current: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
            found = id_of(spec.container, current["TaskTemplate"]) if current else ""
            if found == container.id:
                return None
            if found != base:
                raise TargetRefused(f"{spec.container} was changed by somebody else since it was looked at")
            return with_ours(current, made) if current else made

        self._services.change(spec.container, change)

    @in_swarm_words()
    def restore(self, spec: ServiceSpec, old: Container | None, *, run: str) -> str:
        standing = self._services.standing(spec.container)
        shelf = Shelf(self._engine, spec)
        logged: list[str] = []
        if standing is not None:
            # what is looked at before anything is changed: the tasks of a run are soon forgotten
            made = [task for task in standing.tasks if task.container and task.run == run]
            for task in made[:1]:
                logged = self._log(spec, task, since=0.0)[-40:]
        if old is not None:
            self._go_back(spec, old, standing, shelf)
        elif standing is not None and run_in(standing.spec["TaskTemplate"]) == run:
            self._services.remove(spec.container)
        shelf.clear(run)
        return "\n".join(logged)

    def _go_back(self, spec: ServiceSpec, old: Container, standing: Standing | None, shelf: Shelf) -> None:
        document = shelf.get(old.id) or self._services.remembered(spec.container, old.id)
        if document is None:
            raise TargetRefused(
                f"the spec {old.id[:12]} that served before is kept nowhere: somebody has changed the service "
                "since it was seen, or removed the config py312-spec-" + old.id
            )
        first = self._services.starts_first(document)
        if standing is None or not standing.is_whole(old.id) or standing.spec_id != old.id:
            self._check_image(document, standing, first=first)

            def change(current: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
                return going_back(current, document, first=first) if current else document

            self._services.change(spec.container, change)
            self._await(spec, old)
        # the very settings that it had: the way back went by ours
        self._services.change(spec.container, lambda current: _as_it_was(current, document))

    def _check_image(self, document: Mapping[str, Any], standing: Standing | None, *, first: bool) -> None:
        """That the old image is there, before what serves is stopped for it.

        Where nobody can tell it is tried all the same if what serves goes on until the old one does.
        """
        image = image_in(document["TaskTemplate"])
        found = self._nodes.have(image, [task.node for task in standing.up] if standing else [])
        if found is True or self._services.is_in_registry(image):
            return
        if found is False or not first:
            raise TargetRefused(
                f"the image {image} that served before is gone from the nodes, and no registry has it; what serves "
                "now was left alone"
            )

    def _await(self, spec: ServiceSpec, old: Container) -> None:
        begun = clock.stopwatch()
        limit = spec.ready_timeout + spec.drain
        while True:
            standing = self._services.standing(spec.container)
            if standing is None:
                raise TargetRefused("its service was removed meanwhile")
            if standing.is_whole(old.id):
                return
            if clock.stopwatch() - begun > limit:
                told = f"; {standing.undone}" if standing.undone else ""
                raise TargetRefused(f"not back after {limit:g} s: {standing.lack(old.id)}{told}")
            clock.pause(POLL)

    def lock(self, environment: str) -> Lock:
        return SwarmLock(self._engine, environment)


def _as_it_was(current: Mapping[str, Any] | None, document: Mapping[str, Any]) -> Mapping[str, Any] | None:
    wanted = with_ours(current, document) if current else None
    return None if wanted == current else wanted


def _inside(spec: ServiceSpec, task: Task) -> ServiceSpec:
    """For the engine of its node: the task's container. Over HTTP it is asked here, by the address of its node."""
    return replace(spec, container=task.container, version="", health="")
