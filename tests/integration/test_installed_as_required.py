"""What is required and not installed is never green: paths that build nowhere, wheels that another Python built.

One run judges the services of most tests: each stands above its test, and is added to one repository.
"""

import io
import json
import tarfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.integration.gate_runs import gate

pytestmark = pytest.mark.network

REFUSES = "raise SystemExit('never')\n"
SETUP = "from setuptools import setup\nsetup(name='moved', version='1.0', py_modules=['moved'])\n"
REFUSES_TARGET = f"import sys\nif sys.version_info >= (3, 12):\n    raise SystemExit('not here')\n{SETUP}"
METADATA = "Metadata-Version: 2.1\nName: moved\nVersion: 1.0\n"
CHECKS = "py312_dependencies or py312_libraries or py312_suite"


PLAN = 'target = "3.12"\ninterpreters = ["3.9", "3.11", "3.12"]\n'
SERVICE = {
    "Dockerfile": "FROM python:3.9-slim\n",
    "tests/test_app.py": "def test_app():\n    pass\n",
}
"""A service whose suite passes whatever is installed."""

Files = Mapping[str, str | bytes]
Outcomes = dict[tuple[str, str], dict[str, Any]]
"""Check and interpreter -> the outcome of a service."""

FLEET: dict[str, str | bytes] = {"py312.toml": PLAN}
"""The files of the repository whose services are judged in one run."""


def of_service(name: str, requirements: str, files: Files) -> Files:
    """The files of a service in the folder ``name``."""
    own: Files = {**SERVICE, "requirements.txt": requirements, **files}
    return {f"{name}/{path}": content for path, content in own.items()}


def in_fleet(name: str, requirements: str, files: Files) -> str:
    """Add a service to the repository that one run judges; return its name."""
    FLEET.update(of_service(name, requirements, files))
    return name


def write(root: Path, files: Files) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def archive(**files: str) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    return content.getvalue()


def judge(root: Path, cache: Path) -> dict[str, Outcomes]:
    """Run the gate on a repository; return the outcomes of each service."""
    done = gate(root, cache, f"--py312-report={root / 'report.json'}", checks=CHECKS, seconds=600)
    assert done.returncode in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED), done.stdout + done.stderr
    by_service: dict[str, Outcomes] = {}
    for outcome in json.loads((root / "report.json").read_text(encoding="utf-8"))["outcomes"]:
        key = outcome["check"], str(outcome["interpreter"])
        by_service.setdefault(outcome["service"], {})[key] = outcome
    return by_service


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory, gate_cache: Path) -> dict[str, Outcomes]:
    return judge(write(tmp_path_factory.mktemp("fleet"), FLEET), gate_cache)


in_fleet(
    "compiled",
    "confluent-kafka==1.7.0\n",
    {"Dockerfile": "FROM python:3.9-slim\nCOPY . .\nRUN pip install -r requirements.txt\n"},
)


def test_a_build_that_lacks_a_library_blocks_where_the_image_has_no_compiler(judged: dict[str, Outcomes]) -> None:
    """1.7.0 has a wheel for 3.9, and its source needs librdkafka, neither of which a slim image has for 3.12."""
    outcome_of = judged["compiled"]

    assert outcome_of["dependencies", "3.9"]["status"] == "passed"
    assert outcome_of["dependencies", "3.12"]["status"] == "failed"
    (finding,) = [each for each in outcome_of["dependencies", "3.12"]["findings"] if each["severity"] == "error"]
    assert finding["code"] == "PY104"
    assert finding["remedy"].startswith("confluent-kafka==1.7.0 -> confluent-kafka==2.")
    assert "(verified: resolves, installs and imports on 3.12 and 3.9)" in finding["remedy"]


in_fleet(
    "computed",
    "",
    {
        "Dockerfile": "FROM python:3.9-slim\nCOPY . .\nRUN pip install .\n",
        "setup.py": "from setuptools import setup\n"
        "setup(name='computed', version='1', py_modules=['app'], install_requires=open('deps.list').read().split())\n",
        "deps.list": "boto==2.49.0\n",
        "app.py": "def call():\n    import boto\n",
    },
)


def test_what_a_computed_setup_requires_is_imported(judged: dict[str, Outcomes]) -> None:
    """boto installs on 3.12 and cannot be imported there; the service imports it in a function."""
    outcome_of = judged["computed"]

    (finding,) = outcome_of["dependencies", "3.12"]["findings"]
    assert (finding["code"], finding["names"]) == ("PY105", ["boto"])
    assert outcome_of["dependencies", "3.11"]["status"] == "passed"
    assert "PY121" not in {finding["code"] for finding in outcome_of["libraries", "None"]["findings"]}


def test_a_project_that_packs_shared_folders_is_built_with_them(tmp_path: Path, gate_cache: Path) -> None:
    """Projects of a monorepo that are made of bricks: each packs what it needs of the folders that all share."""
    project = (
        '[project]\nname = "api"\nversion = "1"\n[build-system]\nrequires = ["hatchling"]\nbuild-backend = '
        '"hatchling.build"\n[tool.hatch.build.targets.wheel.force-include]\n"../../components/shop/log" = "shop/log"\n'
    )
    root = write(
        tmp_path / "repository",
        {
            "py312.toml": 'target = "3.12"\ninterpreters = ["3.11", "3.12"]\nservices = ["projects/*"]\n',
            "projects/api/.python-version": "3.11\n",
            "projects/api/Dockerfile": "FROM python:3.11-slim\nWORKDIR /app\nCOPY . .\nRUN pip install .\n",
            "projects/api/pyproject.toml": project,
            "projects/api/tests/test_app.py": "from shop.log import level\n\ndef test_app():\n    assert level == 1\n",
            "components/shop/log/__init__.py": "level = 1\n",
        },
    )
    (outcome_of,) = judge(root, gate_cache).values()
    assert {outcome["status"] for outcome in outcome_of.values()} == {"passed"}, outcome_of


BUILDS = archive(**{"vendored-1.0/setup.py": SETUP, "vendored-1.0/moved.py": ""})
in_fleet("raises-in-archive", "./vendored.tar.gz\n", {"vendored.tar.gz": archive(**{"vendored-1.0/setup.py": REFUSES})})
in_fleet("raises-in-folder", "./vendored\n", {"vendored/setup.py": REFUSES})
in_fleet("truncated", "./vendored.tar.gz\n", {"vendored.tar.gz": BUILDS[:100]})
in_fleet(
    "leaves-its-folder",
    "./vendored.tar.gz\n",
    {
        "vendored.tar.gz": archive(
            **{"../../../moved.py": "", "vendored-1.0/setup.py": SETUP, "vendored-1.0/moved.py": ""}
        )
    },
)


@pytest.mark.parametrize("name", ["raises-in-archive", "raises-in-folder", "truncated", "leaves-its-folder"])
def test_a_path_that_builds_nowhere_is_green_nowhere(judged: dict[str, Outcomes], name: str) -> None:
    by_check = judged[name]

    assert len(by_check) == 7
    assert "passed" not in {outcome["status"] for outcome in by_check.values()}
    if name.startswith("raises"):
        assert by_check["dependencies", "3.12"]["status"] == "failed"


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve ``folder`` as an index: the listing of a folder is a page of links."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        thread.join(10)


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        """Write nothing."""


@pytest.mark.parametrize("source", ["path", "folder of files", "index"])
def test_a_wheel_counts_for_the_interpreter_that_built_it(
    tmp_path: Path, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wheel of the baseline is universal, and the target's own build fails."""
    lines = {"path": "./files/moved/moved-1.0.tar.gz\n", "folder of files": "--find-links files/moved\nmoved==1.0\n"}
    files = of_service("svc", lines.get(source, "moved==1.0\n"), {})
    root = write(tmp_path / "repository", {"py312.toml": PLAN, **files})
    members = {"setup.py": REFUSES_TARGET, "moved.py": "", "PKG-INFO": METADATA}
    folder = tmp_path / "index" if source == "index" else root / "svc/files"
    moved = archive(**{f"moved-1.0/{name}": text for name, text in members.items()})
    write(folder, {"moved/moved-1.0.tar.gz": moved})
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))

    with served(folder) as url:
        if source == "index":
            monkeypatch.setenv("UV_INDEX", url)
        (by_check,) = judge(root, tmp_path / "cache").values()

    statuses = [by_check["dependencies", interpreter]["status"] for interpreter in ("3.9", "3.11", "3.12")]
    assert statuses == ["passed", "passed", "failed"], [outcome["reason"] for outcome in by_check.values()]
    assert "not here" in by_check["dependencies", "3.12"]["reason"]


@pytest.mark.parametrize("by_name", ["sibling", "sibling==0.9.1"])
def test_the_repositorys_own_distribution_is_installed_once(
    tmp_path: Path, by_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The index has a newer release of it, which the service never gets; requiring that release fits nothing."""
    setup = "from setuptools import setup\nsetup(name='sibling', version='0.9.0', py_modules=['sibling'])\n"
    suite = "import sibling\nfrom importlib.metadata import distributions\n\n\ndef test_app():\n"
    suite += "    names = [each.metadata['Name'] for each in distributions()]\n"
    suite += "    assert (sibling.OF, names.count('sibling')) == ('repository', 1)\n"
    files = {"requirements-dev.txt": "-e ../sibling\n", "tests/test_app.py": suite}
    root = write(
        tmp_path / "repository",
        {
            "py312.toml": PLAN,
            "sibling/setup.py": setup,
            "sibling/sibling.py": "OF = 'repository'\n",
            **of_service("svc", f"{by_name}\n", files),
        },
    )
    newer = archive(
        **{"sibling-0.9.1/setup.py": setup.replace("0.9.0", "0.9.1"), "sibling-0.9.1/sibling.py": "OF = 'index'\n"},
        **{"sibling-0.9.1/PKG-INFO": "Metadata-Version: 2.1\nName: sibling\nVersion: 0.9.1\n"},
    )
    write(tmp_path / "index", {"sibling/sibling-0.9.1.tar.gz": newer})
    with served(tmp_path / "index") as url:
        monkeypatch.setenv("UV_INDEX", url)
        by_check = judge(root, tmp_path / "cache")["svc"]

    statuses = {outcome["status"] for (check, _), outcome in by_check.items() if check != "libraries"}
    reasons = " ".join(outcome["reason"] for outcome in by_check.values())
    if by_name == "sibling":
        assert statuses == {"passed"}, reasons
    else:
        assert statuses == {"errored"}
        assert "sibling==0.9.1 is required, and the repository's own sibling is 0.9.0" in reasons


for name, files in {
    "undeclared": {"app/__init__.py": "import flask\n"},
    "of-tests": {"main.py": "import packaging\n"},
    "of-setuptools": {"main.py": "import distutils\n", "requirements-test.txt": "setuptools<82\n"},
}.items():
    in_fleet(name, "six==1.16.0\n", {**files, "optional.py": "import absent\n"})


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("undeclared", "imports flask, which nothing that is installed provides"),
        ("of-tests", "which only packaging provides, and no run-time requirement requires it"),
        ("of-setuptools", "which only setuptools provides, and no run-time requirement requires"),
    ],
)
def test_what_the_requirements_do_not_provide_is_not_proven(
    judged: dict[str, Outcomes], name: str, reason: str
) -> None:
    """The suite passes: it imports none of it, or has what its own requirements bring."""
    by_check = judged[name]

    assert by_check["suite", "3.12"]["status"] == "passed"
    assert by_check["libraries", "None"]["status"] == "errored"
    assert reason in by_check["libraries", "None"]["reason"]
    assert "absent" not in by_check["libraries", "None"]["reason"]


STORAGE = archive(
    **{
        "storage-1.0/setup.py": "from setuptools import setup\n"
        "setup(name='storage', version='1.0', packages=['cloud.storage', 'cloud.storage.client'])\n",
        "storage-1.0/cloud/storage/__init__.py": "",
        "storage-1.0/cloud/storage/settings.py": "raise RuntimeError('not configured')\n",
        "storage-1.0/cloud/storage/client/__init__.py": "Client = __import__('im' + 'p')\n",
    }
)
in_fleet(
    "importing",
    "./storage.tar.gz\n",
    {
        "main.py": "from cloud.storage.client import Client\nfrom cloud.storage import settings\n",
        "storage.tar.gz": STORAGE,
    },
)


def test_the_modules_that_the_service_imports_are_imported(judged: dict[str, Outcomes]) -> None:
    """Those of a package without ``__init__.py`` too, whose own import proves nothing."""
    by_check = judged["importing"]

    (finding,) = by_check["dependencies", "3.12"]["findings"]
    assert (finding["code"], finding["names"]) == ("PY105", ["storage"])
    assert "`import cloud.storage.client` fails: ModuleNotFoundError: No module named 'imp'" in finding["message"]
    assert by_check["dependencies", "3.11"]["status"] == "passed"


UPLOADER = archive(
    **{
        "uploader-1.0/setup.py": "from setuptools import setup\n"
        "setup(name='uploader', version='1.0', packages=['uploader'], scripts=['bin/fetch'],\n"
        "      entry_points={'console_scripts': ['upload = uploader.run:main']})\n",
        "uploader-1.0/uploader/__init__.py": "",
        "uploader-1.0/uploader/run.py": "main = __import__('im' + 'p')\n",
        "uploader-1.0/uploader/fetching.py": "main = __import__('as' + 'ynchat')\n",
        "uploader-1.0/bin/fetch": "#!/usr/bin/env python\nimport uploader.fetching\n",
    }
)
in_fleet(
    "starting",
    "./uploader.tar.gz\n",
    {
        "main.py": "import subprocess\nCOPY = ['upload', '-q']\nsubprocess.run('fetch --all')\n",
        "uploader.tar.gz": UPLOADER,
    },
)


def test_programs_that_the_source_starts_are_imported(judged: dict[str, Outcomes]) -> None:
    """Starting one begins with an import of the module of its entry point, or of what the script itself imports."""
    by_check = judged["starting"]

    findings = by_check["dependencies", "3.12"]["findings"]
    assert [(found["code"], found["names"]) for found in findings] == [("PY105", ["uploader"])] * 2
    assert "`import uploader.fetching` fails" in findings[0]["message"]
    assert "`import uploader.run` fails: ModuleNotFoundError: No module named 'imp'" in findings[1]["message"]
    assert by_check["dependencies", "3.11"]["status"] == "passed"


READS_A_FILE = {
    "shared/setup.py": "from setuptools import setup\nsetup(name='acme-shared', packages=['shared'])\n",
    "shared/shared/__init__.py": "from pathlib import Path\nTEXT = Path(__file__).with_name('a.txt').read_text()\n",
    "shared/shared/a.txt": "text\n",
    "requirements-dev.txt": "-e ./shared\n",
}
"""A distribution whose wheel lacks its data."""
FLEET.update(READS_A_FILE)
for name, requirement in {"editable": "-e ../shared", "by-name": "acme-shared", "as-wheel": "../shared"}.items():
    in_fleet(
        name,
        f"{requirement}\n",
        {
            "Dockerfile": f"FROM python:3.9-slim\nCOPY . .\nWORKDIR {name}\nRUN pip install -r requirements.txt\n",
            "tests/test_app.py": "import shared\n\n\ndef test_app():\n    assert shared.TEXT\n",
        },
    )


@pytest.mark.parametrize(("name", "status"), [("editable", "passed"), ("by-name", "passed"), ("as-wheel", "errored")])
def test_an_editable_requirement_has_the_files_beside_its_modules(
    judged: dict[str, Outcomes], name: str, status: str
) -> None:
    """Without ``-e`` the service starts on no Python."""
    assert {judged[name]["suite", version]["status"] for version in ("3.9", "3.11", "3.12")} == {status}
