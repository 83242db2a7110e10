"""Health checks of the Docker target: HTTP, gRPC, and a command in the container."""

import asyncio
from collections.abc import Sequence
from threading import Thread

from pytest_py312.rollout.domain.target_model import Container, ServiceSpec
from pytest_py312.rollout.metrics.grpc_health import check_grpc_health
from pytest_py312.rollout.metrics.http_client import HttpResponse, NoResponse, RequestNotSent, build_url, http_request
from pytest_py312.rollout.metrics.reading import single_line
from pytest_py312.rollout.targets.common import JsonObject
from pytest_py312.rollout.targets.docker.addressing import AddressResolver
from pytest_py312.rollout.targets.target import TargetRefused
from pytest_py312.runners.docker.engine import DockerEngine

HTTP_TIMEOUT = 5.0
"""Seconds for one HTTP request including its whole response."""
MAX_OUTPUT_BYTES = 256 * 1024
"""Maximum size of a command's output. Contract tests transfer data through it, so it is large."""


def http_get(host: str, port: int, path: str) -> HttpResponse | str:
    """Send a GET and return the response, or why there is none."""
    try:
        return asyncio.run(http_request(build_url(host, port, path), timeout=HTTP_TIMEOUT))
    except (NoResponse, RequestNotSent) as error:
        return str(error)
    except ImportError as error:
        raise TargetRefused(f"HTTP checks need pytest-py312[rollout] ({error})") from error


def health_path_problem(response: HttpResponse | str, path: str) -> str:
    """Return why a service is not healthy by the answer to its health path; empty if it is.

    :param response: the answer, or why there is none.
    """
    if isinstance(response, str):
        return response
    return "" if 200 <= response.status < 400 else f"{path} answers {response.status}"


def health_problem(
    engine: DockerEngine, container_info: JsonObject, spec: ServiceSpec, addresses: AddressResolver, *, timeout: float
) -> str:
    """Return why a container fails its gRPC check or health command; empty if it passes or has neither.

    Raises errors of the engine's client and of a target.
    """
    if spec.grpc is not None and spec.port:
        reading = check_grpc_health(*addresses.resolve(container_info, spec), spec.grpc, timeout=timeout)
        if reading.value is None:
            return reading.detail
    if spec.health_command:
        container = Container(id=str(container_info["Id"]), image=str(container_info["Image"]))
        code, output = run_in_container(engine, container, spec.health_command, timeout=timeout)
        if code:
            return f"{spec.health_command[0]} ended with {code}: {single_line(output)}"
    return ""


def run_in_container(
    engine: DockerEngine, container: Container, argv: Sequence[str], *, timeout: float
) -> tuple[int, str]:
    """Run a command in a container and return its exit code and output.

    A command that exceeds ``timeout`` is left running, because the engine's API cannot end it.

    :raises TargetRefused: it did not end in time.
    """
    output = bytearray()
    exit_codes: list[int] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            exit_codes.append(engine.execute(container.id, list(argv), lambda kind, part: output.extend(part)))
        except BaseException as error:  # raised again in the calling thread
            errors.append(error)

    thread = Thread(target=run, name=f"health of {container.id[:12]}", daemon=True)
    thread.start()
    thread.join(timeout)
    if errors:
        raise errors[0]
    if not exit_codes:
        raise TargetRefused(f"{argv[0]} did not end within {timeout:g} s")
    return exit_codes[0], bytes(output[-MAX_OUTPUT_BYTES:]).decode("utf-8", "replace")
