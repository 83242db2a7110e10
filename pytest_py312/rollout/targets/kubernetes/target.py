"""A cluster: one Deployment a service, whose pod template is what is deployed and what is gone back to.

A template is named by its digest. The one that serves and the new one are kept in the cluster, the new one is put into
the Deployment, and the cluster's own controller does the rest: it replaces the pods as the Deployment says, so nobody
else's settings (strategy, number of pods, autoscaler) are touched. The way back is the old template, put in again.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

from pytest_py312.core import clock
from pytest_py312.core.model.findings import Interpreter
from pytest_py312.rollout.domain.model import Container, Observation, ServiceSpec, Usage
from pytest_py312.rollout.metrics.threads import in_thread
from pytest_py312.rollout.targets.interpreter_detection import (
    ANSWER_LIMIT,
    ASK_ALL,
    ASK_FIRST,
    interpreters_in,
    is_python,
    with_own_word,
)
from pytest_py312.rollout.targets.kubernetes.api import Cluster, Conflict
from pytest_py312.rollout.targets.kubernetes.lock import KubernetesLock
from pytest_py312.rollout.targets.kubernetes.pod_template import (
    container_in,
    digest_of,
    image_in,
    selector_text,
    template_of,
    with_image,
)
from pytest_py312.rollout.targets.kubernetes.pods import (
    NO_METRICS,
    PAUSED,
    Pod,
    is_probed,
    means_of,
    pods_of,
    readiness_of,
)
from pytest_py312.rollout.targets.kubernetes.template_store import Templates
from pytest_py312.rollout.targets.labels import Said, last_lines
from pytest_py312.rollout.targets.target import Lock, Phase, Readiness, TargetLost, TargetRefused

AT_ONCE = 8
"""Pods that are asked at the same time."""
ASK_LIMIT = 20.0
"""Seconds for one question to all pods."""
LOG_LINES = 2000
"""Of each pod."""
ATTEMPTS = 8
"""How often a Deployment is read again that somebody else (an autoscaler, mostly) changes all the time."""

T = TypeVar("T")


class KubernetesTarget:
    """See :class:`~pytest_py312.rollout.targets.target.Target`.

    ``pinned``: images have to be named by their digest, since what another environment has proven is to be deployed,
    and a tag may mean something else by now.
    """

    name = "kubernetes"

    def __init__(self, cluster: Cluster, *, pinned: bool = False) -> None:
        self._cluster = cluster
        self._pinned = pinned
        self._seen: dict[tuple[str, str], str] = {}

    def identity(self) -> str:
        """That of the namespace of the environment: several may lie in one cluster. Empty without the right to it."""
        try:
            uid = self._cluster.namespace_uid()
        except TargetRefused:
            return ""
        return f"the namespace {self._cluster.namespace} ({uid})" if uid else ""

    def image_id(self, reference: str) -> str:
        """The reference itself: which image it means is the nodes' business, who pull it."""
        if self._pinned and "@sha256:" not in reference:
            raise TargetRefused(
                f"{reference} is a name that may mean another image by now than where it was proven; write its digest "
                'into the plan: image = "...@sha256:..."'
            )
        return reference

    # ---- looking

    def observe(self, spec: ServiceSpec) -> Observation | None:
        found = self._cluster.deployment(self._namespace(spec), spec.container)
        if found is None:
            return None
        template = template_of(found)
        container = Container(id=digest_of(template), image=image_in(template, spec.pod_container))
        self._seen[self._namespace(spec), spec.container] = container.id
        pods = self._pods(spec, found)
        mine = [one for one in pods if one.template == container.id]
        serving = [one for one in pods if one.serves]
        probed = is_probed(template, spec.pod_container)
        return Observation(
            container=container,
            running=bool(serving),
            interpreters=self._interpreters(spec, template, serving),
            restarts=sum(one.restarts for one in mine),
            exit_code=None if serving else next((one.exit_code for one in mine if one.exit_code is not None), -1),
            out_of_memory=any(one.out_of_memory for one in mine),
            health="healthy" if probed and serving else "",
        )

    def _interpreters(self, spec: ServiceSpec, template: Said, pods: Sequence[Pod]) -> tuple[Interpreter, ...]:
        """Those of all pods that serve, whichever template they are of. One that cannot be asked leaves all unknown."""
        container = container_in(template, spec.pod_container)
        told = self._of_each(pods, lambda pod: self._asked(spec, container, pod))
        if any(not one for one in told):
            return ()
        return tuple(sorted(set().union(*told)))

    def _asked(self, spec: ServiceSpec, container: Said, pod: Pod) -> set[Interpreter]:
        where = (self._namespace(spec), pod.name)
        name = str(container["name"])
        printed = self._cluster.execute(*where, name, ["sh", "-c", ASK_ALL], most=ANSWER_LIMIT)
        if not printed and is_python(str((container.get("command") or [""])[0])):
            printed = self._cluster.execute(*where, name, list(ASK_FIRST), most=ANSWER_LIMIT)
        found = interpreters_in(printed or b"")
        if spec.version and spec.port:
            status, body = self._cluster.proxy(*where, spec.port, spec.version)
            found = with_own_word(found, body if 200 <= status < 300 else b"")
        return found

    def ready(self, spec: ServiceSpec, container: Container) -> Readiness:
        found = self._cluster.deployment(self._namespace(spec), spec.container)
        if found is None:
            return Readiness(phase=Phase.BROKEN, detail=f"there is no Deployment {spec.container} any more")
        pods = self._pods(spec, found)
        probed = is_probed(template_of(found), spec.pod_container)
        said = readiness_of(found, pods, container.id, probed=probed)
        if said.phase is Phase.BROKEN:
            words = _or_why_not(lambda: self._last_words(spec, found, pods))
            told = f"; its last words: {words}" if words else ""
            return Readiness(phase=Phase.BROKEN, detail=said.detail + told, again=said.again)
        if said.phase is Phase.READY and spec.health and spec.port:
            return self._healthy(spec, [one for one in pods if one.serves], said)
        return said

    def _healthy(self, spec: ServiceSpec, pods: Sequence[Pod], said: Readiness) -> Readiness:
        asked = self._of_each(
            pods, lambda pod: self._cluster.proxy(self._namespace(spec), pod.name, spec.port, spec.health)[0]
        )
        for pod, status in zip(pods, asked, strict=True):
            if not 200 <= status < 400:
                told = f"pod {pod.name}: {spec.health} answers {status}"
                return Readiness(phase=Phase.STARTING, detail=told, again=said.again)
        return Readiness(phase=Phase.READY, again=said.again)

    def _last_words(self, spec: ServiceSpec, deployment: Said, pods: Sequence[Pod]) -> str:
        """Of the first one that cannot serve and has said something."""
        name = str(container_in(template_of(deployment), spec.pod_container)["name"])
        for pod in [one for one in pods if one.trouble][:AT_ONCE]:
            for previous in (False, True):
                log = self._cluster.log(self._namespace(spec), pod.name, name, tail=3, since=None, previous=previous)
                if log.strip():
                    return " / ".join(last_lines(log, 3))
        return ""

    def sample(self, spec: ServiceSpec, container: Container, *, since: float) -> Usage:
        found = self._cluster.deployment(self._namespace(spec), spec.container)
        if found is None:
            raise TargetRefused(f"there is no Deployment {spec.container} any more")
        pods = [one for one in self._pods(spec, found) if one.template == container.id]
        name = str(container_in(template_of(found), spec.pod_container)["name"])
        seconds = round(clock.timestamp() - since + 0.5) if since else None
        logs = self._of_each(pods, lambda pod: self._log(spec, pod, name, seconds))
        metrics = self._cluster.pod_metrics(self._namespace(spec), selector_text(found["spec"]["selector"]))
        cores, memory, unmeasured = means_of(metrics, {one.name for one in pods}, name)
        return Usage(
            cpu_seconds=None,
            cores=cores,
            memory=memory,
            unmeasured=unmeasured,
            restarts=sum(one.restarts for one in pods),
            out_of_memory=any(one.out_of_memory for one in pods),
            log=tuple(line for log in logs for line in log),
            log_lost=any(len(log) >= LOG_LINES for log in logs),
        )

    def _log(self, spec: ServiceSpec, pod: Pod, container: str, seconds: int | None) -> list[str]:
        """What it logged lately; of one that was started again, what it said before as well."""
        found: list[str] = []
        for previous in (True, False) if pod.restarts else (False,):
            log = self._cluster.log(
                self._namespace(spec), pod.name, container, tail=LOG_LINES, since=seconds, previous=previous
            )
            found += last_lines(log, LOG_LINES)
        return found

    # ---- acting

    def prepare(self, spec: ServiceSpec, *, image: str, run: str) -> Container:
        found = self._deployment(spec)
        serving = template_of(found)
        instead_of = digest_of(serving)
        if self._seen.get((self._namespace(spec), spec.container), instead_of) != instead_of:
            raise TargetRefused(f"the template of {spec.container} was changed by somebody else since it was looked at")
        if found["spec"].get("paused"):
            raise TargetRefused(PAUSED)
        master = next((one for one in found["metadata"].get("ownerReferences") or () if one.get("controller")), None)
        if master is not None:
            whose = f"{master['kind']} {master['name']}"
            raise TargetRefused(
                f"the Deployment {spec.container} is made by {whose}, which would undo any change of it"
            )
        templates = self._templates(spec)
        templates.remove_of(spec, run)
        templates.forget(spec, serving=instead_of)
        templates.keep(spec, serving, run=run)
        made = with_image(serving, spec.pod_container, image=image, run=run)
        return Container(id=templates.keep(spec, made, run=run, instead_of=instead_of), image=image)

    def switch(self, spec: ServiceSpec, container: Container) -> None:
        templates = self._templates(spec)
        instead_of = templates.instead_of(spec, container.id)
        self._put(spec, container.id, lambda now: not instead_of or now == instead_of)

    def restore(self, spec: ServiceSpec, old: Container | None, *, run: str) -> str:
        if old is None:
            self._templates(spec).remove_of(spec, run)
            return ""
        told = _or_why_not(lambda: self._logged_by(spec, old))
        self._put(spec, old.id, lambda now: True)
        left = _or_why_not(lambda: self._templates(spec).remove_of(spec, run))
        return "\n".join(text for text in (told, left) if text)

    def _put(self, spec: ServiceSpec, digest: str, may_replace: Callable[[str], bool]) -> None:
        """Let the Deployment have the template of that digest, and nothing else changed.

        :param may_replace: told the digest of what it has now.
        """
        for _ in range(ATTEMPTS):
            found = self._deployment(spec)
            now = digest_of(template_of(found))
            if now == digest:
                return
            if not may_replace(now):
                raise TargetRefused(f"the template of {spec.container} was changed by somebody else meanwhile")
            template = self._templates(spec).find(spec, digest, found)
            if template is None:
                raise TargetRefused(
                    f"the template {digest[:12]} of {spec.container} is gone: neither a ConfigMap nor a ReplicaSet "
                    "has it any more"
                )
            try:
                self._cluster.patch_template(found, template)
                return
            except Conflict:
                continue
        raise TargetRefused(f"the Deployment {spec.container} changes too quickly; try again")

    def _logged_by(self, spec: ServiceSpec, old: Container) -> str:
        """What the pods that are to go have said last."""
        found = self._deployment(spec)
        if digest_of(template_of(found)) == old.id:
            return ""
        going = [one for one in self._pods(spec, found) if one.template != old.id]
        name = str(container_in(template_of(found), spec.pod_container)["name"])
        logs = self._of_each(going[:AT_ONCE], lambda pod: self._log(spec, pod, name, None)[-40:])
        return "\n".join(line for log in logs for line in log)

    def keeps(self, spec: ServiceSpec, container: Container) -> bool:
        """See :class:`~pytest_py312.rollout.targets.target.Keeping`."""
        found = self._cluster.deployment(self._namespace(spec), spec.container)
        if found is None:
            return False
        if digest_of(template_of(found)) == container.id:
            return True
        return self._templates(spec).find(spec, container.id, found) is not None

    def unmeasured(self) -> str:
        """See :class:`~pytest_py312.rollout.targets.target.Measuring`."""
        try:
            return NO_METRICS if self._cluster.pod_metrics(self._cluster.namespace, "") is None else ""
        except TargetRefused as error:
            return str(error)

    def lock(self, environment: str) -> Lock:
        return KubernetesLock(self._cluster, environment)

    # ---- parts

    def _namespace(self, spec: ServiceSpec) -> str:
        return spec.namespace or self._cluster.namespace

    def _templates(self, spec: ServiceSpec) -> Templates:
        return Templates(self._cluster, self._namespace(spec))

    def _deployment(self, spec: ServiceSpec) -> Said:
        found = self._cluster.deployment(self._namespace(spec), spec.container)
        if found is None:
            raise TargetRefused(
                f"there is no Deployment {spec.container} in the namespace {self._namespace(spec)}; create it first"
            )
        return found

    def _pods(self, spec: ServiceSpec, deployment: Said) -> tuple[Pod, ...]:
        selector = selector_text(deployment["spec"]["selector"])
        namespace = self._namespace(spec)
        name = str(container_in(template_of(deployment), spec.pod_container)["name"])
        pods = self._cluster.pods(namespace, selector)  # first: what a ReplicaSet makes later is not in it
        return pods_of(deployment, self._cluster.replica_sets(namespace, selector), pods, name)

    def _of_each(self, pods: Sequence[Pod], ask: Callable[[Pod], T]) -> list[T]:
        """What ``ask`` says of each pod, several at once, and nobody waits for one that does not answer."""

        async def all_of_them() -> list[T]:
            at_once = asyncio.Semaphore(AT_ONCE)

            async def one(pod: Pod) -> T:
                async with at_once:
                    return await in_thread(lambda: ask(pod), limit=ASK_LIMIT)

            return await asyncio.gather(*(one(pod) for pod in pods))

        try:
            return asyncio.run(all_of_them())
        except TimeoutError:
            raise TargetLost(f"pods did not answer within {ASK_LIMIT:g} s") from None


def _or_why_not(act: Callable[[], str | None]) -> str:
    """What is good to have, and must keep nothing back from its way: what ``act`` returns, or why it was refused."""
    try:
        return act() or ""
    except TargetRefused as error:
        return str(error)
