"""Builds of dependencies on a real engine: a hostile source can hurt nothing but its own verdict."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.dependencies.resolution.lock import ResolutionRequest, Undetermined, Unresolvable
from pytest_py312.dependencies.resolution.uv_resolver import UvResolver
from pytest_py312.dependencies.store.distribution_store import DistributionStore
from pytest_py312.dependencies.store.stored_distribution import StoredDistribution
from pytest_py312.runners.docker.runner import DockerRunner
from tests.integration.docker_runner.conftest import Bench
from tests.support.source_distributions import make_sdist, served

pytestmark = pytest.mark.docker

FOUND = "found.json"
"""What an attack saw and did: a file that it puts into its wheel, the only thing that leaves its container."""

ATTACK = """
import glob, json, socket, subprocess
found = {"uid": os.getuid(), "written": [], "dialled": [], "secrets": []}
for folder, _, files in os.walk("/"):
    if folder.startswith(("/proc", "/sys", "/dev")):
        continue
    for path in [os.path.join(folder, "planted")] + [os.path.join(folder, name) for name in files[:20]]:
        try:
            open(path, "a").close()
            found["written"].append(path)
        except OSError:
            pass
for address in (("127.0.0.1", PORT), ("10.255.255.254", 80)):
    try:
        socket.create_connection(address, 2).close()
        found["dialled"].append(address[0])
    except OSError:
        pass
with open("/proc/self/status") as status:
    found["status"] = {line.split(":")[0]: line.split()[1] for line in status if len(line.split()) > 1}
found["secrets"] = [name for name, value in os.environ.items() if "hunter2" in value]
for path in glob.glob("/py312/cache/tmp/**", recursive=True):
    if os.path.isfile(path) and b"hunter2" in open(path, "rb").read() and "evil" not in path:
        found["secrets"].append(path)
found["cache"] = sorted(os.listdir("/py312/cache"))
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True, env={},
                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
children = []
try:
    for _ in range(2000):
        pid = os.fork()
        if pid == 0:
            import time
            time.sleep(60)
            os._exit(0)
        children.append(pid)
except OSError:
    found["forks"] = len(children)
for pid in children:
    os.kill(pid, 9)
    os.waitpid(pid, 0)
globals()["FOUND"] = json.dumps(found)
"""


class Fleet:
    """Resolver and store on one cache, with one index."""

    def __init__(self, bench: Bench, runner: DockerRunner, index: str) -> None:
        self.index = index
        self.cache = bench.cache
        self.build: InterpreterBuild = runner.find_interpreter(Interpreter(3, 12))
        self.uv = UvResolver(cache=bench.cache, runner=runner, uv_version="test", lock_hours=24.0)
        self.store = DistributionStore(cache=bench.cache, runner=runner, uv_settings=self.uv.settings_toml)

    def install(self, *lines: str) -> list[StoredDistribution]:
        request = ResolutionRequest(lines=lines, options=(f"--index-url {self.index}",))
        lock = self.uv.resolve(request, self.build)
        self.store.fill(lock.pins, self.build, request)
        return [entry for pin in lock.pins if (entry := self.store.get(pin, self.build))]


@pytest.fixture
def sdists(tmp_path: Path) -> Path:
    """The folder of the index."""
    folder = tmp_path / "sdists"
    folder.mkdir()
    return folder


@pytest.fixture
def fleet(bench: Bench, sdists: Path) -> Iterator[Fleet]:
    with served(sdists) as index:
        yield Fleet(bench, bench.runner(), index)


def contents(folder: Path) -> Mapping[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_hostile_build_reaches_nothing(
    fleet: Fleet, sdists: Path, monkeypatch: pytest.MonkeyPatch, listener: int
) -> None:
    """It writes only to its own folder, dials nobody, has no rights and sees no other service and no password."""
    monkeypatch.setenv("HTTPS_PROXY", "http://user:hunter2@127.0.0.1:1")
    make_sdist(sdists, "victim")
    (victim,) = fleet.install("victim==1.0")
    victim_files = contents(victim.folder)
    put_report = 'files["found.json"] = globals()["FOUND"]'
    make_sdist(sdists, "evil", attack=ATTACK.replace("PORT", str(listener)), more=put_report)

    (evil,) = fleet.install("evil==1.0")

    report = json.loads((evil.folder / "lib" / FOUND).read_text())
    assert contents(victim.folder) == victim_files
    scratches = {path for path in report["written"] if "/build/scratch/" not in path and not path.startswith("/tmp")}
    assert scratches == set()
    assert (report["dialled"], report["secrets"], report["cache"]) == ([], [], ["tmp"])
    assert report["uid"] != 0
    assert (report["status"]["CapEff"], report["status"]["NoNewPrivs"]) == ("0" * 16, "1")
    assert 0 < report["forks"] < 600


@pytest.fixture
def listener() -> Iterator[int]:
    """The port of a server on this machine."""
    import socket

    with socket.create_server(("0.0.0.0", 0)) as server:
        yield server.getsockname()[1]


LINK = """
link = zipfile.ZipInfo(f"{NAME}_link")
link.external_attr = 0o120777 << 16
archive.writestr(link, "/py312/cache/store")
"""
OUTSIDE = 'archive.writestr("../../../../store/planted.py", "")'
UNLISTED = 'archive.writestr("unlisted.py", "")'
OTHER = 'archive.writestr("victim-1.0.dist-info/METADATA", "")'


@pytest.mark.parametrize("tamper", [LINK, OUTSIDE, UNLISTED, OTHER], ids=["link", "outside", "unlisted", "other"])
def test_a_wheel_that_is_not_what_it_should_be_is_not_installed(fleet: Fleet, sdists: Path, tamper: str) -> None:
    """It could not be checked, and is no statement about the source."""
    make_sdist(sdists, "evil", tamper=tamper)

    with pytest.raises((Undetermined, Unresolvable), match="evil"):
        fleet.install("evil==1.0")

    assert not list(fleet.cache.glob("store/*/evil-*"))
    assert not list(fleet.cache.rglob("planted*"))


SECRETIVE = """
import urllib.request
try:
    urllib.request.urlopen("http://example.invalid/model.bin")
except OSError:
    model = None
model.decode()
"""
GREEDY = "blocks = []\nwhile True:\n    blocks.append(bytearray(64 * 1024 ** 2))"
BROKEN = "import asynchat"


@pytest.mark.parametrize(
    ("attack", "reason"), [(SECRETIVE, "the network is missing"), (GREEDY, "memory limit reached")]
)
def test_a_build_that_lacks_network_or_memory_could_not_be_checked(
    fleet: Fleet, sdists: Path, monkeypatch: pytest.MonkeyPatch, attack: str, reason: str
) -> None:
    """Whatever its own message is."""
    monkeypatch.setattr("pytest_py312.runners.docker.runner.memory_of_builds", lambda parallel: 256 * 1024**2)
    make_sdist(sdists, "needy", attack=attack)

    with pytest.raises(Undetermined, match=reason):
        fleet.install("needy==1.0")


def test_a_source_that_is_broken_on_the_target_is_a_finding(fleet: Fleet, sdists: Path) -> None:
    """The verdict is the same as without confinement."""
    make_sdist(sdists, "broken", attack=BROKEN)

    with pytest.raises(Unresolvable) as caught:
        fleet.install("broken==1.0")

    (finding,) = caught.value.findings
    assert (finding.code, finding.names) == ("PY104", ("broken",))
    assert "ModuleNotFoundError: No module named 'asynchat'" in finding.message


def test_what_a_build_asks_for_is_fetched(fleet: Fleet, sdists: Path) -> None:
    """The build itself is offline; what it asks for while it runs is a source here, which is built as well."""
    make_sdist(sdists, "helper")
    make_sdist(sdists, "asking", asks=("helper>=1",), attack="import helper")

    (asking,) = fleet.install("asking==1.0")

    assert (asking.modules, asking.from_source) == (("asking",), True)


def test_what_a_source_requires_is_learned_without_running_it_beside_the_cache(fleet: Fleet, sdists: Path) -> None:
    """The second resolution starts no build: what was learned is kept."""
    make_sdist(sdists, "helper")
    make_sdist(sdists, "top", requires="Requires-Dist: helper\n")

    assert [entry.name for entry in fleet.install("top==1.0")] == ["helper", "top"]
    assert len(list(fleet.cache.glob("metadata/*.json"))) == 2
