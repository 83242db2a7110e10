"""What a Docker engine tells about itself, its images and its containers, as
:mod:`~pytest_py312.rollout.targets.target`.
"""

import re
from collections.abc import Mapping
from typing import Any

from pytest_py312.rollout.targets.docker.engine_calls import in_words, inspected, moment_in
from pytest_py312.rollout.targets.target import EngineFacts, ImageFacts
from pytest_py312.runners.docker.engine import Engine
from pytest_py312.runners.docker.errors import if_known, told_apart

_PYTHON = re.compile(r"PYTHON_VERSION=(3\.\d{1,2})(?:\.\d+)?", re.ASCII)
"""Images of Docker's own library say so."""


@in_words()
def engine_facts(engine: Engine) -> EngineFacts:
    """See :class:`~pytest_py312.rollout.targets.target.Inspectable`; so are the others."""
    with told_apart():
        said: Any = engine.client.info()
    # as the SDK writes a socket of this machine
    return facts_in(said, is_beside=engine.client.base_url.startswith("http+docker://"))


def facts_in(said: Mapping[str, Any], *, is_beside: bool) -> EngineFacts:
    """What ``GET /info`` says. Pure."""
    return EngineFacts(
        name="Docker",
        version=str(said.get("ServerVersion", "")),
        host=str(said.get("Name", "")),
        kernel=str(said.get("KernelVersion", "")),
        root=str(said.get("DockerRootDir", "")),
        cgroup=str(said.get("CgroupVersion", "")),
        live_restore=bool(said.get("LiveRestoreEnabled")),
        swarm=str((said.get("Swarm") or {}).get("LocalNodeState", "")),
        is_manager=bool((said.get("Swarm") or {}).get("ControlAvailable")),
        time=moment_in(str(said.get("SystemTime", ""))),
        is_beside=is_beside,
    )


@in_words()
def identity(engine: Engine) -> str:
    """See :class:`~pytest_py312.rollout.targets.target.Target`. It lies in the engine's data folder, and stays when
    that is started anew.
    """
    with told_apart():
        said: Any = engine.client.info()
    found = str(said.get("ID") or "")
    return f"the Docker engine {found}" if found else ""


@in_words()
def swarm_identity(engine: Engine) -> str:
    """The same of a swarm, which only its managers know."""
    with told_apart():
        said: Any = engine.client.info()
    cluster = str(((said.get("Swarm") or {}).get("Cluster") or {}).get("ID") or "")
    return f"the swarm {cluster}" if cluster else ""


@in_words()
def image_facts(engine: Engine, reference: str) -> ImageFacts | None:
    said: Any = if_known(lambda: engine.client.inspect_image(reference))  # type: ignore[no-untyped-call]  # so in its stubs
    if said is None:
        return None
    written = [_PYTHON.fullmatch(text) for text in (said.get("Config") or {}).get("Env") or ()]
    return ImageFacts(id=str(said["Id"]), python=next((found[1] for found in written if found), ""))


@in_words()
def has_container(engine: Engine, container: str) -> bool:
    return inspected(engine, container) is not None
