"""Fixtures of the docker runner's tests: a real engine, its images, and a probe that runs a test's code."""

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.model.plan import Plan
from pytest_py312.runners import agent
from pytest_py312.runners.docker.container_specs import PROBE_MODULES
from pytest_py312.runners.docker.engine import connect
from pytest_py312.runners.docker.ping import engine_version
from pytest_py312.runners.docker.runner import DockerRunner
from pytest_py312.runners.engines.runner import SeveralEnginesRunner
from pytest_py312.runners.runner import ProbeJob, ProbeResult

INTERPRETERS = tuple(Interpreter(3, minor) for minor in (9, 10, 12))

PROBE = """
import json, sys
with open(sys.argv[1]) as file:
    request = json.load(file)
def say(**record):
    with open(sys.argv[2], "a") as file:
        file.write(json.dumps(record) + "\\n")
exec(request["code"], {"say": say, "request": request})
say(event="end")
"""
"""A probe that runs the code in its request; the code reports with ``say``."""


def unavailable(reason: str) -> None:
    """Skip the test; fail it in CI, where everything must be available."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def images() -> None:
    """Require a running engine that has the base images."""
    if engine_version() is None:
        unavailable("no Docker engine answers")
    engine = connect()
    missing = [
        f"python:{interpreter}-slim"
        for interpreter in INTERPRETERS
        if engine.image_id(f"python:{interpreter}-slim") is None
    ]
    engine.close()
    if missing:
        unavailable(f"the Docker engine has no {', '.join(missing)}")


@dataclass
class Bench:
    """A repository, a cache and a run folder, with runners and short ways to make jobs."""

    folder: Path
    run_id: str = field(default_factory=lambda: uuid4().hex)
    runners: list[DockerRunner] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name in ("repository/services/user-service", "cache/envs", "run"):
            (self.folder / name).mkdir(parents=True)
        (self.repository / "services/user-service/app.py").write_text("ANSWER = 42\n")
        self.probe = self.folder / "probe.py"
        self.probe.write_text(PROBE)
        for name in PROBE_MODULES:  # all are mounted
            (self.folder / name).write_bytes(Path(agent.__file__).with_name(name).read_bytes())

    @property
    def repository(self) -> Path:
        return self.folder / "repository"

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    def runner(self, *, isolation: str = "cell", **plan: Any) -> DockerRunner:
        """Return a runner that is closed after the test."""
        runner = DockerRunner(
            plan=Plan(root=self.repository, isolation=isolation, **plan),
            cache=self.cache,
            uv=Path(sys.executable).parent / "uv",
            run_id=self.run_id,
            run_folder=self.folder / "run",
            probe=self.probe,
        )
        self.runners.append(runner)
        return runner

    def runner_with(
        self, *engines: str, interpreters: tuple[Interpreter, ...] = INTERPRETERS[-1:]
    ) -> SeveralEnginesRunner:
        """Return a runner with further engines, for one job at once on its own; it is closed after the test."""
        runner = SeveralEnginesRunner(
            plan=Plan(root=self.repository, engines=engines, interpreters=interpreters),
            cache=self.cache,
            uv=Path(sys.executable).parent / "uv",
            run_id=self.run_id,
            run_folder=self.folder / "run",
            probe=self.probe,
            parallel=1,
        )
        self.runners.append(runner)
        return runner

    def environment(self, interpreter: Interpreter) -> Path:
        """Return an empty virtual environment as the interpreter in the image would create it."""
        folder = self.cache / "envs" / f"env-{interpreter}"
        if not folder.exists():
            (folder / f"lib/python{interpreter}/site-packages").mkdir(parents=True)
            (folder / "bin").mkdir()
            (folder / "bin/python").symlink_to(f"/usr/local/bin/python{interpreter}")
            (folder / "pyvenv.cfg").write_text("home = /usr/local/bin\ninclude-system-site-packages = false\n")
        return folder

    def job(self, runner: DockerRunner, code: str, *, on: Interpreter = INTERPRETERS[-1], **settings: Any) -> ProbeJob:
        """Return a job whose probe runs ``code``."""
        return ProbeJob(
            identifier=settings.pop("identifier", f"user-service-{on.label}-suite"),
            build=runner.find_interpreter(on),
            environment=settings.pop("environment", None) or self.environment(on),
            root=self.repository,
            folders=settings.pop("folders", ("services/user-service",)),
            request={"code": code},
            **{"time_limit": 60.0, "memory_limit": 256 * 1024**2, **settings},
        )

    def run(self, runner: DockerRunner, code: str, **settings: Any) -> ProbeResult:
        """Run ``code`` in a cell."""
        return runner.run(self.job(runner, code, **settings))


@pytest.fixture
def bench(images: None, tmp_path: Path) -> Iterator[Bench]:
    """A bench whose runners are closed after the test; no container of them may remain."""
    bench = Bench(folder=tmp_path)
    yield bench
    for runner in bench.runners:
        runner.close()
    assert containers_of(bench.run_id) == []


def containers_of(run_id: str) -> list[str]:
    """Return the ids of the containers of one run, stopped ones included."""
    import docker

    client = docker.APIClient(version="auto")
    try:
        listed = client.containers(all=True, filters={"label": f"pytest-py312.run={run_id}"})
        return [str(container["Id"]) for container in listed]
    finally:
        client.close()


@pytest.fixture
def containers() -> Callable[[str], list[str]]:
    """Return a function that lists a run's containers without the runner."""
    return containers_of


@pytest.fixture(params=["cell", "interpreter"])
def isolation(request: pytest.FixtureRequest) -> str:
    """Return each of the two isolations."""
    return str(request.param)
