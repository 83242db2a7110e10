"""Access to a Kubernetes cluster: the only module that uses the ``kubernetes`` client.

Objects are plain JSON as the server sends them, not classes of the client: a template that is stored and applied again
must not lose fields that the client does not know. Errors are translated into those of a target. They contain the
server's message and the missing permission, but no headers or bodies, which may hold credentials.
"""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from pytest_py312.core import clock
from pytest_py312.rollout.targets.common import JsonObject
from pytest_py312.rollout.targets.target import TargetRefused, TargetUnavailable

REQUEST_TIMEOUT = 10.0
"""Seconds for one request."""
MAX_RESPONSE_BYTES = 1024 * 1024
MISSING_CLIENT = "the target kubernetes needs pytest-py312[kubernetes]"
FIELD_MANAGER = "pytest-py312"

_RAW_RESPONSE: dict[str, Any] = {"_preload_content": False, "_request_timeout": REQUEST_TIMEOUT}
_POLICY_DENIAL = re.compile(r"forbidden: (?!User )| denied ")
"""Matches a 403 from a quota or admission policy, which no additional role would solve."""
_HANDSHAKE_STATUS = re.compile(r"Handshake status (\d{3})")
_TRANSIENT_STATUSES = frozenset({0, 408, 425, 429, 500, 502, 503, 504})
"""HTTP statuses of temporary failures; 0 is the client's own status for a failed connection."""


class ConcurrentChange(TargetRefused):
    """Someone else changed the object meanwhile (409); read it again."""


class Cluster:
    """A cluster, accessed through a context of the user's kubeconfig. Methods raise errors of a target.

    ``namespace`` is the default namespace.
    """

    def __init__(self, configuration: Any, namespace: str) -> None:
        from kubernetes import client

        self.namespace = namespace
        self._configuration = configuration
        self._api = client.ApiClient(configuration)
        self._apps = client.AppsV1Api(self._api)
        self._core = client.CoreV1Api(self._api)
        self._leases = client.CoordinationV1Api(self._api)
        self._custom_objects = client.CustomObjectsApi(self._api)

    def close(self) -> None:
        self._api.close()

    # ---- reading

    def deployment(self, namespace: str, name: str) -> JsonObject | None:
        return _none_if_missing(
            lambda: self._call_api("get deployments.apps", self._apps.read_namespaced_deployment, name, namespace)
        )

    def config_map(self, namespace: str, name: str) -> JsonObject | None:
        return _none_if_missing(
            lambda: self._call_api("get configmaps", self._core.read_namespaced_config_map, name, namespace)
        )

    def namespace_uid(self) -> str:
        """Return the UID of the default namespace; empty if it does not exist."""
        namespace = _none_if_missing(
            lambda: self._call_api("get namespaces", self._core.read_namespace, self.namespace)
        )
        return str(namespace["metadata"].get("uid", "")) if namespace else ""

    def lease(self, name: str) -> JsonObject | None:
        read_call = self._leases.read_namespaced_lease
        return _none_if_missing(
            lambda: self._call_api("get leases.coordination.k8s.io", read_call, name, self.namespace)
        )

    def replica_sets(self, namespace: str, selector: str) -> list[JsonObject]:
        list_call = self._apps.list_namespaced_replica_set
        return _items(self._call_api("list replicasets.apps", list_call, namespace, label_selector=selector))

    def pods(self, namespace: str, selector: str) -> list[JsonObject]:
        return _items(self._call_api("list pods", self._core.list_namespaced_pod, namespace, label_selector=selector))

    def config_maps(self, namespace: str, selector: str) -> list[JsonObject]:
        list_call = self._core.list_namespaced_config_map
        return _items(self._call_api("list configmaps", list_call, namespace, label_selector=selector))

    def pod_metrics(self, namespace: str, selector: str) -> list[JsonObject] | None:
        """Return the usage of pods from metrics.k8s.io; ``None`` if the cluster has no such API."""
        list_call = self._custom_objects.list_namespaced_custom_object
        resource = ("metrics.k8s.io", "v1beta1", namespace, "pods")
        response = _none_if_missing(
            lambda: self._call_api("list pods.metrics.k8s.io", list_call, *resource, label_selector=selector)
        )
        return None if response is None else _items(response)

    def read_log(
        self, namespace: str, pod: str, container: str, *, tail: int, since: int | None, previous: bool
    ) -> bytes:
        """Return the end of a container's log of the last ``since`` seconds; empty if there is no log."""
        options: dict[str, Any] = {"container": container, "tail_lines": tail, "limit_bytes": MAX_RESPONSE_BYTES}
        if since is not None:
            options["since_seconds"] = max(1, since)
        read_call = self._core.read_namespaced_pod_log
        with _as_target_errors("get pods/log"):
            try:
                return _read_limited(read_call(pod, namespace, previous=previous, **_RAW_RESPONSE, **options))
            except _api_exception() as error:
                if error.status in (400, 404):
                    return b""  # gone, not started yet, or without a previous run
                raise

    def http_get(self, namespace: str, pod: str, port: int, path: str) -> tuple[int, bytes]:
        """Send a GET to a pod through the API server and return status and body."""
        proxy_call = self._core.connect_get_namespaced_pod_proxy_with_path
        with _as_target_errors("get pods/proxy"):
            try:
                response = proxy_call(f"{pod}:{port}", namespace, path.lstrip("/"), **_RAW_RESPONSE)
                return int(response.status), _read_limited(response)
            except _api_exception() as error:
                if error.status and not _is_api_server_error(error):
                    return int(error.status), b""
                raise

    def execute(self, namespace: str, pod: str, container: str, argv: list[str], *, max_bytes: int) -> bytes | None:
        """Run a command in a container and return its output; ``None`` if it could not be started.

        :param max_bytes: maximum size of the output that is read.
        """
        from kubernetes import client
        from kubernetes.stream import stream

        # a separate client: stream() replaces the transport of the client it gets
        core = client.CoreV1Api(client.ApiClient(self._configuration))
        # the call is a GET that is upgraded to a websocket; newer servers also require `create`
        with _as_target_errors("get pods/exec"):
            try:
                exec_stream = stream(
                    core.connect_get_namespaced_pod_exec,
                    pod, namespace, container=container, command=argv,
                    stdin=False, stdout=True, stderr=True, tty=False, _preload_content=False,
                )  # fmt: skip
            except _api_exception() as error:
                if _http_status(error) in (400, 404, 500):  # gone, not running, or no such program
                    return None
                raise
            try:
                return _read_exec_output(exec_stream.sock, max_bytes)
            finally:
                exec_stream.sock.shutdown()  # close() does nothing if the server closed first

    # ---- changes

    def patch_template(self, deployment: JsonObject, template: JsonObject) -> None:
        """Replace the pod template of a Deployment and nothing else.

        The patch includes the resource version that was read, so that later changes are not overwritten. It is a JSON
        patch, because the other kinds merge lists and would keep entries that ``template`` does not have.

        :raises ConcurrentChange: the Deployment changed since it was read.
            https://github.com/kubernetes/kubernetes/issues/15416
        """
        metadata = deployment["metadata"]
        patch = [
            {"op": "replace", "path": "/metadata/resourceVersion", "value": metadata["resourceVersion"]},
            {"op": "replace", "path": "/spec/template", "value": template},
        ]
        patch_call = self._apps.patch_namespaced_deployment
        name_and_namespace = (metadata["name"], metadata["namespace"])
        self._call_api("patch deployments.apps", patch_call, *name_and_namespace, patch, field_manager=FIELD_MANAGER)

    def create_config_map(self, namespace: str, body: JsonObject) -> None:
        self._call_api("create configmaps", self._core.create_namespaced_config_map, namespace, body)

    def delete_config_map(self, namespace: str, name: str) -> None:
        with suppress(_NotFound):
            self._call_api("delete configmaps", self._core.delete_namespaced_config_map, name, namespace)

    def delete_pod(self, namespace: str, name: str) -> None:
        """Delete a pod at once, as if its node had killed it."""
        with suppress(_NotFound):
            self._call_api("delete pods", self._core.delete_namespaced_pod, name, namespace, grace_period_seconds=0)

    def create_lease(self, body: JsonObject) -> None:
        self._call_api("create leases.coordination.k8s.io", self._leases.create_namespaced_lease, self.namespace, body)

    def delete_lease(self, name: str, *, uid: str, version: str) -> None:
        """Delete a Lease with this UID and resource version.

        :raises ConcurrentChange: it changed since it was read.
        """
        delete_options = {"preconditions": {"uid": uid, "resourceVersion": version}}
        delete_call = self._leases.delete_namespaced_lease
        with suppress(_NotFound):
            self._call_api("delete leases.coordination.k8s.io", delete_call, name, self.namespace, body=delete_options)

    def _call_api(self, permission: str, call: Callable[..., Any], *arguments: Any, **options: Any) -> JsonObject:
        """Return the JSON answer of one API call; ``permission`` is what the call requires, for error messages."""
        with _as_target_errors(permission):
            response = call(*arguments, **_RAW_RESPONSE, **options)
            document = _parse_object(response.data)
            if not document:
                raise TargetUnavailable(f"the cluster's answer to {permission} is not a JSON object")
            return document


class _NotFound(TargetRefused):
    """The object does not exist (404)."""


def _none_if_missing(read: Callable[[], JsonObject]) -> JsonObject | None:
    try:
        return read()
    except _NotFound:
        return None


def _read_limited(response: Any) -> bytes:
    """Read the beginning of a body of any size and close the connection."""
    try:
        return bytes(response.read(MAX_RESPONSE_BYTES))
    finally:
        response.close()


def _items(document: JsonObject) -> list[JsonObject]:
    return list(document.get("items") or ())


def _api_exception() -> Any:
    from kubernetes.client.exceptions import ApiException

    return ApiException


@contextmanager
def _as_target_errors(permission: str) -> Iterator[None]:
    """Translate errors of the client into those of a target.

    :raises TargetUnavailable: the cluster does not answer, or is temporarily unable to.
    :raises ConcurrentChange, TargetRefused: the cluster refused the call.
    """
    from urllib3.exceptions import HTTPError
    from websocket import WebSocketException

    try:
        yield
    except _api_exception() as error:
        raise _translate_error(error, permission) from None  # its text contains headers and body
    except (HTTPError, WebSocketException, OSError) as error:
        raise TargetUnavailable(
            f"the cluster does not answer ({permission}): {type(error).__name__}: {str(error)[:300]}"
        ) from None


def _translate_error(error: Any, permission: str) -> Exception:
    status = _http_status(error)
    message = str(_parse_object(error.body).get("message") or error.reason or "").split(" -+-+- ")[0][:600]
    if status in _TRANSIENT_STATUSES:
        return TargetUnavailable(f"the cluster does not answer ({permission}): {message or status}")
    if status == 401:
        return TargetRefused(f"the cluster does not accept the user of this context ({permission}); log in again")
    if status == 403 and _POLICY_DENIAL.search(message):
        return TargetRefused(f"the cluster forbids it ({permission}): {message}")
    if status == 403:
        return TargetRefused(f"missing permission to {permission}: {message}")
    if status == 404:
        return _NotFound(f"not found ({permission}): {message}")
    if status == 409:
        return ConcurrentChange(f"changed by someone else meanwhile ({permission}): {message}")
    return TargetRefused(f"the cluster refuses it ({permission}, {status}): {message}")


def _http_status(error: Any) -> int:
    """Return the HTTP status of an error, including that of a refused websocket upgrade."""
    handshake = _HANDSHAKE_STATUS.search(str(error.reason or "")) if not error.status else None
    return int(handshake[1]) if handshake else int(error.status or 0)


def _parse_object(body: Any) -> JsonObject:
    try:
        document = json.loads(body or "")
    except (TypeError, ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _is_api_server_error(error: Any) -> bool:
    """Return whether an error of a proxied request comes from the API server and not from the pod.

    503 (the pod cannot be reached) counts as the pod's error.
    """
    status = _parse_object(error.body)
    return status.get("kind") == "Status" and status.get("apiVersion") == "v1" and error.status != 503


def _read_exec_output(socket: Any, max_bytes: int) -> bytes | None:
    """Read the channels 1 and 2 (stdout, stderr) until they end, exceed ``max_bytes``, or time out.

    Channel 3 carries the exit status. Return ``None`` if it reports a failure and there is no output, as is the case
    for a missing program.
    """
    output, exit_status = bytearray(), b""
    deadline = clock.stopwatch() + REQUEST_TIMEOUT
    while len(output) < max_bytes and (seconds_left := deadline - clock.stopwatch()) > 0:
        socket.settimeout(seconds_left)
        opcode, frame = socket.recv_data_frame(True)
        if opcode == 8:  # close frame, RFC 6455, 5.5.1
            break
        channel, data = frame.data[:1], frame.data[1:]
        if channel in (b"\x01", b"\x02"):
            output += data[:max_bytes]
        elif channel == b"\x03":
            exit_status += data[:4096]
    return None if not output and b'"Failure"' in exit_status else bytes(output)


def quantity_value(text: str) -> float | None:
    """Convert a Kubernetes quantity (``250m``, ``12345Ki``) to a number; ``None`` if it is invalid."""
    from kubernetes.utils import parse_quantity

    try:
        return float(parse_quantity(text))
    except ValueError:
        return None


# ---- connecting


def connect(context: str, namespace: str) -> Cluster:
    """Connect to the cluster of a context in the user's kubeconfig; inside a pod without one, to the pod's cluster.

    :param context: its name; empty for the current context.
    :param namespace: the default namespace; empty for that of the context.
    :raises TargetRefused: there is no such context, or the client is not installed.
    """
    try:
        from kubernetes import client, config
    except ImportError as error:
        raise TargetRefused(f"{MISSING_CLIENT} ({error})") from error
    configuration = client.Configuration()
    try:
        contexts, active_context = config.list_kube_config_contexts()
    except config.ConfigException as error:
        if context:
            raise TargetRefused(f"there is no context {context}: {_first_line(error)}") from None
        return _connect_in_cluster(configuration, namespace, error)
    names = [str(entry["name"]) for entry in contexts]
    if context and context not in names:
        raise TargetRefused(f"the kubeconfig has no context {context}; it has {', '.join(names) or 'none'}")
    try:
        config.load_kube_config(context=context or None, client_configuration=configuration)
    except config.ConfigException as error:
        raise TargetRefused(
            f"the context {context or active_context['name']} cannot be used: {_first_line(error)}"
        ) from None
    chosen_context = next((entry for entry in contexts if entry["name"] == context), active_context)
    return _make_cluster(configuration, namespace or str(chosen_context["context"].get("namespace") or "default"))


def _connect_in_cluster(configuration: Any, namespace: str, kubeconfig_error: Exception) -> Cluster:
    from kubernetes import config
    from kubernetes.config.incluster_config import SERVICE_TOKEN_FILENAME

    try:
        config.load_incluster_config(client_configuration=configuration)
    except config.ConfigException:
        raise TargetRefused(f"no cluster is configured: {_first_line(kubeconfig_error)}") from None
    own_namespace = ""
    with suppress(OSError):
        from pathlib import Path

        own_namespace = Path(SERVICE_TOKEN_FILENAME).with_name("namespace").read_text(encoding="utf-8").strip()
    return _make_cluster(configuration, namespace or own_namespace or "default")


def _make_cluster(configuration: Any, namespace: str) -> Cluster:
    configuration.retries = False  # callers retry as long as it is useful
    configuration.safe_chars_for_path_param = "/:"
    return Cluster(configuration, namespace)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
