"""Real distributions are resolved, installed once, and linked into working environments."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from pytest_py312.core import process
from pytest_py312.core.model.findings import Interpreter, Location
from pytest_py312.dependencies.resolution.lock import Pin, ResolutionRequest, Unresolvable
from pytest_py312.dependencies.resolution.uv_resolver import UvResolver
from pytest_py312.dependencies.store.distribution_store import DistributionStore
from pytest_py312.dependencies.store.environments import Environment, EnvironmentStore
from pytest_py312.runners.runner import CellUnavailable
from tests.integration.local_runners import local_runner
from tests.support.fakes import service_tree

pytestmark = pytest.mark.network
TOGETHER = ("3.9", "3.10", "3.12")


class Installer:
    """The resolver, the distribution store and the environments of one cache."""

    def __init__(self, cache: Path) -> None:
        self.cache = cache
        self.runner = local_runner(cache)
        self.resolver = UvResolver(cache=cache, runner=self.runner, uv_version="test", lock_hours=24.0)
        self.store = DistributionStore(cache=cache, runner=self.runner)
        self.environments = EnvironmentStore(cache=cache, runner=self.runner)

    def environment(self, interpreter: str, *lines: str) -> Environment:
        try:
            build = self.runner.find_interpreter(Interpreter.parse(interpreter))
        except CellUnavailable as reason:
            pytest.skip(str(reason))
        direct = tuple((line.split("=")[0], Location(path="requirements.txt", line=1)) for line in lines)
        request = ResolutionRequest(lines=lines, direct=direct)
        lock = self.resolver.resolve(request, build)
        self.store.fill(lock.pins, build, request)
        entries = [entry for pin in lock.pins if (entry := self.store.get(pin, build))]
        assert len(entries) == len(lock.pins)
        return self.environments.create(
            self.environments.key_for([pin.line for pin in lock.pins], build), entries, build
        )


@pytest.fixture(scope="module")
def installer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installer]:
    made = Installer(tmp_path_factory.mktemp("cache"))
    yield made
    made.runner.close()


def run_code(environment: Environment, code: str) -> str:
    done = process.run([str(environment.folder / "bin" / "python"), "-I", "-c", code], time_limit=60)
    assert done.ok, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("interpreter", TOGETHER)
def test_an_environment_is_like_an_installed_one(installer: Installer, interpreter: str) -> None:
    environment = installer.environment(interpreter, "pygments==2.17.2", "six==1.16.0")

    assert environment.versions == {"pygments": "2.17.2", "six": "1.16.0"}
    assert environment.modules == {"pygments": ("pygments",), "six": ("six",)}
    code = "import sys, six, pygments, importlib.metadata as m; print(m.version('six'), sys.prefix, sys.version[:4])"
    version, prefix, python = run_code(environment, code).split()
    assert (version, prefix, python.rstrip(".")) == ("1.16.0", str(environment.folder), interpreter)


@pytest.mark.parametrize("interpreter", TOGETHER)
def test_a_console_script_starts_the_environments_own_python(installer: Installer, interpreter: str) -> None:
    environment = installer.environment(interpreter, "pygments==2.17.2", "six==1.16.0")

    done = process.run([str(environment.folder / "bin" / "pygmentize"), "-V"], time_limit=60)

    assert done.ok, done.stderr
    assert "2.17.2" in done.stdout


def test_environments_are_isolated(installer: Installer) -> None:
    environment = installer.environment("3.12", "six==1.16.0")

    code = "import importlib.util as u; print([name for name in ('pygments', 'pytest', 'pip') if u.find_spec(name)])"
    assert run_code(environment, code) == "[]"


def test_environments_share_their_files(installer: Installer) -> None:
    sets = (["six==1.16.0"], ["six==1.16.0", "idna==3.6"])
    folders = [installer.environment("3.12", *lines).folder for lines in sets]

    files = [folder / "lib" / "python3.12" / "site-packages" / "six.py" for folder in folders]
    assert folders[0] != folders[1]
    assert files[0].stat().st_ino == files[1].stat().st_ino


def test_an_installed_environment_is_reused(installer: Installer, monkeypatch: pytest.MonkeyPatch) -> None:
    first = installer.environment("3.12", "six==1.16.0")
    asked: list[object] = []
    monkeypatch.setattr(installer.runner, "run_tool", lambda *words, **named: asked.append(words))

    assert installer.environment("3.12", "six==1.16.0") == first
    assert asked == []


def test_an_unresolvable_set_names_the_conflict(installer: Installer) -> None:
    with pytest.raises(Unresolvable) as caught:
        installer.environment("3.12", "six==1.16.0", "six==1.15.0")

    assert [(found.code, found.names) for found in caught.value.findings] == [("PY101", ("six",))]


def test_a_source_that_fails_to_build_on_the_target_is_reported(installer: Installer, tmp_path: Path) -> None:
    """``imp`` was removed in 3.12."""
    setup = "import sys\nif sys.version_info >= (3, 12):\n    import imp\nfrom setuptools import setup\n"
    setup += "setup(name='old', version='1', py_modules=['old'])\n"
    source = service_tree(installer.cache / "sources" / uuid4().hex, {"setup.py": setup, "old.py": ""})

    for interpreter in ("3.9", "3.10"):
        build = installer.runner.find_interpreter(Interpreter.parse(interpreter))
        assert installer.store.install_tree(source, source.name, build).modules == ("old",)
    with pytest.raises(Unresolvable) as caught:
        installer.store.install_tree(source, source.name, installer.runner.find_interpreter(Interpreter(3, 12)))
    assert "No module named 'imp'" in caught.value.findings[0].message


def test_a_source_distribution_is_built_for_each_interpreter(installer: Installer) -> None:
    """Its wheel is universal, and is still not shared between interpreters."""
    (pin,) = (Pin(name="docopt", version="0.6.2", line="docopt==0.6.2", from_source=True),)
    builds = [installer.runner.find_interpreter(Interpreter.parse(text)) for text in ("3.9", "3.12")]
    for build in builds:
        installer.store.fill([pin], build, ResolutionRequest(lines=()))

    entries = [installer.store.get(pin, build) for build in builds]
    wheels = [
        path.read_text() for entry in entries if entry for path in (entry.folder / "lib").glob("*.dist-info/WHEEL")
    ]
    assert len(wheels) == 2
    assert all(entry.from_source for entry in entries if entry)
