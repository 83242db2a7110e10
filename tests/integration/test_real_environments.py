"""Real distributions resolved, installed once, and linked into environments that work."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from pytest_py312.core import process
from pytest_py312.core.model.findings import Interpreter, Location
from pytest_py312.dependencies.installation.distribution_store import Store
from pytest_py312.dependencies.installation.environments import Environment, Environments
from pytest_py312.dependencies.resolution.lock import Blocked, Pin, Wanted
from pytest_py312.dependencies.resolution.uv_resolver import Resolver
from pytest_py312.runners.runner import CellUnavailable
from tests.integration.local_runners import local_runner
from tests.support.fakes import service_tree

pytestmark = pytest.mark.network
TOGETHER = ("3.9", "3.10", "3.12")


class Installing:
    """The resolver, the store and the environments of one cache."""

    def __init__(self, cache: Path) -> None:
        self.cache = cache
        self.runner = local_runner(cache)
        self.resolver = Resolver(cache=cache, runner=self.runner, uv_version="test", lock_hours=24.0)
        self.store = Store(cache=cache, runner=self.runner)
        self.environments = Environments(cache=cache, runner=self.runner)

    def environment(self, interpreter: str, *lines: str) -> Environment:
        try:
            build = self.runner.find(Interpreter.parse(interpreter))
        except CellUnavailable as reason:
            pytest.skip(str(reason))
        direct = tuple((line.split("=")[0], Location(path="requirements.txt", line=1)) for line in lines)
        wanted = Wanted(lines=lines, direct=direct)
        lock = self.resolver.resolve(wanted, build)
        self.store.fill(lock.pins, build, wanted)
        entries = [entry for pin in lock.pins if (entry := self.store.entry(pin, build))]
        assert len(entries) == len(lock.pins)
        return self.environments.make(self.environments.key_of([pin.line for pin in lock.pins], build), entries, build)


@pytest.fixture(scope="module")
def installing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installing]:
    made = Installing(tmp_path_factory.mktemp("cache"))
    yield made
    made.runner.close()


def says(environment: Environment, code: str) -> str:
    done = process.run([str(environment.folder / "bin" / "python"), "-I", "-c", code], time_limit=60)
    assert done.ok, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("interpreter", TOGETHER)
def test_an_environment_is_as_one_would_have_installed_it(installing: Installing, interpreter: str) -> None:
    environment = installing.environment(interpreter, "pygments==2.17.2", "six==1.16.0")

    assert environment.versions == {"pygments": "2.17.2", "six": "1.16.0"}
    assert environment.modules == {"pygments": ("pygments",), "six": ("six",)}
    code = "import sys, six, pygments, importlib.metadata as m; print(m.version('six'), sys.prefix, sys.version[:4])"
    version, prefix, python = says(environment, code).split()
    assert (version, prefix, python.rstrip(".")) == ("1.16.0", str(environment.folder), interpreter)


@pytest.mark.parametrize("interpreter", TOGETHER)
def test_a_console_script_starts_the_environments_own_python(installing: Installing, interpreter: str) -> None:
    environment = installing.environment(interpreter, "pygments==2.17.2", "six==1.16.0")

    done = process.run([str(environment.folder / "bin" / "pygmentize"), "-V"], time_limit=60)

    assert done.ok, done.stderr
    assert "2.17.2" in done.stdout


def test_nothing_of_another_environment_is_seen(installing: Installing) -> None:
    environment = installing.environment("3.12", "six==1.16.0")

    code = "import importlib.util as u; print([name for name in ('pygments', 'pytest', 'pip') if u.find_spec(name)])"
    assert says(environment, code) == "[]"


def test_environments_share_their_files(installing: Installing) -> None:
    sets = (["six==1.16.0"], ["six==1.16.0", "idna==3.6"])
    folders = [installing.environment("3.12", *lines).folder for lines in sets]

    files = [folder / "lib" / "python3.12" / "site-packages" / "six.py" for folder in folders]
    assert folders[0] != folders[1]
    assert files[0].stat().st_ino == files[1].stat().st_ino


def test_what_was_installed_once_needs_no_tool_again(installing: Installing, monkeypatch: pytest.MonkeyPatch) -> None:
    first = installing.environment("3.12", "six==1.16.0")
    asked: list[object] = []
    monkeypatch.setattr(installing.runner, "tool", lambda *words, **named: asked.append(words))

    assert installing.environment("3.12", "six==1.16.0") == first
    assert asked == []


def test_a_set_that_has_no_solution_names_the_culprit(installing: Installing) -> None:
    with pytest.raises(Blocked) as caught:
        installing.environment("3.12", "six==1.16.0", "six==1.15.0")

    assert [(found.code, found.names) for found in caught.value.findings] == [("PY101", ("six",))]


def test_a_source_that_does_not_build_on_the_target_only_is_told(installing: Installing, tmp_path: Path) -> None:
    """``imp`` is gone from 3.12 on."""
    setup = "import sys\nif sys.version_info >= (3, 12):\n    import imp\nfrom setuptools import setup\n"
    setup += "setup(name='old', version='1', py_modules=['old'])\n"
    source = service_tree(installing.cache / "sources" / uuid4().hex, {"setup.py": setup, "old.py": ""})

    for interpreter in ("3.9", "3.10"):
        build = installing.runner.find(Interpreter.parse(interpreter))
        assert installing.store.install_tree(source, source.name, build).modules == ("old",)
    with pytest.raises(Blocked) as caught:
        installing.store.install_tree(source, source.name, installing.runner.find(Interpreter(3, 12)))
    assert "No module named 'imp'" in caught.value.findings[0].message


def test_a_source_of_the_index_is_built_on_each_interpreter(installing: Installing) -> None:
    """Its wheel fits all interpreters, and is still not taken from one to the other."""
    (pin,) = (Pin(name="docopt", version="0.6.2", line="docopt==0.6.2", from_source=True),)
    builds = [installing.runner.find(Interpreter.parse(text)) for text in ("3.9", "3.12")]
    for build in builds:
        installing.store.fill([pin], build, Wanted(lines=()))

    entries = [installing.store.entry(pin, build) for build in builds]
    wheels = [
        path.read_text() for entry in entries if entry for path in (entry.folder / "lib").glob("*.dist-info/WHEEL")
    ]
    assert len(wheels) == 2
    assert all(entry.from_source for entry in entries if entry)
