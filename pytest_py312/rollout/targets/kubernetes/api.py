"""The one door to the ``kubernetes`` client: what is asked of a cluster, in plain JSON, and its trouble in our words.

Objects come and go as the server writes them, not as the client's classes: a template that is stored and applied again
must not lose what a newer server knows and an older client does not. What an error says is the server's message and
what was not allowed; headers and bodies, which may hold credentials, are not shown.
"""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from pytest_py312.core import clock
from pytest_py312.rollout.targets.labels import Said
from pytest_py312.rollout.targets.target import TargetLost, TargetRefused

LIMIT = 10.0
"""Seconds for one request."""
MOST_BYTES = 1024 * 1024
NEEDED = "the target kubernetes needs pytest-py312[kubernetes]"
FIELD_MANAGER = "pytest-py312"

_RAW: dict[str, Any] = {"_preload_content": False, "_request_timeout": LIMIT}
_POLICY = re.compile(r"forbidden: (?!User )| denied ")
"""Of an answer 403: a quota or an admission policy says so, and no role would help."""
_HANDSHAKE = re.compile(r"Handshake status (\d{3})")
_NOT_NOW = frozenset({0, 408, 425, 429, 500, 502, 503, 504})
"""States of HTTP that say nothing about what was asked; 0 is the client's own: there was no connection."""


class Conflict(TargetRefused):
    """Somebody else was quicker: read it again."""


class Cluster:
    """A cluster, as one of the user's contexts reaches it. All methods raise as a target does.

    ``namespace`` is where what is not told otherwise lies.
    """

    def __init__(self, configuration: Any, namespace: str) -> None:
        from kubernetes import client

        self.namespace = namespace
        self._configuration = configuration
        self._api = client.ApiClient(configuration)
        self._apps = client.AppsV1Api(self._api)
        self._core = client.CoreV1Api(self._api)
        self._leases = client.CoordinationV1Api(self._api)
        self._others = client.CustomObjectsApi(self._api)

    def close(self) -> None:
        self._api.close()

    # ---- looking

    def deployment(self, namespace: str, name: str) -> Said | None:
        return _or_none(
            lambda: self._read("get deployments.apps", self._apps.read_namespaced_deployment, name, namespace)
        )

    def config_map(self, namespace: str, name: str) -> Said | None:
        return _or_none(lambda: self._read("get configmaps", self._core.read_namespaced_config_map, name, namespace))

    def namespace_uid(self) -> str:
        """Of the namespace where what is not told otherwise lies; empty where there is none of that name."""
        found = _or_none(lambda: self._read("get namespaces", self._core.read_namespace, self.namespace))
        return str(found["metadata"].get("uid", "")) if found else ""

    def lease(self, name: str) -> Said | None:
        read = self._leases.read_namespaced_lease
        return _or_none(lambda: self._read("get leases.coordination.k8s.io", read, name, self.namespace))

    def replica_sets(self, namespace: str, selector: str) -> list[Said]:
        lists = self._apps.list_namespaced_replica_set
        return _items(self._read("list replicasets.apps", lists, namespace, label_selector=selector))

    def pods(self, namespace: str, selector: str) -> list[Said]:
        return _items(self._read("list pods", self._core.list_namespaced_pod, namespace, label_selector=selector))

    def config_maps(self, namespace: str, selector: str) -> list[Said]:
        lists = self._core.list_namespaced_config_map
        return _items(self._read("list configmaps", lists, namespace, label_selector=selector))

    def pod_metrics(self, namespace: str, selector: str) -> list[Said] | None:
        """What the pods use, as metrics.k8s.io tells it; ``None`` where nobody does."""
        lists = self._others.list_namespaced_custom_object
        group = ("metrics.k8s.io", "v1beta1", namespace, "pods")
        found = _or_none(lambda: self._read("list pods.metrics.k8s.io", lists, *group, label_selector=selector))
        return None if found is None else _items(found)

    def log(self, namespace: str, pod: str, container: str, *, tail: int, since: int | None, previous: bool) -> bytes:
        """The end of a container's log, of the last ``since`` seconds; nothing where there is none (any more)."""
        options: dict[str, Any] = {"container": container, "tail_lines": tail, "limit_bytes": MOST_BYTES}
        if since is not None:
            options["since_seconds"] = max(1, since)
        read = self._core.read_namespaced_pod_log
        with _in_words("get pods/log"):
            try:
                return _begin_of(read(pod, namespace, previous=previous, **_RAW, **options))
            except _api_exception() as error:
                if error.status in (400, 404):
                    return b""  # it is gone, has not begun yet, or has not ended before
                raise

    def proxy(self, namespace: str, pod: str, port: int, path: str) -> tuple[int, bytes]:
        """What a pod answers to a GET, asked by the API server: status and body."""
        ask = self._core.connect_get_namespaced_pod_proxy_with_path
        with _in_words("get pods/proxy"):
            try:
                answer = ask(f"{pod}:{port}", namespace, path.lstrip("/"), **_RAW)
                return int(answer.status), _begin_of(answer)
            except _api_exception() as error:
                if error.status and not _is_the_servers_own(error):
                    return int(error.status), b""
                raise

    def execute(self, namespace: str, pod: str, container: str, argv: list[str], *, most: int) -> bytes | None:
        """What a command prints in a container; ``None`` where it could not be begun there.

        :param most: bytes after which it is not listened to any more.
        """
        from kubernetes import client
        from kubernetes.stream import stream

        # a client of its own: the library's stream() puts another transport into the one it is given
        core = client.CoreV1Api(client.ApiClient(self._configuration))
        with _in_words(
            "get pods/exec"
        ):  # it is asked for by a GET that becomes a websocket; newer ones want `create` too
            try:
                opened = stream(
                    core.connect_get_namespaced_pod_exec,
                    pod, namespace, container=container, command=argv,
                    stdin=False, stdout=True, stderr=True, tty=False, _preload_content=False,
                )  # fmt: skip
            except _api_exception() as error:
                if _status(error) in (400, 404, 500):  # gone, not running, or no such program
                    return None
                raise
            try:
                return _heard(opened.sock, most)
            finally:
                opened.sock.shutdown()  # close() leaves it open where the other side was first

    # ---- acting

    def patch_template(self, deployment: Said, template: Said) -> None:
        """Put ``template`` in the place of the deployment's, and leave all else alone.

        The version that was read goes with it, so that nothing that was changed since is overwritten; a patch of JSON,
        since others merge lists and would leave in what ``template`` does not have.

        :raises Conflict: it was changed since it was read. https://github.com/kubernetes/kubernetes/issues/15416
        """
        metadata = deployment["metadata"]
        patch = [
            {"op": "replace", "path": "/metadata/resourceVersion", "value": metadata["resourceVersion"]},
            {"op": "replace", "path": "/spec/template", "value": template},
        ]
        write = self._apps.patch_namespaced_deployment
        where = (metadata["name"], metadata["namespace"])
        self._read("patch deployments.apps", write, *where, patch, field_manager=FIELD_MANAGER)

    def create_config_map(self, namespace: str, body: Said) -> None:
        self._read("create configmaps", self._core.create_namespaced_config_map, namespace, body)

    def delete_config_map(self, namespace: str, name: str) -> None:
        with suppress(_Missing):
            self._read("delete configmaps", self._core.delete_namespaced_config_map, name, namespace)

    def create_lease(self, body: Said) -> None:
        self._read("create leases.coordination.k8s.io", self._leases.create_namespaced_lease, self.namespace, body)

    def delete_lease(self, name: str, *, uid: str, version: str) -> None:
        """Delete this very one, in this version of it.

        :raises Conflict: it was changed since.
        """
        same = {"preconditions": {"uid": uid, "resourceVersion": version}}
        delete = self._leases.delete_namespaced_lease
        with suppress(_Missing):
            self._read("delete leases.coordination.k8s.io", delete, name, self.namespace, body=same)

    def _read(self, right: str, call: Callable[..., Any], *words: Any, **options: Any) -> Said:
        """The answer of one call, as JSON. ``right`` is what the user has to be allowed."""
        with _in_words(right):
            answer = call(*words, **_RAW, **options)
            found = _document(answer.data)
            if not found:
                raise TargetLost(f"the cluster's answer to {right} is no object")
            return found


class _Missing(TargetRefused):
    """There is no such object."""


def _or_none(read: Callable[[], Said]) -> Said | None:
    try:
        return read()
    except _Missing:
        return None


def _begin_of(answer: Any) -> bytes:
    """The first part of a body that may have no end; the connection is not used again."""
    try:
        return bytes(answer.read(MOST_BYTES))
    finally:
        answer.close()


def _items(said: Said) -> list[Said]:
    return list(said.get("items") or ())


def _api_exception() -> Any:
    from kubernetes.client.exceptions import ApiException

    return ApiException


@contextmanager
def _in_words(right: str) -> Iterator[None]:
    """
    :raises TargetLost: the cluster does not answer, or not now.
    :raises Conflict, TargetRefused: it answered that it will not.
    """
    from urllib3.exceptions import HTTPError
    from websocket import WebSocketException

    try:
        yield
    except _api_exception() as error:
        raise _told(error, right) from None  # its text has the headers and the body of the answer
    except (HTTPError, WebSocketException, OSError) as error:
        raise TargetLost(f"the cluster does not answer ({right}): {type(error).__name__}: {str(error)[:300]}") from None


def _told(error: Any, right: str) -> Exception:
    status = _status(error)
    message = str(_document(error.body).get("message") or error.reason or "").split(" -+-+- ")[0][:600]
    if status in _NOT_NOW:
        return TargetLost(f"the cluster does not answer ({right}): {message or status}")
    if status == 401:
        return TargetRefused(f"the cluster does not know the user of this context ({right}); log in to it again")
    if status == 403 and _POLICY.search(message):
        return TargetRefused(f"the cluster forbids it ({right}): {message}")
    if status == 403:
        return TargetRefused(f"the right to {right} is missing: {message}")
    if status == 404:
        return _Missing(f"there is none ({right}): {message}")
    if status == 409:
        return Conflict(f"somebody else was quicker ({right}): {message}")
    return TargetRefused(f"the cluster refuses it ({right}, {status}): {message}")


def _status(error: Any) -> int:
    """That of HTTP, also of a connection that was not let become a stream."""
    found = _HANDSHAKE.search(str(error.reason or "")) if not error.status else None
    return int(found[1]) if found else int(error.status or 0)


def _document(body: Any) -> Said:
    try:
        found = json.loads(body or "")
    except (TypeError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _is_the_servers_own(error: Any) -> bool:
    """Whether the API server says this, and not the pod that it has asked.

    A pod that cannot be reached is the pod's trouble all the same.
    """
    said = _document(error.body)
    return said.get("kind") == "Status" and said.get("apiVersion") == "v1" and error.status != 503


def _heard(socket: Any, most: int) -> bytes | None:
    """What comes over the channels 1 and 2 (stdout, stderr) until the end, ``most`` bytes of it or the time is up.

    Channel 3 says how it ended: a program that is not there has printed nothing.
    """
    printed, ended = bytearray(), b""
    until = clock.stopwatch() + LIMIT
    while len(printed) < most and (left := until - clock.stopwatch()) > 0:
        socket.settimeout(left)
        kind, frame = socket.recv_data_frame(True)
        if kind == 8:  # RFC 6455, 5.5.1: the other side is done
            break
        channel, data = frame.data[:1], frame.data[1:]
        if channel in (b"\x01", b"\x02"):
            printed += data[:most]
        elif channel == b"\x03":
            ended += data[:4096]
    return None if not printed and b'"Failure"' in ended else bytes(printed)


def quantity(text: str) -> float | None:
    """A quantity as Kubernetes writes it (``250m``, ``12345Ki``); ``None`` where it is none."""
    from kubernetes.utils import parse_quantity

    try:
        return float(parse_quantity(text))
    except ValueError:
        return None


# ---- the user's own access


def connect(context: str, namespace: str) -> Cluster:
    """The cluster of one of the contexts in the user's kubeconfig; inside a pod without one, the pod's own.

    :param context: its name; empty is the current one.
    :param namespace: empty is that of the context.
    :raises TargetRefused: there is no such context, or the client is not installed.
    """
    try:
        from kubernetes import client, config
    except ImportError as error:
        raise TargetRefused(f"{NEEDED} ({error})") from error
    configuration = client.Configuration()
    try:
        known, current = config.list_kube_config_contexts()
    except config.ConfigException as error:
        if context:
            raise TargetRefused(f"there is no context {context}: {_first_line(error)}") from None
        return _inside(configuration, namespace, error)
    names = [str(one["name"]) for one in known]
    if context and context not in names:
        raise TargetRefused(f"the kubeconfig has no context {context}; it has {', '.join(names) or 'none'}")
    try:
        config.load_kube_config(context=context or None, client_configuration=configuration)
    except config.ConfigException as error:
        raise TargetRefused(f"the context {context or current['name']} cannot be used: {_first_line(error)}") from None
    chosen = next((one for one in known if one["name"] == context), current)
    return _cluster(configuration, namespace or str(chosen["context"].get("namespace") or "default"))


def _inside(configuration: Any, namespace: str, why: Exception) -> Cluster:
    from kubernetes import config
    from kubernetes.config.incluster_config import SERVICE_TOKEN_FILENAME

    try:
        config.load_incluster_config(client_configuration=configuration)
    except config.ConfigException:
        raise TargetRefused(f"no cluster is known here: {_first_line(why)}") from None
    own = ""
    with suppress(OSError):
        from pathlib import Path

        own = Path(SERVICE_TOKEN_FILENAME).with_name("namespace").read_text(encoding="utf-8").strip()
    return _cluster(configuration, namespace or own or "default")


def _cluster(configuration: Any, namespace: str) -> Cluster:
    configuration.retries = False  # who asks here knows how long to go on asking
    configuration.safe_chars_for_path_param = "/:"
    return Cluster(configuration, namespace)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
