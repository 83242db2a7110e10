"""Services' own images on a real engine: built as they are and moved, asked for their Python, imported, and started.

Four of them have the shape of those that a real platform's scripts broke: only their FROM lines were changed, and the
folder that they copied was not there any more.
"""

import re
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from threading import Timer

import pytest

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.process import Ended
from pytest_py312.core.process_identity import Owner, this_process
from pytest_py312.repository.edits.declarations import Aim, move_files
from pytest_py312.repository.services.images import Health, ImageJob, ImageRun, ImageStart, OwnImage
from pytest_py312.runners.docker.container_specs import OWNER_LABEL
from pytest_py312.runners.docker.engine import Engine, connect
from pytest_py312.runners.docker.image_build import has_kit
from tests.integration.docker_runner.conftest import Bench, unavailable
from tests.support.fakes import service_tree
from tests.unit.repository.edits.test_moving_a_platform import COPIES_PACKAGES, platform

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]

TARGET = Interpreter(3, 12)
SERVER = "import greeting, time\n\nif __name__ == '__main__':\n    open('/tmp/up', 'w').close()\n    time.sleep(120)\n"
HEALTH = (
    'HEALTHCHECK --interval=1s --timeout=5s --start-period=10s --retries=3 CMD ["python", "-c", "open(\'/tmp/up\')"]\n'
)
JOB = ImageJob(
    identifier="x", root=Path("/nowhere"), image=OwnImage(dockerfile="s/Dockerfile", context="s"), interpreter=TARGET
)


@pytest.fixture
def engine(images: None) -> Iterator[Engine]:
    """The engine, past the runner. When the test is over it has no image of this process."""
    engine = connect()
    yield engine
    assert images_of(this_process(), engine) == set()
    engine.close()


def images_of(owner: Owner, engine: Engine) -> set[str]:
    """Those that a process has made; other tests may make theirs at the same time."""
    found = engine.client.images(all=True, filters={"label": f"{OWNER_LABEL}={owner}"})
    return {str(image["Id"]) for image in found}


def buildable(path: str) -> str:
    """A Dockerfile of the platform, with a distribution that only its first stage installs and its last one copies."""
    *stages, last = re.split(r"(?m)^(?=FROM )", platform()[path])
    head = "".join(stages).replace("RUN pip", "COPY requirements.txt *.whl ./\nRUN pip")
    last = re.sub(r"RUN pip(?:.*\\\n)*.*\n", "", last)
    last = re.sub(r"CMD .*", "", last)
    return f'{head}{last}COPY server ./server\n{HEALTH}CMD ["python", "-m", "server"]\n'


def platform_service(bench: Bench, path: str) -> None:
    """The service of the Dockerfile at ``path``, which needs a distribution that a wheel beside it has."""
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


def proven(bench: Bench, path: str, version: str, changed: Mapping[str, bytes] | None = None) -> ImageRun:
    image = OwnImage(dockerfile=path, context=context_of(path))
    job = ImageJob(
        identifier="a-test", root=bench.repository, image=image, interpreter=Interpreter.parse(version),
        changed=changed or {}, memory_limit=256 * 1024**2,
    )  # fmt: skip
    return bench.runner().prove_image(job)


@pytest.mark.parametrize("path", COPIES_PACKAGES)
def test_images_that_a_search_for_from_lines_broke_are_whole(path: str, engine: Engine, bench: Bench) -> None:
    """Built, asked, imported and healthy: as it was, and moved. With its FROM lines alone it cannot be built."""
    platform_service(bench, path)
    text = buildable(path)
    baseline = str(re.findall(r"FROM python:(3\.\d+)", text)[0])
    if engine.image_id(f"python:{baseline}-slim") is None:
        unavailable(f"the engine has no python:{baseline}-slim")
    moved, refused = move_files({path: text}, Aim(baseline=Interpreter.parse(baseline), target=TARGET))
    assert refused == ()
    for version, changed in ((baseline, None), ("3.12", {path: moved[path].encode()})):
        run = proven(bench, path, version, changed)
        assert (run.unchecked, run.failed, run.import_error) == ("", "", "")
        assert (str(run.interpreter), run.entry, run.health) == (version, "server", Health.HEALTHY)
    half = re.sub(r"(?m)^(FROM python:)3\.\d+", r"\g<1>3.12", text)
    run = proven(bench, path, "3.12", {path: half.encode()})
    assert f"/usr/local/lib/python{baseline}/site-packages" in run.failed
    assert half.splitlines()[(run.line or 0) - 1] == run.failed
    for runner in bench.runners:
        runner.close()


def proven_of(bench: Bench, dockerfile: str, files: Mapping[str, str], version: str = "3.12") -> ImageRun:
    service_tree(bench.repository, {f"s/{name}": text for name, text in files.items()} | {"s/Dockerfile": dockerfile})
    try:
        return proven(bench, "s/Dockerfile", version)
    finally:
        bench.runners[-1].close()


@pytest.mark.parametrize("version", ["3.9", "3.10", "3.12"])
def test_what_cannot_be_imported_is_told_with_its_traceback(version: str, engine: Engine, bench: Bench) -> None:
    """``distutils`` is in 3.9 and 3.10, and no more in 3.12."""
    dockerfile = f"FROM python:{version}-slim\nCOPY main.py /\nCMD python /main.py\n"
    run = proven_of(bench, dockerfile, {"main.py": "import distutils\n"}, version)
    assert (run.failed, run.unchecked, run.entry) == ("", "", "/main.py")
    assert ("No module named 'distutils'" in run.import_error) is (version == "3.12")


def test_a_container_that_ends_is_told_with_its_last_words(engine: Engine, bench: Bench) -> None:
    """It never came to be healthy."""
    dockerfile = f'FROM python:3.12-slim\n{HEALTH}CMD ["python", "-c", "raise SystemExit(\'no database\')"]\n'
    run = proven_of(bench, dockerfile, {})
    assert (run.health, "no database" in run.said) == (Health.ENDED, True)


def test_a_container_that_never_gets_well_is_told(engine: Engine, bench: Bench) -> None:
    """Within the time that its check declares."""
    check = "HEALTHCHECK --interval=1s --timeout=1s --retries=2 CMD exit 1\n"
    run = proven_of(bench, f"FROM python:3.12-slim\n{check}CMD sleep 60\n", {})
    assert run.health is Health.UNHEALTHY


def test_an_image_without_python_in_it_is_told(engine: Engine, bench: Bench) -> None:
    """Nobody answers."""
    run = proven_of(bench, "FROM python:3.12-slim\nRUN rm -f /usr/local/bin/python*\n", {})
    assert (run.version, run.interpreter, run.unchecked) == ("", None, "")


def test_an_image_that_is_nowhere_could_not_be_tried_or_does_not_exist(engine: Engine, bench: Bench) -> None:
    """Without an answer of a registry nothing is known of it."""
    run = proven_of(bench, "FROM registry.invalid/python:3.12\n", {})
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


def start_of(bench: Bench, dockerfile: str, times: int = 1) -> list[ImageStart]:
    service_tree(bench.repository, {"s/Dockerfile": dockerfile, "s/web.py": WEB})
    runner = bench.runner()
    found = [runner.start_image(replace(JOB, root=bench.repository), seed) for seed in range(times)]
    runner.close()
    return found


@pytest.mark.parametrize("check", [FETCH.format("/health"), 'CMD ["python", "-c", "open(\'/tmp/up\')"]'])
def test_how_long_a_start_takes(check: str, engine: Engine, bench: Bench) -> None:
    """From the start of its command until its own check is content: what it asks over the network, and any other."""
    copied = "FROM python:3.12-slim\nCOPY web.py /\n"
    command = "CMD python /web.py" if "urlopen" in check else "CMD sleep 0.5; touch /tmp/up; sleep 60"
    for start in start_of(bench, f"{copied}HEALTHCHECK {check}\n{command}\n", times=2):
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
def test_a_start_that_cannot_be_measured(rest: str, reason: str, engine: Engine, bench: Bench) -> None:
    """It says why, and leaves no container and no image."""
    [start] = start_of(bench, f"FROM python:3.12-slim\nCOPY web.py /\n{rest}")
    assert start.unchecked.startswith("s/Dockerfile on 3.12: ")
    assert reason in start.unchecked


def test_a_build_that_was_given_up_leaves_nothing(engine: Engine, bench: Bench) -> None:
    """The runner is closed in the middle of it."""
    text = "FROM python:3.12-slim\nRUN touch /a\nRUN sleep 5; touch /b\nRUN sleep 600\n"
    service_tree(bench.repository, {"s/Dockerfile": text})
    runner = bench.runner()
    Timer(3.0, runner.close).start()
    run = runner.prove_image(replace(JOB, root=bench.repository))
    assert run.unchecked == "its build was ended: cancelled"
    assert runner.prove_image(replace(JOB, root=bench.repository)).unchecked == "the run was cancelled"


def test_images_of_a_run_that_was_killed_are_swept(engine: Engine, tmp_path: Path) -> None:
    """By the next one, which sees that their owner is gone."""
    (tmp_path / "Dockerfile").write_text("FROM python:3.12-slim\n")
    me = this_process()
    gone = Owner(boot=me.boot, namespace=me.namespace, user=me.user, pid=me.pid, started=me.started - 1)
    for message in engine.client.build(path=str(tmp_path), labels={OWNER_LABEL: str(gone)}, decode=True, rm=True):
        assert "error" not in message
    assert len(images_of(gone, engine)) == 1
    engine.sweep(me, time.time())
    assert images_of(gone, engine) == set()


def test_the_gate_tells_which_image_breaks(engine: Engine, tmp_path: Path) -> None:
    """A whole process: one service whose image can be moved, and one whose cannot."""
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
    argv = [sys.executable, "-m", "pytest", "--py312", "--py312-build", "--py312-runner=docker", "-m", "py312_image"]
    argv += [f"--py312-cache-dir={tmp_path / 'cache'}", "-p", "no:cacheprovider"]
    done = subprocess.run(argv, cwd=root, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    said = re.findall(
        r"^services/(\w+)::py([\d.]+)::image \S* ?(?:<- \S+ )?(PASSED|FAILED|ERROR)", done.stdout, re.MULTILINE
    )
    assert "PY701 services/broken/Dockerfile cannot be built on 3.12" in done.stdout
    assert "No module named 'asyncore'" in done.stdout
    assert "3 passed" in done.stdout, said
    assert (root / "services/whole/Dockerfile").read_text().startswith("FROM python:3.9-slim")


def test_which_builder_is_used_is_for_the_program_to_say() -> None:
    """BuildKit where ``docker buildx`` answers; both build the images above."""
    from pytest_py312.core import process

    answered = process.run(["docker", "buildx", "version"], time_limit=20.0)
    assert has_kit() is (answered.ended is Ended.EXITED and answered.exit_code == 0)
