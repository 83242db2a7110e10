"""Builds on this machine that bubblewrap confines, and the script that starts confined commands on all runners."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_py312.core import process
from pytest_py312.core.model.findings import Interpreter
from pytest_py312.dependencies.resolution.lock import Pin, ResolutionRequest, Undetermined, Unresolvable
from pytest_py312.dependencies.resolution.uv_resolver import UvResolver
from pytest_py312.dependencies.store.distribution_store import DistributionStore
from pytest_py312.dependencies.store.stored_distribution import StoredDistribution
from pytest_py312.runners.bubblewrap import find_bubblewrap
from pytest_py312.runners.confinement import CONFINED_SCRIPT
from pytest_py312.runners.runner import CellUnavailable
from tests.integration.local_runners import local_runner
from tests.support.source_distributions import make_sdist, served, served_repository

ATTACK = """
import json, socket
found = {"written": [], "reached": []}
for folder in FOLDERS:
    try:
        open(os.path.join(folder, "planted"), "w").close()
        found["written"].append(folder)
    except OSError:
        pass
for path in ("/run/docker.sock", "/var/run/docker.sock"):
    if os.path.exists(path):
        found["reached"].append(path)
for address in (("127.0.0.1", PORT), ("10.255.255.254", 80)):
    try:
        socket.create_connection(address, 2).close()
        found["reached"].append(address[0])
    except OSError:
        pass
globals()["FOUND"] = json.dumps(found)
"""
REPORT = 'files["found.json"] = globals()["FOUND"]'


class Fleet:
    """Resolver and store on one cache and one Python, with one index."""

    def __init__(self, cache: Path, index: str, interpreter: str) -> None:
        self.index = index
        self.runner = local_runner(cache)
        try:
            self.build = self.runner.find_interpreter(Interpreter.parse(interpreter))
        except CellUnavailable as reason:
            pytest.skip(str(reason))
        self.uv = UvResolver(cache=cache, runner=self.runner, uv_version="test", lock_hours=24.0)
        self.store = DistributionStore(cache=cache, runner=self.runner, uv_settings=self.uv.settings_toml)

    def install(self, line: str) -> StoredDistribution:
        request = ResolutionRequest(lines=(line,), options=(f"--index-url {self.index}",))
        lock = self.uv.resolve(request, self.build)
        self.store.fill(lock.pins, self.build, request)
        (entry,) = (self.store.get(pin, self.build) for pin in lock.pins)
        assert entry is not None
        return entry


@pytest.fixture
def sdists(tmp_path: Path) -> Path:
    """The folder of the index."""
    (tmp_path / "sdists").mkdir()
    return tmp_path / "sdists"


@pytest.fixture(params=["3.9", "3.10", "3.12"])
def fleet(tmp_path: Path, sdists: Path, request: pytest.FixtureRequest) -> Iterator[Fleet]:
    if not find_bubblewrap():
        reason = "there is no bubblewrap that may make namespaces"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    with served(sdists) as index:
        made = Fleet(tmp_path / "cache", index, request.param)
        yield made
        made.runner.close()


def test_a_hostile_build_writes_nowhere_and_reaches_nobody(fleet: Fleet, sdists: Path, tmp_path: Path) -> None:
    folders = [str(tmp_path), str(tmp_path / "cache"), str(tmp_path / "cache/store"), str(Path.home()), "/usr"]
    port = fleet.index.rsplit(":", 1)[1].strip("/")
    attack = ATTACK.replace("FOLDERS", repr(folders)).replace("PORT", port)
    make_sdist(sdists, "evil", attack=attack, more=REPORT)

    evil = fleet.install("evil==1.0")

    found = json.loads((evil.folder / "lib" / "found.json").read_text())
    # the build has a /tmp of its own
    assert [folder for folder in found["written"] if not folder.startswith("/tmp/")] == []
    assert found["reached"] == []
    assert not list(tmp_path.rglob("planted"))


def test_the_requirements_of_a_source_from_git_are_learned_by_a_confined_build(fleet: Fleet, tmp_path: Path) -> None:
    """setup.py reads them from a file, so that only a build reveals them; it also attacks."""
    folders, port = [str(tmp_path), str(tmp_path / "cache"), str(Path.home())], fleet.index.rsplit(":", 1)[1].strip("/")
    attack = "import os\n" + ATTACK.replace("FOLDERS", repr(folders)).replace("PORT", port)
    setup = (
        f"from setuptools import setup\n{attack}\nassert found['reached'] == []\n"
        "setup(name='acme', version='1', py_modules=['acme'], install_requires=open('needs.txt').read().split())\n"
    )
    with served_repository(tmp_path / "git", {"setup.py": setup, "acme.py": "", "needs.txt": "six==1.16.0\n"}) as url:
        request = ResolutionRequest(lines=(f"acme @ git+{url}",), options=())
        lock = fleet.uv.resolve(request, fleet.build)

    assert [pin.name for pin in lock.pins] == ["acme", "six"]
    assert not list(tmp_path.rglob("planted"))


def test_a_source_from_git_may_need_a_password(fleet: Fleet, tmp_path: Path) -> None:
    """uv does not show it, and the confined build does not get it."""
    setup = (
        "import subprocess\nfrom setuptools import setup\n"
        "assert subprocess.run(['grep', '-rqa', 'hunter' + '2', '../../../..']).returncode == 1\n"
        "setup(name='acme', version='1', py_modules=['acme'], install_requires=open('needs.txt').read().split())\n"
    )
    files = {"setup.py": setup, "acme.py": "", "needs.txt": "six==1.16.0\n"}
    with served_repository(tmp_path / "git", files, is_private=True) as url:
        lock = fleet.uv.resolve(ResolutionRequest(lines=(f"acme @ git+{url}",), options=()), fleet.build)

    assert [pin.name for pin in lock.pins] == ["acme", "six"]


def test_a_source_from_git_may_require_something_else_on_each_interpreter(fleet: Fleet, tmp_path: Path) -> None:
    """uv's cache has one set of metadata for all of them."""
    setup = (
        "import sys\nfrom setuptools import setup\n"
        "needs = 'six==1.16.0' if sys.version_info < (3, 11) else 'attrs==23.1'\n"
        "setup(name='acme', version='1', py_modules=['acme'], install_requires=[needs])\n"
    )
    with served_repository(tmp_path / "git", {"setup.py": setup, "acme.py": ""}) as url:
        request = ResolutionRequest(lines=(f"acme @ git+{url}",), options=())
        other = Fleet(tmp_path / "cache", fleet.index, "3.10" if fleet.build.interpreter.minor > 10 else "3.12")
        locks = {each.build.interpreter.minor: each.uv.resolve(request, each.build) for each in (fleet, other)}

    assert {minor: [pin.name for pin in lock.pins] for minor, lock in locks.items()} == {
        minor: ["acme", "six"] if minor < 11 else ["acme", "attrs"] for minor in locks
    }


def test_a_build_that_lacks_the_network_could_not_be_checked(fleet: Fleet, sdists: Path) -> None:
    attack = "import socket\ntry:\n    socket.create_connection(('10.255.255.254', 80), 2)\nexcept OSError:\n    1 / 0"
    make_sdist(sdists, "needy", attack=attack)

    with pytest.raises(Undetermined, match="the network is missing"):
        fleet.install("needy==1.0")


def test_a_broken_source_is_a_finding(fleet: Fleet, sdists: Path) -> None:
    make_sdist(sdists, "broken", attack="import a_module_that_no_python_has")

    with pytest.raises(Unresolvable) as caught:
        fleet.install("broken==1.0")

    assert [finding.code for finding in caught.value.findings] == ["PY104"]


@pytest.mark.parametrize("code", ["pass", "raise SystemExit(3)", "import os; os.kill(os.getpid(), 9)"])
def test_the_script_ends_as_its_command(code: str) -> None:
    argv = [sys.executable, "-I", "-S", "-c", CONFINED_SCRIPT, sys.executable, "-c", f"print('out'); {code}"]
    result = process.run(argv, time_limit=30)
    assert result.stdout in ("out\n", "")
    assert result.exit_code == {"pass": 0, "raise SystemExit(3)": 3}.get(code, 137)


OPTIONAL = """
import subprocess
compiler = os.environ.get("CC", "cc")
if subprocess.call([compiler, "--version"], stdout=subprocess.DEVNULL):
    FAILURE
"""


@pytest.mark.parametrize(("failure", "optional"), [("globals()['pure'] = True", True), ("raise SystemExit(1)", False)])
def test_a_build_is_tried_without_a_compiler(fleet: Fleet, sdists: Path, failure: str, optional: bool) -> None:
    """An extension may be optional: such a source installs in an image without a compiler as well."""
    make_sdist(sdists, "fast", attack=OPTIONAL.replace("FAILURE", failure))
    pin = Pin(name="fast", version="1.0", line="fast==1.0", from_source=True, index=f"--index-url {fleet.index}")

    assert fleet.store.builds_without_compiler(pin, fleet.build, 60.0) is optional
    assert fleet.install("fast==1.0").version == "1.0"
