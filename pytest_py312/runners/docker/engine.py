"""The Docker engine, spoken to with a time limit on every call and with three kinds of trouble told apart.

The SDK is imported when the first engine is connected, not with this module.
"""

import contextlib
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, TypeVar

from pytest_py312.core.errors import RunnerUnavailable
from pytest_py312.core.process_identity import Owner, is_abandoned
from pytest_py312.runners.docker.container_specs import OWNER_LABEL, RUN_LABEL, Recipe
from pytest_py312.runners.docker.errors import EngineLost, Refused, close_refused, if_known, reason_of, told_apart
from pytest_py312.runners.docker.output import NeverBegun, Tail, frames
from pytest_py312.runners.docker.ping import engine_address

if TYPE_CHECKING:
    from docker import APIClient

CALL_LIMIT = 60
"""Seconds that one call to the engine may take; a loaded engine needs several to start a container."""
START_ATTEMPTS = 3
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """Of a container: whether it runs, its exit code, whether a process of it was killed for want of memory."""

    running: bool
    exit_code: int
    out_of_memory: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Launched:
    """A started container and, where it was asked for, the end of what it prints."""

    id: str
    output: Tail
    reader: Thread | None


def _timed_out(error: BaseException) -> bool:
    import requests
    import urllib3

    causes = (error, *error.args)
    return any(
        isinstance(cause, (requests.Timeout, urllib3.exceptions.ReadTimeoutError, TimeoutError)) for cause in causes
    )


def connect(address: str = "") -> "Engine":
    """The engine at ``address``, at ``DOCKER_HOST``, or at its usual socket.

    :raises RunnerUnavailable: none answers there, or it may not be used by this user.
    """
    import docker
    import docker.utils

    where = address or engine_address()
    try:
        given = docker.utils.kwargs_from_env(environment={**os.environ, "DOCKER_HOST": address} if address else None)
        # times out per call; the version is asked once, here
        client = docker.APIClient(
            **given, version="auto", timeout=CALL_LIMIT, use_ssh_client=address.startswith("ssh://")
        )
    except Exception as error:  # whatever the SDK makes of a wrong address, missing keys or a refused connection
        close_refused(error)
        raise RunnerUnavailable(
            f"no Docker engine can be used at {where} ({reason_of(error)}). Start it, or give this user the "
            "right to its socket, or set DOCKER_HOST, or run without containers: --py312-runner=local"
        ) from error
    return Engine(client)


class Engine:
    """One connected engine. All methods may be called from several threads; each is bounded in time.

    Each raises :class:`EngineLost` and :class:`Refused` unless it says otherwise.
    """

    def __init__(self, client: "APIClient") -> None:
        self._client = client

    @property
    def client(self) -> "APIClient":
        """The SDK's own, for what is done with images beside this; only within :func:`told_apart`."""
        return self._client

    def facts(self) -> tuple[str, ...]:
        """The engine's security options: ``name=rootless``, ``name=selinux``, ..."""
        with told_apart():
            return tuple(str(option) for option in self._client.info().get("SecurityOptions") or ())

    def image_id(self, image: str) -> str | None:
        """The id of a local image; ``None`` when the engine has none of that name."""
        return if_known(lambda: str(self._client.inspect_image(image)["Id"]))  # type: ignore[no-untyped-call]  # so in its stubs

    def pull(self, image: str, *, time_limit: float) -> None:
        """Fetch an image from its registry, within ``time_limit`` seconds.

        :raises Refused: also for an error that the registry reports, and when the time is over.
        """
        import docker.utils

        name, tag = docker.utils.parse_repository_tag(image)
        deadline = time.monotonic() + time_limit
        with told_apart():
            for message in self._client.pull(name, tag=tag or "latest", stream=True, decode=True):
                if "error" in message:
                    raise Refused(str(message["error"]), 500)
                if time.monotonic() > deadline:
                    raise Refused(f"not finished after {time_limit:g} s", 500)

    def launch(self, recipe: Recipe, *, listen: bool = True, started: Callable[[str], None] | None = None) -> Launched:
        """Create and start a container; a start that fails for no reason of ours is tried again.

        ``started`` is told each container's id before its start, so that it is known whatever happens next. A
        container whose start failed is removed.
        """
        for attempt in range(1, START_ATTEMPTS + 1):
            container = self._create(recipe)
            if started is not None:
                started(container)
            try:
                launched = self._start(container, listen=listen)
            except BaseException as error:
                self.remove(container)
                if not isinstance(error, Refused) or attempt == START_ATTEMPTS or not _worth_another_try(error):
                    raise
            else:
                return launched
        raise AssertionError("the loop above returns or raises")

    def _create(self, recipe: Recipe) -> str:
        from docker.types import LogConfig, Mount, Ulimit

        limits: dict[str, Any] = {}
        if recipe.memory is not None:
            limits |= {"mem_limit": recipe.memory, "memswap_limit": recipe.memory}
            limits |= {"shm_size": max(recipe.memory // 4, 64 * 1024**2)}
        if recipe.processes is not None:
            limits |= {"pids_limit": recipe.processes}
        if recipe.closed:
            limits |= {"cap_drop": ["ALL"], "read_only": True, "ipc_mode": "private", "init": True}
        with told_apart():
            host = self._client.create_host_config(
                # Mount, never `volumes`: that writes them into the image's configuration when one is committed
                mounts=[
                    Mount(bind.target, str(bind.source), type="bind", read_only=not bind.writable)
                    for bind in recipe.binds
                ],
                tmpfs=dict(recipe.tmpfs),
                network_mode=recipe.network,
                security_opt=list(recipe.security),
                ulimits=[Ulimit(name="core", soft=0, hard=0)],
                # nothing is kept on disk: a suite that prints for minutes is read as it prints, and forgotten
                log_config=LogConfig(type="none"),
                **limits,
            )
            created = self._client.create_container(
                recipe.image,
                entrypoint=list(recipe.entry),
                user=recipe.user,
                environment=dict(recipe.variables),
                labels=dict(recipe.labels),
                hostname=None if recipe.network == "host" else "localhost",
                working_dir=recipe.working_folder,
                host_config=host,
                healthcheck={"test": ["NONE"]},
                use_config_proxy=recipe.network != "none",
            )
        return str(created["Id"])

    def _start(self, container: str, *, listen: bool) -> Launched:
        output = Tail(lanes=2)
        # listening begins before the start, so that nothing is missed
        reader = self._listening(container, output) if listen else None
        with told_apart():
            self._client.start(container)
        return Launched(id=container, output=output, reader=reader)

    def _listening(self, container: str, output: Tail) -> Thread:
        """A thread that reads what a container prints, attached already. How its stream ends says nothing about the
        cell, which is judged by its records and its state: streams of a dying engine end as if all were well."""
        attached = Event()
        trouble: list[Exception] = []

        def listen() -> None:
            try:
                with told_apart():
                    stream = self._client.attach_socket(container, {"stdout": 1, "stderr": 1, "stream": 1})
                    attached.set()
                    for kind, part in frames(stream):
                        output.add(part, lane=int(kind == 2))
            except (EngineLost, Refused) as error:
                trouble.append(error)
            finally:
                attached.set()

        reader = Thread(target=listen, daemon=True, name=f"output of {container[:12]}")
        reader.start()
        if not attached.wait(CALL_LIMIT):  # the SDK sets no time limit on this one call
            raise EngineLost(f"the Docker engine did not answer for {CALL_LIMIT} s")
        if trouble:
            raise trouble[0]
        return reader

    def wait(self, container: str, seconds: float) -> bool:
        """Whether the container has ended within ``seconds``.

        :raises EngineLost: also when the connection broke in mid-wait, even if an engine answers again by now: one
            that was started anew has ended the container, and its exit code says nothing about the suite.
        """
        try:
            with told_apart():
                self._client.wait(container, timeout=max(seconds, 0.01))  # type: ignore[arg-type]  # requests takes parts of seconds
        except EngineLost as lost:
            if lost.__cause__ is not None and _timed_out(lost.__cause__):
                return False
            raise
        return True

    def state(self, container: str) -> State | None:
        """What the engine says of a container; ``None`` when it knows none of that id."""
        found = if_known(lambda: self._client.inspect_container(container))
        if found is None:
            return None
        said = found["State"]
        return State(
            running=bool(said.get("Running")),
            exit_code=int(said.get("ExitCode", -1)),
            out_of_memory=bool(said.get("OOMKilled")),
        )

    def signal(self, container: str, name: str) -> None:
        """Send a signal to a container's first process; one that has ended already is no trouble."""
        try:
            with told_apart():
                self._client.kill(container, signal=name)
        except Refused:
            return

    def allow_memory(self, container: str, size: int) -> None:
        """Give a running container ``size`` bytes of memory instead of what it has."""
        with told_apart():
            self._client.update_container(container, mem_limit=size, memswap_limit=size)

    def execute(self, container: str, argv: list[str], take: Callable[[int, bytes], None]) -> int:
        """Run a further process in a container to its end and return its exit code (-1 when the engine has none).

        ``take`` gets what it prints, piece by piece: (1 for standard output or 2 for standard error, bytes). A process
        that the engine could not begin, for no reason of ours, is tried again.
        """
        for _ in range(1, START_ATTEMPTS):
            held = NeverBegun(take)
            code = self._execute(container, argv, held)
            if not held.is_worth_another_try:
                held.let_go()
                return code
        return self._execute(container, argv, take)

    def _execute(self, container: str, argv: list[str], take: Callable[[int, bytes], None]) -> int:
        with told_apart():
            number = self._client.exec_create(container, argv)["Id"]
            for kind, part in frames(self._client.exec_start(number, socket=True)):
                take(kind, part)
            for _ in range(200):  # its output ends a moment before its end is known
                said = self._client.exec_inspect(number)
                if not said["Running"]:
                    code = said["ExitCode"]
                    return code if isinstance(code, int) else -1
                time.sleep(0.01)
        return -1

    def remove(self, container: str) -> None:
        """End and remove a container. Never raises: what cannot be removed now is swept by a later run."""
        with contextlib.suppress(EngineLost, Refused), told_apart():
            self._client.remove_container(container, force=True, v=True)

    def remove_run(self, run_id: str, owner: str) -> None:
        """End and remove what one process has started for a run (its workers have theirs). Never raises."""
        with contextlib.suppress(EngineLost, Refused):
            for found in self._labelled(f"{RUN_LABEL}={run_id}", f"{OWNER_LABEL}={owner}"):
                self.remove(str(found["Id"]))

    def sweep(self, me: Owner, now: float) -> int:
        """Remove what killed runs left behind, and say how many that were. Never raises. ``now``: since the epoch."""
        swept = 0
        with contextlib.suppress(EngineLost, Refused):
            for found in self._labelled(OWNER_LABEL):
                if _is_left(found, me, now):
                    self.remove(str(found["Id"]))
                    swept += 1
        self._sweep_images(me, now)  # last: a container that runs holds the image that it was made from
        return swept

    def _sweep_images(self, me: Owner, now: float) -> None:
        found: list[Mapping[str, Any]] = []
        with contextlib.suppress(EngineLost, Refused), told_apart():
            found = list(self._client.images(all=True, filters={"label": OWNER_LABEL}))
        for image in found:
            if _is_left(image, me, now):
                # each by itself: one that cannot be removed keeps none of the others
                with contextlib.suppress(EngineLost, Refused), told_apart():
                    self._client.remove_image(image["Id"], force=True)

    def _labelled(self, *labels: str) -> list[Mapping[str, Any]]:
        with told_apart():
            return list(self._client.containers(all=True, filters={"label": list(labels)}))

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()


def _is_left(found: Mapping[str, Any], me: Owner, now: float) -> bool:
    """Whether a container or an image, as the engine lists it, is what a killed run left behind."""
    label = str((found.get("Labels") or {}).get(OWNER_LABEL, ""))
    return is_abandoned(label, created=float(found.get("Created", now)), now=now, me=me)


def _worth_another_try(refused: Refused) -> bool:
    # one start among some thousand fails in the engine ("read init-p: connection reset by peer"),
    # and works when repeated
    return refused.status >= 400 and not (refused.disk_full or refused.no_such_program or refused.not_found)
