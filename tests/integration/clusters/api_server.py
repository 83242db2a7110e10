"""A small API server of Kubernetes in memory, over HTTP on 127.0.0.1, for the target's contract with a real one.

What is true of it: versions and conflicts, generations, kinds that are checked against the client's own model of the
API, immutable ConfigMaps, selectors, preconditions, rights, JSON patches, logs, exec over a websocket, and the proxy to
pods. What is not: admission, strategic merges, watches, and everything that nodes do; :mod:`.controller` plays those.
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

Said = dict[str, Any]
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
    """An answer that is a Status."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code, self.reason, self.message = code, reason, message


class Dropped(Exception):
    """No answer at all: the connection is cut."""


class Store:
    """The objects, as etcd and the generic part of the API server keep them."""

    def __init__(self) -> None:
        self.objects: dict[Key, Said] = {}
        self.version = 100
        self.seconds = 0

    def get(self, resource: str, namespace: str, name: str) -> Said:
        found = self.objects.get((resource, namespace, name))
        if found is None:
            raise Refusal(404, "NotFound", f'{_full(resource)} "{name}" not found')
        return found

    def listed(self, resource: str, namespace: str, selector: str = "") -> list[Said]:
        return [
            one
            for (kind, where, _), one in sorted(self.objects.items())
            if (kind, where) == (resource, namespace) and selects(selector, one["metadata"].get("labels") or {})
        ]

    def create(self, resource: str, namespace: str, body: Said) -> Said:
        name = body["metadata"]["name"]
        if (resource, namespace, name) in self.objects:
            raise Refusal(409, "AlreadyExists", f'{_full(resource)} "{name}" already exists')
        self.seconds += 1
        made = defaulted(resource, copy.deepcopy(body))
        made["metadata"] |= {
            "namespace": namespace,
            "uid": str(uuid.uuid4()),
            "generation": 1,
            "creationTimestamp": f"2026-11-25T10:{self.seconds // 60 % 60:02}:{self.seconds % 60:02}Z",
        }
        return self._kept(resource, namespace, made)

    def update(self, resource: str, namespace: str, name: str, body: Said) -> Said:
        """With the version in ``body``, if it has one, as a condition."""
        before = self.get(resource, namespace, name)
        asked = body["metadata"].get("resourceVersion")
        if asked is not None and asked != before["metadata"]["resourceVersion"]:
            text = f'Operation cannot be fulfilled on {_full(resource)} "{name}": the object has been modified'
            raise Refusal(409, "Conflict", text)
        if before.get("immutable") and body.get("data") != before.get("data"):
            raise Refusal(422, "Invalid", f'ConfigMap "{name}" is invalid: data: Forbidden: field is immutable')
        made = defaulted(resource, copy.deepcopy(body))
        kept = ("uid", "namespace", "creationTimestamp", "generation")
        made["metadata"] |= {key: before["metadata"][key] for key in kept}
        if made.get("spec") != before.get("spec"):
            made["metadata"]["generation"] += 1
        return self._kept(resource, namespace, made)

    def delete(self, resource: str, namespace: str, name: str, same: Said) -> None:
        found = self.get(resource, namespace, name)
        for key, value in same.items():
            if value is not None and found["metadata"][key] != value:
                raise Refusal(409, "Conflict", f"the {key} in the precondition does not match")
        del self.objects[resource, namespace, name]

    def _kept(self, resource: str, namespace: str, made: Said) -> Said:
        version, kind, model = KINDS[resource]
        made |= {"apiVersion": version, "kind": kind}
        self.version += 1
        made["metadata"]["resourceVersion"] = str(self.version)
        try:
            model.from_dict(copy.deepcopy(made))
        except ValueError as error:
            raise Refusal(422, "Invalid", f"{kind} is invalid: {error}") from error
        labels = made.get("spec", {}).get("template", {}).get("metadata", {}).get("labels")
        if resource == "deployments" and not selects_all(made["spec"]["selector"], labels or {}):
            raise Refusal(422, "Invalid", "`selector` does not match template `labels`")
        self.objects[resource, namespace, made["metadata"]["name"]] = made
        return made


def _full(resource: str) -> str:
    return f"{resource}.{GROUPS[resource]}" if resource in GROUPS else resource


def defaulted(resource: str, made: Said) -> Said:
    """What a server adds of its own to a template, so that what comes back is not what was sent."""
    if resource in ("deployments", "replicasets"):
        spec = made["spec"]["template"]["spec"]
        spec.setdefault("restartPolicy", "Always")
        spec.setdefault("terminationGracePeriodSeconds", 30)
        made["spec"]["template"].setdefault("metadata", {}).setdefault("creationTimestamp", None)
        for container in spec["containers"]:
            container.setdefault("imagePullPolicy", "IfNotPresent")
            container.setdefault("terminationMessagePath", "/dev/termination-log")
    return made


def selects(selector: str, labels: Said) -> bool:
    for word in re.split(r",(?![^()]*\))", selector) if selector else ():
        if found := re.fullmatch(r"(\S+) (in|notin) \(([^)]*)\)", word):
            if (labels.get(found[1]) in found[3].split(",")) != (found[2] == "in"):
                return False
        elif "=" in word:
            key, _, value = word.partition("=")
            if labels.get(key) != value:
                return False
        elif (word.lstrip("!") in labels) == word.startswith("!"):
            return False
    return True


def selects_all(selector: Said, labels: Said) -> bool:
    return all(labels.get(key) == value for key, value in (selector.get("matchLabels") or {}).items())


def patched(before: Said, patch: list[Said]) -> Said:
    """RFC 6902, as far as it is used."""
    made = copy.deepcopy(before)
    for one in patch:
        *way, last = one["path"].strip("/").split("/")
        place = made
        for key in way:
            place = place[key]
        if one["op"] != "replace" or last not in place:
            raise Refusal(422, "Invalid", f"the server rejected our request due to an error in our request: {one}")
        place[last] = one["value"]
    return made


Hook = Callable[[str, str, str], None]
"""Told the verb, the resource and the name of a request; it may raise :class:`Dropped` or :class:`Refusal`."""


def _nothing(verb: str, resource: str, name: str) -> None:
    return None


@dataclass(kw_only=True)
class Pods:
    """What answers inside of pods; the controller knows."""

    log: Callable[[Said, bool], list[str] | None] = lambda pod, previous: []
    execute: Callable[[Said, list[str]], tuple[int, str]] = lambda pod, argv: (0, "")
    http: Callable[[Said, str], tuple[int, str] | None] = lambda pod, path: (200, "ok")
    usage: Callable[[Said], Said] | None = None
    """``None``: the cluster has no metrics."""


@dataclass(kw_only=True)
class ApiServer:
    """The server. ``step`` is called before each look at a Deployment: time passes while somebody waits."""

    store: Store = field(default_factory=Store)
    pods: Pods = field(default_factory=Pods)
    step: Callable[[], None] = lambda: None
    before: Hook = _nothing
    after: Hook = _nothing
    forbidden: set[tuple[str, str]] = field(default_factory=set)
    """(verb, resource) that nobody has the right to."""
    requests: list[tuple[str, str, str]] = field(default_factory=list)
    port: int = 0
    cluster: str = "here"
    """Begins the uid of its namespaces."""

    def _is_allowed(self, verb: str, resource: str, name: str, namespace: str) -> None:
        if (verb, resource) in self.forbidden:
            group = GROUPS.get(resource, "")
            who = f'{_full(resource)} "{name}" is forbidden: User "ci" cannot {verb} resource "{resource}"'
            plain = f'{who} in API group "{group}" in the namespace "{namespace}"'
            raise Refusal(403, "Forbidden", plain)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        found = PATH.fullmatch(request.path)
        namespace = NAMESPACE_PATH.fullmatch(request.path)
        try:
            if namespace is not None:
                return self._namespace(namespace["namespace"])
            if found is None:
                raise Refusal(404, "NotFound", "the server could not find the requested resource")
            return await self._answer(request, found)
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
        self._is_allowed("get", "namespaces", name, name)
        metadata = {"name": name, "uid": f"{self.cluster}-{name}"}
        return web.json_response({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})

    async def _answer(self, request: web.Request, found: re.Match[str]) -> web.StreamResponse:
        namespace, resource, name = found["namespace"], found["resource"], found["name"] or ""
        if request.path.startswith("/apis/metrics.k8s.io/"):
            return self._metrics(request, namespace)
        verb = VERBS[request.method] if name or request.method != "GET" else "list"
        full = f"{resource}/{found['sub']}" if found["sub"] else resource
        self.requests.append((verb, full, name))
        self.before(verb, full, name)
        self._is_allowed(verb, full, name, namespace)
        if found["sub"]:
            return await self._inside(request, namespace, name, found["sub"], found["rest"] or "")
        if resource == "deployments" and verb == "get":
            self.step()
        body = await request.json() if request.can_read_body else None
        answer = self._done(verb, resource, namespace, name, request, body)
        self.after(verb, full, name)
        return web.json_response(answer, status=201 if verb == "create" else 200)

    def _done(self, verb: str, resource: str, namespace: str, name: str, request: web.Request, body: Any) -> Said:
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
                resource, namespace, name, patched(self.store.get(resource, namespace, name), body)
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

    async def _inside(self, request: web.Request, namespace: str, name: str, sub: str, rest: str) -> web.StreamResponse:
        pod = self.store.get("pods", namespace, name.partition(":")[0])
        if sub == "log":
            return self._log(request, pod)
        if sub == "proxy":
            told = self.pods.http(pod, f"/{rest}")
            if told is None:
                raise Refusal(503, "ServiceUnavailable", "error trying to reach service: connection refused")
            return web.Response(status=told[0], text=told[1])
        return await self._execute(request, pod)

    def _log(self, request: web.Request, pod: Said) -> web.Response:
        lines = self.pods.log(pod, request.query.get("previous", "").lower() == "true")
        if lines is None:
            name = pod["metadata"]["name"]
            raise Refusal(400, "BadRequest", f'previous terminated container "app" in pod "{name}" not found')
        tail = int(request.query.get("tailLines", len(lines)))
        return web.Response(text="".join(f"{line}\n" for line in lines[max(0, len(lines) - tail) :]))

    async def _execute(self, request: web.Request, pod: Said) -> web.StreamResponse:
        code, printed = self.pods.execute(pod, request.query.getall("command"))
        socket = web.WebSocketResponse(protocols=("v4.channel.k8s.io",))
        await socket.prepare(request)
        for line in printed.splitlines(keepends=True):
            await socket.send_bytes(b"\x01" + line.encode())
        status: Said = {"metadata": {}, "status": "Success"}
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


class Running:
    """An :class:`ApiServer` in a thread of its own; ``with`` starts and ends it. Each ``server`` can be replaced."""

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

    def __enter__(self) -> "Running":
        self._thread.start()
        assert self._ready.wait(30)
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
