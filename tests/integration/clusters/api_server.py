"""A small Kubernetes API server in memory, served over HTTP on 127.0.0.1.

Modelled: resource versions and conflicts, generations, validation against the client's own model of the API,
immutable ConfigMaps, selectors, preconditions, permissions, JSON patches, logs, exec over a websocket, and the proxy
to pods. Not modelled: admission, strategic merges and watches; :mod:`.controller` simulates controllers and nodes.
"""

import asyncio
import copy
import json
import re
import threading
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from kubernetes.client import models

JsonObject = dict[str, Any]
Key = tuple[str, str, str]
"""Resource, namespace, name."""

KINDS = {
    "deployments": ("apps/v1", "Deployment", models.V1Deployment),
    "replicasets": ("apps/v1", "ReplicaSet", models.V1ReplicaSet),
    "pods": ("v1", "Pod", models.V1Pod),
    "configmaps": ("v1", "ConfigMap", models.V1ConfigMap),
    "leases": ("coordination.k8s.io/v1", "Lease", models.V1Lease),
}
GROUPS = {"deployments": "apps", "replicasets": "apps", "leases": "coordination.k8s.io"}
PATH = re.compile(
    r"/(?:api|apis/[a-z0-9.]+)/v[a-z0-9]+/namespaces/(?P<namespace>[^/]+)/(?P<resource>[a-z]+)"
    r"(?:/(?P<name>[^/]+))?(?:/(?P<sub>[a-z]+)(?:/(?P<rest>.*))?)?"
)
NAMESPACE_PATH = re.compile(r"/api/v1/namespaces/(?P<namespace>[^/]+)")
HASH_LABEL = "pod-template-hash"
VERBS = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


class Refusal(Exception):
    """An error response with a Status document."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code, self.reason, self.message = code, reason, message


class Dropped(Exception):
    """The connection is cut without a response."""


class Store:
    """The stored objects, with the generic behaviour of etcd and the API server."""

    def __init__(self) -> None:
        self.objects: dict[Key, JsonObject] = {}
        self.version = 100
        self.seconds = 0

    def get(self, resource: str, namespace: str, name: str) -> JsonObject:
        stored = self.objects.get((resource, namespace, name))
        if stored is None:
            raise Refusal(404, "NotFound", f'{_full(resource)} "{name}" not found')
        return stored

    def listed(self, resource: str, namespace: str, selector: str = "") -> list[JsonObject]:
        return [
            item
            for (kind, where, _), item in sorted(self.objects.items())
            if (kind, where) == (resource, namespace)
            and selector_matches(selector, item["metadata"].get("labels") or {})
        ]

    def create(self, resource: str, namespace: str, body: JsonObject) -> JsonObject:
        name = body["metadata"]["name"]
        if (resource, namespace, name) in self.objects:
            raise Refusal(409, "AlreadyExists", f'{_full(resource)} "{name}" already exists')
        self.seconds += 1
        made = with_defaults(resource, copy.deepcopy(body))
        made["metadata"] |= {
            "namespace": namespace,
            "uid": str(uuid.uuid4()),
            "generation": 1,
            "creationTimestamp": f"2026-11-25T10:{self.seconds // 60 % 60:02}:{self.seconds % 60:02}Z",
        }
        return self._store(resource, namespace, made)

    def update(self, resource: str, namespace: str, name: str, body: JsonObject) -> JsonObject:
        """Replace an object; a resource version in ``body`` is a precondition."""
        previous = self.get(resource, namespace, name)
        expected_version = body["metadata"].get("resourceVersion")
        if expected_version is not None and expected_version != previous["metadata"]["resourceVersion"]:
            text = f'Operation cannot be fulfilled on {_full(resource)} "{name}": the object has been modified'
            raise Refusal(409, "Conflict", text)
        if previous.get("immutable") and body.get("data") != previous.get("data"):
            raise Refusal(422, "Invalid", f'ConfigMap "{name}" is invalid: data: Forbidden: field is immutable')
        made = with_defaults(resource, copy.deepcopy(body))
        kept = ("uid", "namespace", "creationTimestamp", "generation")
        made["metadata"] |= {key: previous["metadata"][key] for key in kept}
        if made.get("spec") != previous.get("spec"):
            made["metadata"]["generation"] += 1
        return self._store(resource, namespace, made)

    def delete(self, resource: str, namespace: str, name: str, preconditions: JsonObject) -> None:
        stored = self.get(resource, namespace, name)
        for key, value in preconditions.items():
            if value is not None and stored["metadata"][key] != value:
                raise Refusal(409, "Conflict", f"the {key} in the precondition does not match")
        del self.objects[resource, namespace, name]

    def _store(self, resource: str, namespace: str, made: JsonObject) -> JsonObject:
        version, kind, model = KINDS[resource]
        made |= {"apiVersion": version, "kind": kind}
        self.version += 1
        made["metadata"]["resourceVersion"] = str(self.version)
        try:
            model.from_dict(copy.deepcopy(made))
        except ValueError as error:
            raise Refusal(422, "Invalid", f"{kind} is invalid: {error}") from error
        labels = made.get("spec", {}).get("template", {}).get("metadata", {}).get("labels")
        if resource == "deployments" and not labels_match(made["spec"]["selector"], labels or {}):
            raise Refusal(422, "Invalid", "`selector` does not match template `labels`")
        self.objects[resource, namespace, made["metadata"]["name"]] = made
        return made


def _full(resource: str) -> str:
    return f"{resource}.{GROUPS[resource]}" if resource in GROUPS else resource


def with_defaults(resource: str, made: JsonObject) -> JsonObject:
    """Add a server's defaults to a template, so that what is read differs from what was sent."""
    if resource in ("deployments", "replicasets"):
        spec = made["spec"]["template"]["spec"]
        spec.setdefault("restartPolicy", "Always")
        spec.setdefault("terminationGracePeriodSeconds", 30)
        made["spec"]["template"].setdefault("metadata", {}).setdefault("creationTimestamp", None)
        for container in spec["containers"]:
            container.setdefault("imagePullPolicy", "IfNotPresent")
            container.setdefault("terminationMessagePath", "/dev/termination-log")
    return made


def selector_matches(selector: str, labels: JsonObject) -> bool:
    for word in re.split(r",(?![^()]*\))", selector) if selector else ():
        if match := re.fullmatch(r"(\S+) (in|notin) \(([^)]*)\)", word):
            if (labels.get(match[1]) in match[3].split(",")) != (match[2] == "in"):
                return False
        elif "=" in word:
            key, _, value = word.partition("=")
            if labels.get(key) != value:
                return False
        elif (word.lstrip("!") in labels) == word.startswith("!"):
            return False
    return True


def labels_match(selector: JsonObject, labels: JsonObject) -> bool:
    return all(labels.get(key) == value for key, value in (selector.get("matchLabels") or {}).items())


def apply_patch(original: JsonObject, patch: list[JsonObject]) -> JsonObject:
    """Apply the operations of RFC 6902 that the target uses."""
    made = copy.deepcopy(original)
    for operation in patch:
        *path, last = operation["path"].strip("/").split("/")
        place = made
        for key in path:
            place = place[key]
        if operation["op"] != "replace" or last not in place:
            raise Refusal(
                422, "Invalid", f"the server rejected our request due to an error in our request: {operation}"
            )
        place[last] = operation["value"]
    return made


Hook = Callable[[str, str, str], None]
"""Called with the verb, resource and name of a request; may raise :class:`Dropped` or :class:`Refusal`."""


def _no_hook(verb: str, resource: str, name: str) -> None:
    return None


@dataclass(kw_only=True)
class Pods:
    """The behaviour of pods: their logs, commands, HTTP answers and resource usage."""

    log: Callable[[JsonObject, bool], list[str] | None] = lambda pod, previous: []
    execute: Callable[[JsonObject, list[str]], tuple[int, str]] = lambda pod, argv: (0, "")
    http: Callable[[JsonObject, str], tuple[int, str] | None] = lambda pod, path: (200, "ok")
    usage: Callable[[JsonObject], JsonObject] | None = None
    """``None``: the cluster has no metrics."""


@dataclass(kw_only=True)
class ApiServer:
    """The server. ``step`` is called before each read of a Deployment, so that time passes while a client polls."""

    store: Store = field(default_factory=Store)
    pods: Pods = field(default_factory=Pods)
    step: Callable[[], None] = lambda: None
    before: Hook = _no_hook
    after: Hook = _no_hook
    forbidden: set[tuple[str, str]] = field(default_factory=set)
    """Pairs (verb, resource) that are forbidden."""
    requests: list[tuple[str, str, str]] = field(default_factory=list)
    port: int = 0
    cluster: str = "here"
    """Prefix of the uids of its namespaces."""

    def _check_permission(self, verb: str, resource: str, name: str, namespace: str) -> None:
        if (verb, resource) in self.forbidden:
            group = GROUPS.get(resource, "")
            problem = f'{_full(resource)} "{name}" is forbidden: User "ci" cannot {verb} resource "{resource}"'
            message = f'{problem} in API group "{group}" in the namespace "{namespace}"'
            raise Refusal(403, "Forbidden", message)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        match = PATH.fullmatch(request.path)
        namespace = NAMESPACE_PATH.fullmatch(request.path)
        try:
            if namespace is not None:
                return self._namespace(namespace["namespace"])
            if match is None:
                raise Refusal(404, "NotFound", "the server could not find the requested resource")
            return await self._answer_resource(request, match)
        except Refusal as error:
            status = {
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                "message": error.message, "reason": error.reason, "code": error.code,
            }  # fmt: skip
            return web.json_response(status, status=error.code)
        except Dropped:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()

    def _namespace(self, name: str) -> web.Response:
        self._check_permission("get", "namespaces", name, name)
        metadata = {"name": name, "uid": f"{self.cluster}-{name}"}
        return web.json_response({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})

    async def _answer_resource(self, request: web.Request, match: re.Match[str]) -> web.StreamResponse:
        namespace, resource, name = match["namespace"], match["resource"], match["name"] or ""
        if request.path.startswith("/apis/metrics.k8s.io/"):
            return self._metrics(request, namespace)
        verb = VERBS[request.method] if name or request.method != "GET" else "list"
        full = f"{resource}/{match['sub']}" if match["sub"] else resource
        self.requests.append((verb, full, name))
        self.before(verb, full, name)
        self._check_permission(verb, full, name, namespace)
        if match["sub"]:
            return await self._answer_pod(request, namespace, name, match["sub"], match["rest"] or "")
        if resource == "deployments" and verb == "get":
            self.step()
        body = await request.json() if request.can_read_body else None
        answer = self._apply(verb, resource, namespace, name, request, body)
        self.after(verb, full, name)
        return web.json_response(answer, status=201 if verb == "create" else 200)

    def _apply(
        self, verb: str, resource: str, namespace: str, name: str, request: web.Request, body: Any
    ) -> JsonObject:
        if verb == "list":
            items = self.store.listed(resource, namespace, request.query.get("labelSelector", ""))
            version, kind, _ = KINDS[resource]
            return {"apiVersion": version, "kind": f"{kind}List", "metadata": {}, "items": items}
        if verb == "create":
            return self.store.create(resource, namespace, body)
        if verb == "update":
            return self.store.update(resource, namespace, name, body)
        if verb == "patch":
            assert request.content_type == "application/json-patch+json"
            return self.store.update(
                resource, namespace, name, apply_patch(self.store.get(resource, namespace, name), body)
            )
        if verb == "delete":
            self.store.delete(resource, namespace, name, (body or {}).get("preconditions") or {})
            return {"kind": "Status", "apiVersion": "v1", "status": "Success"}
        return self.store.get(resource, namespace, name)

    def _metrics(self, request: web.Request, namespace: str) -> web.Response:
        if self.pods.usage is None:
            raise Refusal(404, "NotFound", "the server could not find the requested resource")
        pods = self.store.listed("pods", namespace, request.query.get("labelSelector", ""))
        items = [
            {
                "metadata": {"name": pod["metadata"]["name"]},
                "containers": [{"name": "app", "usage": self.pods.usage(pod)}],
            }
            for pod in pods
        ]
        return web.json_response({"kind": "PodMetricsList", "items": items})

    # ---- inside of pods

    async def _answer_pod(
        self, request: web.Request, namespace: str, name: str, sub: str, rest: str
    ) -> web.StreamResponse:
        pod = self.store.get("pods", namespace, name.partition(":")[0])
        if sub == "log":
            return self._log(request, pod)
        if sub == "proxy":
            reply = self.pods.http(pod, f"/{rest}")
            if reply is None:
                raise Refusal(503, "ServiceUnavailable", "error trying to reach service: connection refused")
            return web.Response(status=reply[0], text=reply[1])
        return await self._execute(request, pod)

    def _log(self, request: web.Request, pod: JsonObject) -> web.Response:
        lines = self.pods.log(pod, request.query.get("previous", "").lower() == "true")
        if lines is None:
            name = pod["metadata"]["name"]
            raise Refusal(400, "BadRequest", f'previous terminated container "app" in pod "{name}" not found')
        tail = int(request.query.get("tailLines", len(lines)))
        return web.Response(text="".join(f"{line}\n" for line in lines[max(0, len(lines) - tail) :]))

    async def _execute(self, request: web.Request, pod: JsonObject) -> web.StreamResponse:
        code, printed = self.pods.execute(pod, request.query.getall("command"))
        socket = web.WebSocketResponse(protocols=("v4.channel.k8s.io",))
        await socket.prepare(request)
        for line in printed.splitlines(keepends=True):
            await socket.send_bytes(b"\x01" + line.encode())
        status: JsonObject = {"metadata": {}, "status": "Success"}
        if code:
            cause = {"reason": "ExitCode", "message": str(code)}
            status = {
                "metadata": {}, "status": "Failure", "reason": "NonZeroExitCode",
                "message": f"command terminated with non-zero exit code: exit status {code}",
                "details": {"causes": [cause]},
            }  # fmt: skip
        await socket.send_bytes(b"\x03" + json.dumps(status).encode())
        await socket.close()
        return socket


class ServerThread:
    """An :class:`ApiServer` in a thread, started and stopped by ``with``; ``server`` can be replaced at any time."""

    def __init__(self) -> None:
        self.server = ApiServer()
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        runner = web.AppRunner(self._application(), access_log=None, shutdown_timeout=0.1)
        self._loop.run_until_complete(runner.setup())
        site = web.TCPSite(runner, "127.0.0.1", 0)
        self._loop.run_until_complete(site.start())
        self.port = runner.addresses[0][1]
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(runner.cleanup())
        self._loop.close()

    def _application(self) -> web.Application:
        async def answer(request: web.Request) -> web.StreamResponse:
            return await self.server.answer(request)

        application = web.Application()
        application.router.add_route("*", "/{path:.*}", answer)
        return application

    def __enter__(self) -> "ServerThread":
        self._thread.start()
        assert self._ready.wait(30)
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
