"""A namespace with services on Python 3.9, and a driver to deploy to it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.process_identity import this_process
from pytest_py312.rollout.domain.journal import Journal
from pytest_py312.rollout.domain.model import Deployment, StageRun
from pytest_py312.rollout.domain.target_model import ServiceSpec
from pytest_py312.rollout.execution.driver import Driver
from pytest_py312.rollout.execution.locking import Operator
from pytest_py312.rollout.targets.kubernetes.api import Cluster
from pytest_py312.rollout.targets.kubernetes.target import KubernetesTarget
from tests.integration.clusters.api_server import ApiServer, JsonObject, ServerThread
from tests.integration.clusters.controller import Controller, is_owned, kind_of, python_of

NAMESPACE = "shop"
SERVICES = ("auth", "user", "gateway")


@dataclass(kw_only=True)
class Shop:
    """The services, their cluster, and the target that reaches it."""

    server: ApiServer
    controller: Controller
    cluster: Cluster
    target: KubernetesTarget
    folder: Path
    old: dict[str, JsonObject] = field(default_factory=dict)

    def serve(self, service: str, *, image: str = "", replicas: int = 2, probed: bool = True, **spec: Any) -> None:
        """Start a Deployment that was not made by this tool."""
        container: JsonObject = {
            "name": "app",
            "image": image or f"shop/{service}:3.9",
            "env": [{"name": "GREETING", "value": f"from {service}"}],
            "ports": [{"containerPort": 8000}],
        }
        if probed:
            container["readinessProbe"] = {"httpGet": {"path": "/health", "port": 8000}}
        labels = {"app": service}
        body = {
            "metadata": {"name": service, "labels": labels},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
                **spec,
            },
        }
        self.server.store.create("deployments", NAMESPACE, body)
        self.controller.settle()
        self.old[service] = self.template(service)

    # ---- reading

    def deployment(self, service: str) -> JsonObject:
        return self.server.store.get("deployments", NAMESPACE, service)

    def template(self, service: str) -> JsonObject:
        template: JsonObject = self.deployment(service)["spec"]["template"]
        return template

    def pods(self, service: str) -> list[JsonObject]:
        return self.server.store.listed("pods", NAMESPACE, f"app={service}")

    def pods_of(self, replica_set: str) -> list[JsonObject]:
        owner = self.server.store.get("replicasets", NAMESPACE, replica_set)
        return [pod for pod in self.server.store.listed("pods", NAMESPACE) if is_owned(pod, owner)]

    def serving(self) -> dict[str, set[str]]:
        """Return the Pythons of each service's pods, terminating ones included."""
        return {
            name: {python_of(pod["spec"]["containers"][0]["image"]) for pod in self.pods(name)} for name in self.old
        }

    def all_old(self) -> dict[str, set[str]]:
        return {name: {"3.9"} for name in self.old}

    def left_over(self) -> list[str]:
        """Return the ConfigMaps and Leases that a rollout has left."""
        return [f"{kind} {name}" for kind, _, name in self.server.store.objects if kind in ("configmaps", "leases")]

    def templates_are_old(self) -> bool:
        return all(self.template(name) == old for name, old in self.old.items())

    # ---- acting

    def spec(self, service: str, **changes: Any) -> ServiceSpec:
        made = ServiceSpec(service=service, container=service, port=8000, ready_timeout=60.0, readiness_delay=0.0)
        return replace(made, **changes)

    def run(self, *images: str, run: str = "r1", stage: int = 1, **changes: Any) -> StageRun:
        """Return a run that deploys the image tags ``images`` to the first services."""
        deployments = tuple(
            Deployment(spec=self.spec(name, **changes), image=f"shop/{name}:{image}")
            for name, image in zip(self.old, images, strict=False)
        )
        return StageRun(
            run=run, environment="test", stage=stage, target=Interpreter(3, 12), deployments=deployments, soak=600.0
        )

    @contextmanager
    def driver(self, process: str = "", target: KubernetesTarget | None = None) -> Iterator[tuple[Driver, Journal]]:
        """Open a driver that never waits; only the cluster's clock advances."""
        journal = Journal(self.folder)
        operator = Operator(name="release engineer", host="here", process=process or str(this_process()))
        ticks = count()
        try:
            yield (
                Driver(
                    journal,
                    target or self.target,
                    operator,
                    pause=lambda seconds: None,
                    stopwatch=lambda: float(next(ticks)),
                ),
                journal,
            )
        finally:
            journal.close()


@contextmanager
def start_shop(server_thread: ServerThread, folder: Path, *services: str) -> Iterator[Shop]:
    """Start a new cluster in the running server, with these services on Python 3.9."""
    from kubernetes import client

    server = server_thread.server = ApiServer()
    controller = Controller(server=server, namespace=NAMESPACE)
    server.step = controller.step
    server.pods.execute = _execute
    server.pods.log = lambda pod, previous: _log_of(pod, previous)
    server.pods.http = _answer
    configuration = client.Configuration()
    configuration.host = f"http://127.0.0.1:{server_thread.port}"
    configuration.retries = False
    configuration.safe_chars_for_path_param = "/:"
    cluster = Cluster(configuration, NAMESPACE)
    made = Shop(server=server, controller=controller, cluster=cluster, target=KubernetesTarget(cluster), folder=folder)
    for service in services:
        made.serve(service)
    try:
        yield made
    finally:
        cluster.close()


def _image(pod: JsonObject) -> str:
    return str(pod["spec"]["containers"][0]["image"])


def _execute(pod: JsonObject, argv: list[str]) -> tuple[int, str]:
    if kind_of(_image(pod)) == "noshell":
        return 126, ""
    return 0, f"Python {python_of(_image(pod))}.1\n"


def _log_of(pod: JsonObject, previous: bool) -> list[str] | None:
    if kind_of(_image(pod)) == "crash":
        return ["Traceback (most recent call last):", "ModuleNotFoundError: No module named 'imp'"]
    if previous and not pod["status"]["containerStatuses"][0]["restartCount"]:
        return None
    return ["before it ended" if previous else "serving"]


def _answer(pod: JsonObject, path: str) -> tuple[int, str] | None:
    if path == "/version":
        return 200, python_of(_image(pod))
    return (500, "sick") if kind_of(_image(pod)) == "sick" else (200, "ok")
