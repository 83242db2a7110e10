"""Services' own images on a real engine: built before and after migration, inspected, imported and started.

Some of them resemble images that a real platform's scripts broke: only the FROM lines were changed, and the folder
that they copied no longer existed.
"""

import re
import subprocess
import time
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from threading import Timer

import pytest

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.process import ExitReason
from pytest_py312.core.process_identity import ProcessIdentity, this_process
from pytest_py312.repository.edits.declarations import MigrationTarget
from pytest_py312.repository.services.images import ImageCheckResult, ImageHealth, ImageJob, ImageStartup, ServiceImage
from pytest_py312.runners.docker.container_specs import OWNER_LABEL
from pytest_py312.runners.docker.engine import DockerEngine, connect
from pytest_py312.runners.docker.image_build import has_buildkit
from tests.integration.docker_runner.conftest import Bench, unavailable
from tests.support.child_pytest import PYTEST
from tests.support.fakes import service_tree
from tests.support.migrations import migrate_files
from tests.unit.repository.edits.test_moving_a_platform import COPIES_PACKAGES, platform

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]

TARGET = Interpreter(3, 12)
SERVER = "import greeting, time\n\nif __name__ == '__main__':\n    open('/tmp/up', 'w').close()\n    time.sleep(120)\n"
HEALTH = (
    'HEALTHCHECK --interval=1s --timeout=5s --start-period=10s --retries=3 CMD ["python", "-c", "open(\'/tmp/up\')"]\n'
)
JOB = ImageJob(
    identifier="x",
    root=Path("/nowhere"),
    image=ServiceImage(dockerfile="s/Dockerfile", context="s"),
    interpreter=TARGET,
)


@pytest.fixture
def engine(images: None) -> Iterator[DockerEngine]:
    """The engine, without the runner. After the test it must have no image of this process."""
    engine = connect()
    yield engine
    assert images_of(this_process(), engine) == set()
    engine.close()


def images_of(owner: ProcessIdentity, engine: DockerEngine) -> set[str]:
    """Return the images that a process has built; other tests may build theirs at the same time."""
    listed = engine.client.images(all=True, filters={"label": f"{OWNER_LABEL}={owner}"})
    return {str(image["Id"]) for image in listed}


def buildable(path: str) -> str:
    """Return a Dockerfile of the platform whose last stage copies a distribution that only the first installs."""
    *stages, last = re.split(r"(?m)^(?=FROM )", platform()[path])
    head = "".join(stages).replace("RUN pip", "COPY requirements.txt *.whl ./\nRUN pip")
    last = re.sub(r"RUN pip(?:.*\\\n)*.*\n", "", last)
    last = re.sub(r"CMD .*", "", last)
    return f'{head}{last}COPY server ./server\n{HEALTH}CMD ["python", "-m", "server"]\n'


def platform_service(bench: Bench, path: str) -> None:
    """Write the service of the Dockerfile at ``path``, with a wheel of the distribution that it needs."""
    folder = context_of(path)
    service_tree(
        bench.repository,
        {
            path: buildable(path),
            f"{folder}/requirements.txt": "--no-index\n--find-links .\ngreeting==1\n",
            f"{folder}/server/__init__.py": "",
            f"{folder}/server/__main__.py": SERVER,
        },
    )
    with zipfile.ZipFile(bench.repository / folder / "greeting-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("greeting.py", "TEXT = 'hello'\n")
        wheel.writestr("greeting-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: greeting\nVersion: 1\n")
        wheel.writestr(
            "greeting-1.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr("greeting-1.dist-info/RECORD", "")


def context_of(path: str) -> str:
    return path.removesuffix("/Dockerfile").removesuffix("/deploy/docker")


def check_image(bench: Bench, path: str, version: str, changed: Mapping[str, bytes] | None = None) -> ImageCheckResult:
    image = ServiceImage(dockerfile=path, context=context_of(path))
    job = ImageJob(
        identifier="a-test", root=bench.repository, image=image, interpreter=Interpreter.parse(version),
        changed=changed or {}, memory_limit=256 * 1024**2,
    )  # fmt: skip
    return bench.runner().check_image(job)


@pytest.mark.parametrize("path", COPIES_PACKAGES[::3])  # test_moving_a_platform.py moves all of them, without an engine
def test_migrated_images_work_where_changed_from_lines_alone_break(
    path: str, engine: DockerEngine, bench: Bench
) -> None:
    """Built, inspected, imported and healthy, before and after; with changed FROM lines alone the build fails."""
    platform_service(bench, path)
    text = buildable(path)
    baseline = str(re.findall(r"FROM python:(3\.\d+)", text)[0])
    if engine.image_id(f"python:{baseline}-slim") is None:
        unavailable(f"the engine has no python:{baseline}-slim")
    moved, refused = migrate_files({path: text}, MigrationTarget(baseline=Interpreter.parse(baseline), target=TARGET))
    assert refused == ()
    for version, changed in ((baseline, None), ("3.12", {path: moved[path].encode()})):
        run = check_image(bench, path, version, changed)
        assert (run.unchecked, run.failed, run.import_error) == ("", "", "")
        assert (str(run.interpreter), run.entry_point, run.health) == (version, "server", ImageHealth.HEALTHY)
    half = re.sub(r"(?m)^(FROM python:)3\.\d+", r"\g<1>3.12", text)
    run = check_image(bench, path, "3.12", {path: half.encode()})
    assert f"/usr/local/lib/python{baseline}/site-packages" in run.failed
    assert half.splitlines()[(run.line or 0) - 1] == run.failed
    for runner in bench.runners:
        runner.close()


def check_dockerfile(
    bench: Bench, dockerfile: str, files: Mapping[str, str], version: str = "3.12"
) -> ImageCheckResult:
    service_tree(bench.repository, {f"s/{name}": text for name, text in files.items()} | {"s/Dockerfile": dockerfile})
    try:
        return check_image(bench, "s/Dockerfile", version)
    finally:
        bench.runners[-1].close()


@pytest.mark.parametrize("version", ["3.9", "3.10", "3.12"])
def test_an_import_error_is_reported_with_its_traceback(version: str, engine: DockerEngine, bench: Bench) -> None:
    """``distutils`` exists in 3.9 and 3.10, and not in 3.12."""
    dockerfile = f"FROM python:{version}-slim\nCOPY main.py /\nCMD python /main.py\n"
    run = check_dockerfile(bench, dockerfile, {"main.py": "import distutils\n"}, version)
    assert (run.failed, run.unchecked, run.entry_point) == ("", "", "/main.py")
    assert ("No module named 'distutils'" in run.import_error) is (version == "3.12")


def test_the_stage_of_production_is_built_and_not_one_for_developers(engine: DockerEngine, bench: Bench) -> None:
    """Which would fail here: it is at the end, as ``docker build --target app`` leaves it out."""
    dockerfile = (
        "FROM python:3.12-slim AS app\nCOPY main.py /\nCMD python /main.py\n"
        "FROM app AS devstack\nRUN exit 3\nCMD python /other.py\n"
    )
    run = check_dockerfile(bench, dockerfile, {"main.py": "import json\n"})
    assert (run.failed, run.unchecked, run.import_error, run.entry_point) == ("", "", "", "/main.py")


def test_a_container_that_exits_is_reported_with_its_last_output(engine: DockerEngine, bench: Bench) -> None:
    """It never became healthy."""
    dockerfile = f'FROM python:3.12-slim\n{HEALTH}CMD ["python", "-c", "raise SystemExit(\'no database\')"]\n'
    run = check_dockerfile(bench, dockerfile, {})
    assert (run.health, "no database" in run.last_output) == (ImageHealth.ENDED, True)


def test_a_container_that_never_becomes_healthy_is_reported(engine: DockerEngine, bench: Bench) -> None:
    """Within the time that its health check declares."""
    check = "HEALTHCHECK --interval=1s --timeout=1s --retries=2 CMD exit 1\n"
    run = check_dockerfile(bench, f"FROM python:3.12-slim\n{check}CMD sleep 60\n", {})
    assert run.health is ImageHealth.UNHEALTHY


def test_an_image_without_python_has_no_version(engine: DockerEngine, bench: Bench) -> None:
    """The version is empty, and nothing is unchecked."""
    run = check_dockerfile(bench, "FROM python:3.12-slim\nRUN rm -f /usr/local/bin/python*\n", {})
    assert (run.version, run.interpreter, run.unchecked) == ("", None, "")


def test_an_image_that_cannot_be_pulled_is_unchecked(engine: DockerEngine, bench: Bench) -> None:
    """The registry does not answer."""
    run = check_dockerfile(bench, "FROM registry.invalid/python:3.12\n", {})
    assert run.unchecked
    assert not run.version


WEB = """\
import http.server, time

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/health" else 404)
        self.end_headers()

time.sleep(0.5)
held = bytearray(b"x" * 20_000_000)
http.server.HTTPServer(("", 8000), Handler).serve_forever()
"""
FETCH = "CMD python -c \"from urllib.request import urlopen; urlopen('http://localhost:8000{}')\""


def start_image(bench: Bench, dockerfile: str, times: int = 1) -> list[ImageStartup]:
    service_tree(bench.repository, {"s/Dockerfile": dockerfile, "s/web.py": WEB})
    runner = bench.runner()
    startups = [runner.start_image(replace(JOB, root=bench.repository), seed) for seed in range(times)]
    runner.close()
    return startups


@pytest.mark.parametrize("check", [FETCH.format("/health"), 'CMD ["python", "-c", "open(\'/tmp/up\')"]'])
def test_startup_time_is_measured(check: str, engine: DockerEngine, bench: Bench) -> None:
    """From the start of its command until its own health check succeeds, over the network or not."""
    copied = "FROM python:3.12-slim\nCOPY web.py /\n"
    command = "CMD python /web.py" if "urlopen" in check else "CMD sleep 0.5; touch /tmp/up; sleep 60"
    for start in start_image(bench, f"{copied}HEALTHCHECK {check}\n{command}\n", times=2):
        assert start.unchecked == ""
        assert start.seconds > 0.5
        if "urlopen" in check:
            assert start.memory > 20_000_000


@pytest.mark.parametrize(
    ("rest", "reason"),
    [
        ("HEALTHCHECK --timeout=1s --interval=1s --retries=1 CMD exit 1\nCMD sleep 60\n", "did not become healthy"),
        (f"HEALTHCHECK --timeout=1s --interval=1s --retries=1 {FETCH.format('/no')}\nCMD python /web.py\n",
         "did not become healthy"),
        ("HEALTHCHECK CMD exit 0\nCMD ['no']\nRUN exit 7\n", "it cannot be built: RUN exit 7"),
        ("CMD sleep 60\n", "it declares no health check"),
        ("HEALTHCHECK CMD exit 0\nRUN rm -f /usr/local/bin/python*\nCMD sleep 60\n", "it has no Python that answers"),
    ],
)  # fmt: skip
def test_a_startup_that_cannot_be_measured_is_unchecked(
    rest: str, reason: str, engine: DockerEngine, bench: Bench
) -> None:
    """The reason is given, and no container and no image is left."""
    [start] = start_image(bench, f"FROM python:3.12-slim\nCOPY web.py /\n{rest}")
    assert start.unchecked.startswith("s/Dockerfile on 3.12: ")
    assert reason in start.unchecked


def test_a_cancelled_build_leaves_nothing(engine: DockerEngine, bench: Bench) -> None:
    """The runner is closed during the build."""
    text = "FROM python:3.12-slim\nRUN touch /a\nRUN sleep 5; touch /b\nRUN sleep 600\n"
    service_tree(bench.repository, {"s/Dockerfile": text})
    runner = bench.runner()
    Timer(3.0, runner.close).start()
    run = runner.check_image(replace(JOB, root=bench.repository))
    assert run.unchecked == "its build was stopped: cancelled"
    assert runner.check_image(replace(JOB, root=bench.repository)).unchecked == "the run was cancelled"


def test_images_of_a_killed_run_are_removed(engine: DockerEngine, tmp_path: Path) -> None:
    """By the next run, which sees that their owner is gone."""
    (tmp_path / "Dockerfile").write_text("FROM python:3.12-slim\n")
    me = this_process()
    gone = ProcessIdentity(
        boot_id=me.boot_id, namespace=me.namespace, user=me.user, pid=me.pid, start_ticks=me.start_ticks - 1
    )
    for message in engine.client.build(path=str(tmp_path), labels={OWNER_LABEL: str(gone)}, decode=True, rm=True):
        assert "error" not in message
    assert len(images_of(gone, engine)) == 1
    engine.sweep(me, time.time())
    assert images_of(gone, engine) == set()


def test_the_gate_reports_the_image_that_breaks(engine: DockerEngine, tmp_path: Path, gate_cache: Path) -> None:
    """A whole process: one service whose image can be migrated, and one whose image cannot."""
    root = service_tree(
        tmp_path / "repository",
        {
            "services/whole/requirements.txt": "",
            "services/whole/Dockerfile": "FROM python:3.9-slim\nCOPY main.py /srv/\nCMD python /srv/main.py\n",
            "services/whole/main.py": "import sys\n",
            "services/broken/requirements.txt": "",
            "services/broken/Dockerfile": "FROM python:3.10-slim\nRUN python -c 'import asyncore'\n",
        },
    )
    argv = [*PYTEST, "--py312", "--py312-images", "--py312-runner=docker", "-m", "py312_image"]
    argv += [f"--py312-cache-dir={gate_cache}", "-p", "no:cacheprovider"]
    done = subprocess.run(argv, cwd=root, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    image_results = re.findall(
        r"^services/(\w+)::py([\d.]+)::image \S* ?(?:<- \S+ )?(PASSED|FAILED|ERROR)", done.stdout, re.MULTILINE
    )
    assert "PY701 services/broken/Dockerfile cannot be built on 3.12" in done.stdout
    assert "No module named 'asyncore'" in done.stdout
    assert "3 passed" in done.stdout, image_results
    assert (root / "services/whole/Dockerfile").read_text().startswith("FROM python:3.9-slim")


def test_buildkit_is_used_where_buildx_answers() -> None:
    """Both builders build the images above."""
    from pytest_py312.core import process

    buildx = process.run(["docker", "buildx", "version"], time_limit=20.0)
    assert has_buildkit() is (buildx.exit_reason is ExitReason.EXITED and buildx.exit_code == 0)
