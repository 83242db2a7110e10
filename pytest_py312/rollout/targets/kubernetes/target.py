"""Deployment to Kubernetes: one Deployment per service, whose pod template is what is deployed and rolled back.

A template is identified by its digest. The serving and the new template are stored in the cluster, and ``switch``
patches the new one into the Deployment. The cluster's controller then replaces the pods according to the Deployment's
own settings (strategy, replicas, autoscaler), which stay untouched. A rollback patches the previous template in again.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

from pytest_py312.core import clock
from pytest_py312.core.concurrency import run_in_thread
from pytest_py312.core.model.findings import Interpreter
from pytest_py312.rollout.domain.target_model import Container, Observation, ServiceSpec, Usage
from pytest_py312.rollout.targets.common import (
    ALL_VERSIONS_SCRIPT,
    FIRST_PROCESS_VERSION_COMMAND,
    MAX_OUTPUT_BYTES,
    JsonObject,
    apply_self_reported,
    is_python_executable,
    parse_interpreters,
    printable_last_lines,
)
from pytest_py312.rollout.targets.kubernetes.api import Cluster, ConcurrentChange
from pytest_py312.rollout.targets.kubernetes.lock import KubernetesLock
from pytest_py312.rollout.targets.kubernetes.pod_template import (
    container_image,
    find_container,
    format_selector,
    pod_template_of,
    template_digest,
    with_image,
)
from pytest_py312.rollout.targets.kubernetes.pods import (
    NO_METRICS_SERVER,
    PAUSED_MESSAGE,
    Pod,
    average_usage,
    deployment_readiness,
    has_readiness_probe,
    parse_pods,
)
from pytest_py312.rollout.targets.kubernetes.template_store import TemplateStore
from pytest_py312.rollout.targets.target import (
    EnvironmentLock,
    Readiness,
    ReadinessPhase,
    TargetRefused,
    TargetUnavailable,
)

MAX_CONCURRENT_PODS = 8
"""How many pods are queried at the same time."""
POD_REQUEST_TIMEOUT = 20.0
"""Seconds for one query of one pod."""
MAX_LOG_LINES = 2000
"""Maximum number of log lines per pod."""
MAX_PATCH_ATTEMPTS = 8
"""How often a patch is retried when someone else (usually an autoscaler) changes the Deployment."""

T = TypeVar("T")


class KubernetesTarget:
    """A Kubernetes cluster as a :class:`~pytest_py312.rollout.targets.target.Target`.

    ``require_digest``: images must be given by digest, because another environment has proven exactly that image and a
    tag may have moved since.
    """

    name = "kubernetes"

    def __init__(self, cluster: Cluster, *, require_digest: bool = False) -> None:
        self._cluster = cluster
        self._require_digest = require_digest
        self._observed_templates: dict[tuple[str, str], str] = {}

    def identity(self) -> str:
        """Return a unique text for the environment's namespace; empty without permission to read the namespace."""
        try:
            uid = self._cluster.namespace_uid()
        except TargetRefused:
            return ""
        return f"the namespace {self._cluster.namespace} ({uid})" if uid else ""

    def image_id(self, reference: str) -> str:
        """Return the reference itself, because the nodes resolve it when they pull the image."""
        if self._require_digest and "@sha256:" not in reference:
            raise TargetRefused(
                f"{reference} is a tag, which may have moved since the image was proven; give its digest in the plan: "
                'image = "...@sha256:..."'
            )
        return reference

    # ---- inspection

    def observe(self, spec: ServiceSpec) -> Observation | None:
        deployment = self._cluster.deployment(self._namespace(spec), spec.container)
        if deployment is None:
            return None
        template = pod_template_of(deployment)
        container = Container(id=template_digest(template), image=container_image(template, spec.pod_container))
        self._observed_templates[self._namespace(spec), spec.container] = container.id
        pods = self._pods(spec, deployment)
        current_pods = [pod for pod in pods if pod.template == container.id]
        serving = [pod for pod in pods if pod.is_serving]
        is_probed = has_readiness_probe(template, spec.pod_container)
        return Observation(
            container=container,
            running=bool(serving),
            interpreters=self._interpreters(spec, template, serving),
            restarts=sum(pod.restarts for pod in current_pods),
            exit_code=None
            if serving
            else next((pod.exit_code for pod in current_pods if pod.exit_code is not None), -1),
            out_of_memory=any(pod.out_of_memory for pod in current_pods),
            health="healthy" if is_probed and serving else "",
        )

    def _interpreters(self, spec: ServiceSpec, template: JsonObject, pods: Sequence[Pod]) -> tuple[Interpreter, ...]:
        """Return the versions of all serving pods of any template; none if a single pod's version is unknown."""
        container = find_container(template, spec.pod_container)
        interpreters_by_pod = self._for_each_pod(pods, lambda pod: self._pod_interpreters(spec, container, pod))
        if any(not interpreters for interpreters in interpreters_by_pod):
            return ()
        return tuple(sorted(set().union(*interpreters_by_pod)))

    def _pod_interpreters(self, spec: ServiceSpec, container: JsonObject, pod: Pod) -> set[Interpreter]:
        namespace_and_pod = (self._namespace(spec), pod.name)
        name = str(container["name"])
        output = self._cluster.execute(
            *namespace_and_pod, name, ["sh", "-c", ALL_VERSIONS_SCRIPT], max_bytes=MAX_OUTPUT_BYTES
        )
        if not output and is_python_executable(str((container.get("command") or [""])[0])):
            output = self._cluster.execute(
                *namespace_and_pod, name, list(FIRST_PROCESS_VERSION_COMMAND), max_bytes=MAX_OUTPUT_BYTES
            )
        interpreters = parse_interpreters(output or b"")
        if spec.version and spec.port:
            status, body = self._cluster.http_get(*namespace_and_pod, spec.port, spec.version)
            interpreters = apply_self_reported(interpreters, body if 200 <= status < 300 else b"")
        return interpreters

    def readiness(self, spec: ServiceSpec, container: Container) -> Readiness:
        deployment = self._cluster.deployment(self._namespace(spec), spec.container)
        if deployment is None:
            return Readiness.broken(f"the Deployment {spec.container} no longer exists")
        pods = self._pods(spec, deployment)
        is_probed = has_readiness_probe(pod_template_of(deployment), spec.pod_container)
        readiness = deployment_readiness(deployment, pods, container.id, is_probed=is_probed)
        if readiness.phase is ReadinessPhase.BROKEN:
            log_tail = _result_or_refusal(lambda: self._last_log_lines(spec, deployment, pods))
            log_detail = f"; last log lines: {log_tail}" if log_tail else ""
            return Readiness.broken(readiness.detail + log_detail, retry_after=readiness.retry_after)
        if readiness.phase is ReadinessPhase.READY and spec.health and spec.port:
            return self._check_health_path(spec, [pod for pod in pods if pod.is_serving], readiness)
        return readiness

    def _check_health_path(self, spec: ServiceSpec, pods: Sequence[Pod], readiness: Readiness) -> Readiness:
        statuses = self._for_each_pod(
            pods, lambda pod: self._cluster.http_get(self._namespace(spec), pod.name, spec.port, spec.health)[0]
        )
        for pod, status in zip(pods, statuses, strict=True):
            if not 200 <= status < 400:
                detail = f"pod {pod.name}: {spec.health} answers {status}"
                return Readiness.starting(detail, retry_after=readiness.retry_after)
        return Readiness(phase=ReadinessPhase.READY, retry_after=readiness.retry_after)

    def _last_log_lines(self, spec: ServiceSpec, deployment: JsonObject, pods: Sequence[Pod]) -> str:
        """Return the last log lines of the first failing pod that logged anything."""
        name = _container_name(spec, deployment)
        for pod in [candidate for candidate in pods if candidate.failure_reason][:MAX_CONCURRENT_PODS]:
            for previous in (False, True):
                log = self._cluster.read_log(
                    self._namespace(spec), pod.name, name, tail=3, since=None, previous=previous
                )
                if log.strip():
                    return " / ".join(printable_last_lines(log, 3))
        return ""

    def read_usage(self, spec: ServiceSpec, container: Container, *, since: float) -> Usage:
        deployment = self._cluster.deployment(self._namespace(spec), spec.container)
        if deployment is None:
            raise TargetRefused(f"the Deployment {spec.container} no longer exists")
        pods = [pod for pod in self._pods(spec, deployment) if pod.template == container.id]
        name = _container_name(spec, deployment)
        seconds = round(clock.timestamp() - since + 0.5) if since else None
        logs = self._for_each_pod(pods, lambda pod: self._read_log(spec, pod, name, seconds))
        metrics = self._cluster.pod_metrics(self._namespace(spec), format_selector(deployment["spec"]["selector"]))
        cores, memory, unmeasured = average_usage(metrics, {pod.name for pod in pods}, name)
        return Usage(
            cpu_seconds=None,
            cores=cores,
            memory=memory,
            unmeasured=unmeasured,
            restarts=sum(pod.restarts for pod in pods),
            out_of_memory=any(pod.out_of_memory for pod in pods),
            log=tuple(line for log in logs for line in log),
            log_lost=any(len(log) >= MAX_LOG_LINES for log in logs),
        )

    def _read_log(self, spec: ServiceSpec, pod: Pod, container: str, seconds: int | None) -> list[str]:
        """Return the recent log lines of a pod, including those before its last restart."""
        lines: list[str] = []
        for previous in (True, False) if pod.restarts else (False,):
            log = self._cluster.read_log(
                self._namespace(spec), pod.name, container, tail=MAX_LOG_LINES, since=seconds, previous=previous
            )
            lines += printable_last_lines(log, MAX_LOG_LINES)
        return lines

    # ---- changes

    def stop_for_drill(self, spec: ServiceSpec, container: Container) -> None:
        """Delete all pods of the template; the cluster starts others in their place.

        :raises TargetRefused: there is none.
        """
        pods = [pod for pod in self._pods(spec, self._deployment(spec)) if pod.template == container.id]
        if not pods:
            raise TargetRefused("it has no pod")
        for pod in pods:
            self._cluster.delete_pod(self._namespace(spec), pod.name)

    def prepare(self, spec: ServiceSpec, *, image: str, run: str) -> Container:
        deployment = self._deployment(spec)
        serving = pod_template_of(deployment)
        serving_digest = template_digest(serving)
        if self._observed_templates.get((self._namespace(spec), spec.container), serving_digest) != serving_digest:
            raise TargetRefused(f"the template of {spec.container} was changed by someone else since it was observed")
        if deployment["spec"].get("paused"):
            raise TargetRefused(PAUSED_MESSAGE)
        controller = next(
            (owner for owner in deployment["metadata"].get("ownerReferences") or () if owner.get("controller")), None
        )
        if controller is not None:
            controller_name = f"{controller['kind']} {controller['name']}"
            raise TargetRefused(
                f"the Deployment {spec.container} is managed by {controller_name}, which would revert any change"
            )
        templates = self._template_store(spec)
        templates.remove_templates_of_run(spec, run)
        templates.remove_surplus(spec, serving=serving_digest)
        templates.put(spec, serving, run=run)
        new_template = with_image(serving, spec.pod_container, image=image, run=run)
        return Container(id=templates.put(spec, new_template, run=run, replaces=serving_digest), image=image)

    def switch(self, spec: ServiceSpec, container: Container) -> None:
        templates = self._template_store(spec)
        replaced_digest = templates.replaced_digest(spec, container.id)
        self._apply_template(
            spec, container.id, lambda current_digest: not replaced_digest or current_digest == replaced_digest
        )

    def restore(self, spec: ServiceSpec, old: Container | None, *, run: str) -> str:
        if old is None:
            self._template_store(spec).remove_templates_of_run(spec, run)
            return ""
        log_tail = _result_or_refusal(lambda: self._log_of_replaced_pods(spec, old))
        self._apply_template(spec, old.id, lambda current_digest: True)
        cleanup_problem = _result_or_refusal(lambda: self._template_store(spec).remove_templates_of_run(spec, run))
        return "\n".join(text for text in (log_tail, cleanup_problem) if text)

    def _apply_template(self, spec: ServiceSpec, digest: str, may_replace: Callable[[str], bool]) -> None:
        """Patch the template with this digest into the Deployment and change nothing else.

        :param may_replace: called with the digest of the current template.
        """
        for _ in range(MAX_PATCH_ATTEMPTS):
            deployment = self._deployment(spec)
            current_digest = template_digest(pod_template_of(deployment))
            if current_digest == digest:
                return
            if not may_replace(current_digest):
                raise TargetRefused(f"the template of {spec.container} was changed by someone else meanwhile")
            template = self._template_store(spec).find(spec, digest, deployment)
            if template is None:
                raise TargetRefused(
                    f"the template {digest[:12]} of {spec.container} no longer exists: neither a ConfigMap nor a "
                    "ReplicaSet contains it"
                )
            try:
                self._cluster.patch_template(deployment, template)
                return
            except ConcurrentChange:
                continue
        raise TargetRefused(f"the Deployment {spec.container} is changed by others all the time; try again")

    def _log_of_replaced_pods(self, spec: ServiceSpec, old: Container) -> str:
        """Return the last log lines of the pods that a rollback to ``old`` will replace."""
        deployment = self._deployment(spec)
        if template_digest(pod_template_of(deployment)) == old.id:
            return ""
        replaced_pods = [pod for pod in self._pods(spec, deployment) if pod.template != old.id]
        name = _container_name(spec, deployment)
        logs = self._for_each_pod(
            replaced_pods[:MAX_CONCURRENT_PODS], lambda pod: self._read_log(spec, pod, name, None)[-40:]
        )
        return "\n".join(line for log in logs for line in log)

    def has_container(self, spec: ServiceSpec, container: Container) -> bool:
        """Return whether a template serves or is still stored in the cluster."""
        deployment = self._cluster.deployment(self._namespace(spec), spec.container)
        if deployment is None:
            return False
        if template_digest(pod_template_of(deployment)) == container.id:
            return True
        return self._template_store(spec).find(spec, container.id, deployment) is not None

    def usage_unavailable_reason(self) -> str:
        """Return why usage cannot be measured, empty if it can."""
        try:
            return NO_METRICS_SERVER if self._cluster.pod_metrics(self._cluster.namespace, "") is None else ""
        except TargetRefused as error:
            return str(error)

    def environment_lock(self, environment: str) -> EnvironmentLock:
        return KubernetesLock(self._cluster, environment)

    # ---- helpers

    def _namespace(self, spec: ServiceSpec) -> str:
        return spec.namespace or self._cluster.namespace

    def _template_store(self, spec: ServiceSpec) -> TemplateStore:
        return TemplateStore(self._cluster, self._namespace(spec))

    def _deployment(self, spec: ServiceSpec) -> JsonObject:
        deployment = self._cluster.deployment(self._namespace(spec), spec.container)
        if deployment is None:
            raise TargetRefused(
                f"there is no Deployment {spec.container} in the namespace {self._namespace(spec)}; create it first"
            )
        return deployment

    def _pods(self, spec: ServiceSpec, deployment: JsonObject) -> tuple[Pod, ...]:
        selector = format_selector(deployment["spec"]["selector"])
        namespace = self._namespace(spec)
        name = _container_name(spec, deployment)
        # read before the ReplicaSets: pods created later are not included
        pods = self._cluster.pods(namespace, selector)
        return parse_pods(deployment, self._cluster.replica_sets(namespace, selector), pods, name)

    def _for_each_pod(self, pods: Sequence[Pod], query_pod: Callable[[Pod], T]) -> list[T]:
        """Return the results of ``query_pod`` for all pods, queried concurrently and with a timeout."""

        async def query_all() -> list[T]:
            semaphore = asyncio.Semaphore(MAX_CONCURRENT_PODS)

            async def query_with_timeout(pod: Pod) -> T:
                async with semaphore:
                    return await run_in_thread(lambda: query_pod(pod), timeout=POD_REQUEST_TIMEOUT)

            return await asyncio.gather(*(query_with_timeout(pod) for pod in pods))

        try:
            return asyncio.run(query_all())
        except TimeoutError:
            raise TargetUnavailable(f"pods did not answer within {POD_REQUEST_TIMEOUT:g} s") from None


def _container_name(spec: ServiceSpec, deployment: JsonObject) -> str:
    return str(find_container(pod_template_of(deployment), spec.pod_container)["name"])


def _result_or_refusal(act: Callable[[], str | None]) -> str:
    """Return the result of an optional ``act``, or the reason of its refusal, which must not stop the operation."""
    try:
        return act() or ""
    except TargetRefused as error:
        return str(error)
