"""The example fleet on a real engine: its services in images of several Pythons, serving on the current one.

The images contain what the services' Dockerfiles put there, and are built quickly and without network: the
distributions are copied, as they are the same for all Pythons.
"""

import io
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from uv import find_uv_bin

from pytest_py312.plugin.rollout import EXIT_PENDING
from pytest_py312.rollout.domain.target_model import ServiceSpec
from pytest_py312.rollout.targets.docker.target import DockerTarget
from pytest_py312.runners.docker.engine import DockerEngine, connect
from pytest_py312.runners.docker.errors import EngineRefused, translate_errors
from tests.integration.rollouts.docker_environments import LABEL
from tests.support.child_pytest import PYTEST

EXAMPLE = Path(__file__).parents[3] / "examples" / "suoke"
SITE = "/site"
TAG = "py312-fleet-test"
SOAK = {"interval": "1s", "duration": "3s", "initial-delay": 0}
_numbers = itertools.count()


def example_stages() -> Mapping[int, tuple[str, ...]]:
    """Return the service folders of each stage in the example's plan, by stage number."""
    plan = tomllib.loads((EXAMPLE / "py312.toml").read_text(encoding="utf-8"))
    folders = [*map(folder_below, sorted(EXAMPLE.glob("services/**/requirements.txt")))]
    return {
        stage["number"]: tuple(
            folder
            for word in stage["services"]
            for folder in folders
            if Path(folder).match(word) or folder.rpartition("/")[2] == word
        )
        for stage in plan["stage"]
    }


def toml(value: object) -> str:
    """Format a TOML value; tables are inline."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    return json.dumps(value)


def folder_below(file: Path) -> str:
    return file.parent.relative_to(EXAMPLE).as_posix()


def name_of(folder: str) -> str:
    return folder.rpartition("/")[2]


@dataclass(kw_only=True)
class Fleet:
    """An environment in which services of the example serve; it is removed afterwards."""

    engine: DockerEngine
    target: DockerTarget
    root: Path
    """A copy of the example, with its own plan."""
    name: str
    stages: Mapping[int, Sequence[str]]
    cache: Path
    ports: dict[str, int] = field(default_factory=dict)
    old: dict[str, str] = field(default_factory=dict)
    """Service -> id of the container that serves on the current Python."""

    @property
    def folders(self) -> list[str]:
        return [folder for folders in self.stages.values() for folder in folders]

    def container(self, service: str) -> str:
        return f"{self.name}-{service}"

    def write_plan(self, today: str) -> None:
        """Write the example's plan for this environment's services, with short soaks."""
        plan = tomllib.loads((EXAMPLE / "py312.toml").read_text(encoding="utf-8"))
        plan |= {"interpreters": [today, "3.12"], "services": self.folders, "defaults": {"baseline": today}}
        plan["deploy"] |= {"image": f"{TAG}/{{service}}:{{version}}", "ready-timeout": "60s"}
        plan["soak"] = SOAK
        for stage in plan["stage"]:
            stage["services"] = [*self.stages[stage["number"]]]
            stage.pop("soak", None)
        settings = {name_of(folder): plan["service"].get(name_of(folder), {}) for folder in self.folders}
        self.ports = {service: own["deploy"]["port"] for service, own in settings.items()}
        for service, own in settings.items():
            own["deploy"] = {**own.get("deploy", {}), "container": self.container(service)}
            own.pop("benchmark", None)
        plan["service"] = settings
        lines = [f"{key} = {toml(value)}" for key, value in plan.items()]
        (self.root / "py312.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def pytest(self, *arguments: str, code: int) -> str:
        """Run pytest as a user does, check its exit code and return its output."""
        exit_code, out = self.run_pytest(*arguments)
        assert exit_code == code, out
        return out

    def run_until_done(self, *arguments: str) -> str:
        """Run pytest as a schedule does, until the result is no longer pending, and return its output."""
        for _ in range(60):
            code, out = self.run_pytest(*arguments)
            if code != EXIT_PENDING:
                break
        assert code == 0, out
        return out

    def run_pytest(self, *arguments: str) -> tuple[int, str]:
        """Run pytest and return exit status and output."""
        argv = [*PYTEST, "--py312-runner=local", f"--py312-cache-dir={self.cache}", *arguments]
        variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        done = subprocess.run(
            argv, cwd=self.root, env=variables, capture_output=True, text=True, timeout=600, check=False
        )
        return done.returncode, done.stdout[-8000:] + done.stderr[-3000:]

    def locks(self) -> list[str]:
        """Return the names of the containers that lock this environment."""
        with translate_errors():
            listed = self.engine.client.containers(all=True, filters={"name": f"lock-{self.name}"})
        return [container["Names"][0] for container in listed]

    def serving(self, stage: int) -> set[str]:
        """Return the Pythons on which a stage's services run, asked of their processes."""
        pythons = set()
        for folder in self.stages[stage]:
            observed = self.target.observe(self.spec(name_of(folder)))
            assert observed is not None
            assert observed.running
            pythons.add(str(observed.interpreter))
        return pythons

    def spec(self, service: str) -> ServiceSpec:
        return ServiceSpec(
            service=service, container=self.container(service), port=self.ports[service], health="/health"
        )

    def start_old(self, today: str) -> None:
        for folder in self.folders:
            service = name_of(folder)
            with translate_errors():
                made = self.engine.client.create_container(
                    f"{TAG}/{service}:{today}",
                    name=self.container(service),
                    labels={LABEL: self.name},
                    stop_signal="SIGINT",  # the first process of a container ignores what it has no handler for
                    host_config=self.engine.client.create_host_config(restart_policy={"Name": "unless-stopped"}),
                )
                self.engine.client.start(made["Id"])
            self.old[service] = made["Id"]
        deadline = time.monotonic() + 60
        for folder in self.folders:
            spec = self.spec(name_of(folder))
            seen = self.target.observe(spec)
            assert seen is not None
            while (ready := self.target.readiness(spec, seen.container)).phase.value != "ready":
                assert time.monotonic() < deadline, f"{folder}: {ready.detail}"
                time.sleep(0.1)

    def clear(self) -> None:
        with translate_errors():
            listed = self.engine.client.containers(all=True, filters={"name": self.name})
        for container in listed:
            with suppress(EngineRefused), translate_errors():  # gone already
                self.engine.client.remove_container(container["Id"], force=True, v=True)


@contextmanager
def example_fleet(
    folder: Path,
    stages: Mapping[int, Sequence[str]],
    *,
    cache: Path,
    today: str = "3.11",
    prepare: Callable[[Path], None] = lambda root: None,
) -> Iterator[Fleet]:
    """Start the services of ``stages`` (by their folders) on ``today``, and build their images for 3.12.

    :param prepare: changes the copy of the example before the images are built.
    """
    root = folder / "suoke"
    shutil.copytree(EXAMPLE, root, ignore=shutil.ignore_patterns(".py312", "__pycache__"))
    prepare(root)
    site = _site(folder)
    engine = connect()
    made = Fleet(
        engine=engine,
        target=DockerTarget(engine),
        root=root,
        name=f"py312f{os.getpid()}n{next(_numbers)}",
        stages=stages,
        cache=cache,
    )
    try:
        made.write_plan(today)
        for python in (today, "3.12"):
            build_base(engine, site, python)
            for path in made.folders:
                build(engine, root / path, python)
        made.start_old(today)
        yield made
    finally:
        made.clear()
        engine.close()


# ---- images


def _site(folder: Path) -> Path:
    """Install the distributions that the example's services need to start, in versions that suit all Pythons."""
    site = folder / "site"
    argv = [find_uv_bin(), "pip", "install", "-q", "--target", str(site), "--python", sys.executable]
    names = ("bottle==0.13.4", "waitress==3.0.2", "packaging==24.2", "pyyaml==6.0.1")
    subprocess.run([*argv, *names], check=True, timeout=120)
    return site


def build_base(engine: DockerEngine, site: Path, python: str) -> None:
    """Build the image of ``python`` with the distributions, on which those of all services are based."""
    lines = [
        f"FROM python:{python}-slim",
        "WORKDIR /service",
        f"ENV PYTHONPATH=/service/src:/service:{SITE} PYTHONUNBUFFERED=1",
        "COPY root/ /",
    ]
    _build(engine, f"{TAG}/base:{python}", lines, {f"root{SITE}": site})


def build(engine: DockerEngine, service: Path, python: str) -> None:
    """Build an image of a service on ``python``, with what the last stage of its Dockerfile copies, runs and starts."""
    file = next(place for place in (service / "Dockerfile", service / "deploy/docker/Dockerfile") if place.is_file())
    last = re.split(r"(?m)^FROM ", file.read_text(encoding="utf-8"))[-1]
    copied = [line.split()[1:] for line in last.splitlines() if line.startswith("COPY ") and "--from" not in line]
    kept = [line for line in last.splitlines() if line.startswith(("CMD ", "RUN python "))]
    sources = {source.rstrip("/"): service / source for *sources, _ in copied for source in sources}
    _build(
        engine,
        f"{TAG}/{service.name}:{python}",
        [f"FROM {TAG}/base:{python}", "COPY root/ /service/", *kept],
        {f"root/{name}": path for name, path in sources.items()},
    )


def _build(engine: DockerEngine, tag: str, lines: Sequence[str], files: Mapping[str, Path]) -> None:
    dockerfile = "\n".join(lines).encode()
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as archive:
        entry = tarfile.TarInfo("Dockerfile")
        entry.size = len(dockerfile)
        archive.addfile(entry, io.BytesIO(dockerfile))
        for name, path in files.items():
            archive.add(path, name, filter=_reproducible_entry)
    context.seek(0)
    with translate_errors():
        messages: Iterator[Any] = engine.client.build(
            fileobj=context, custom_context=True, tag=tag, rm=True, labels={LABEL: "image"}, decode=True
        )
        for message in messages:
            assert "error" not in message, message


def _reproducible_entry(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Remove owner and time from a tar entry, so that images are built once; leave out byte code."""
    entry.uid = entry.gid = 0
    entry.mtime = 0
    return None if "__pycache__" in entry.name else entry
