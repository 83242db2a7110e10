"""The store: what an installation is taken apart into, without ever installing anything."""

import csv
import io
import json
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.process import CommandRun, Ended
from pytest_py312.dependencies.installation.distribution_store import Store
from pytest_py312.dependencies.resolution.lock import Blocked, Pin, Unchecked, Wanted
from tests.support.fakes import FakeRunner, build_of, command_run_of

NUMPY = Pin(name="numpy", version="1.26.4", line="numpy==1.26.4")
SIX = Pin(name="six", version="1.16.0", line="six==1.16.0")
SOURCE = Pin(name="olddist", version="0.1", line="olddist==0.1", from_source=True)
BUILD = build_of("3.12")


@dataclass(kw_only=True)
class Installing(FakeRunner):
    """A runner whose uv lays ``files`` of each project into the environment, as an installer would."""

    files: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    refusal: CommandRun | None = None

    def tool(
        self, build: InterpreterBuild, argv: Sequence[str], *, stdin: str = "", time_limit: float = 600.0
    ) -> CommandRun:
        self.tools.append(tuple(argv))
        if "venv" in argv:
            Path(argv[-1]).mkdir()
            return command_run_of()
        if "install" not in argv:
            return command_run_of()
        if self.refusal is not None:
            return self.refusal
        environment = Path(argv[argv.index("--python") + 1]).parent.parent
        site = environment / "lib" / f"python{build.interpreter}" / "site-packages"
        for line in Path(argv[-1]).read_text().splitlines():
            name, _, version = line.partition("==")
            self._install(site, name, version or "1")
        return command_run_of()

    def _install(self, site: Path, name: str, version: str) -> None:
        info = f"{name.replace('-', '_')}-{version}.dist-info"
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        content = {f"{info}/METADATA": metadata, **self.files.get(name, {f"{name}/__init__.py": ""})}
        record = io.StringIO()
        writer = csv.writer(record)
        writer.writerows([[path, "", ""] for path in (*content, f"{info}/RECORD")])
        for path, text in {**content, f"{info}/RECORD": record.getvalue()}.items():
            target = site / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)


def store(folder: Path, **more: object) -> tuple[Store, Installing]:
    runner = Installing(**more)  # type: ignore[arg-type]  # passed on as they are
    return Store(cache=folder, runner=runner), runner


def installs(runner: Installing) -> list[tuple[str, ...]]:
    return [argv for argv in runner.tools if "install" in argv]


def test_all_wheels_are_installed_in_one_go_and_each_source_alone(tmp_path: Path) -> None:
    filled, runner = store(tmp_path)

    filled.fill([NUMPY, SIX, SOURCE], BUILD, Wanted(lines=()))

    assert len(installs(runner)) == 2
    (source,) = [argv for argv in installs(runner) if "--no-binary" in argv]
    assert source[source.index("--no-binary") + 1] == "olddist"
    entries = [filled.entry(pin, BUILD) for pin in (NUMPY, SIX, SOURCE)]
    assert [(entry.name, entry.version, entry.from_source) for entry in entries if entry] == [
        ("numpy", "1.26.4", False),
        ("six", "1.16.0", False),
        ("olddist", "0.1", True),
    ]


def test_what_is_there_is_not_installed_again(tmp_path: Path) -> None:
    filled, runner = store(tmp_path)

    for _ in range(2):
        filled.fill([NUMPY], BUILD, Wanted(lines=()))
    Store(cache=tmp_path, runner=runner).fill([NUMPY], BUILD, Wanted(lines=()))

    assert len(installs(runner)) == 1


@pytest.mark.parametrize("interpreter", ["3.9", "3.10", "3.12"])
def test_each_build_has_its_own(tmp_path: Path, interpreter: str) -> None:
    filled, _ = store(tmp_path)
    build = build_of(interpreter)

    filled.fill([NUMPY], build, Wanted(lines=()))

    assert filled.entry(NUMPY, build) is not None
    assert filled.entry(NUMPY, build_of("3.13")) is None


def test_two_versions_of_a_project_go_into_two_environments(tmp_path: Path) -> None:
    filled, runner = store(tmp_path)
    other = Pin(name="numpy", version="1.25.0", line="numpy==1.25.0")

    filled.fill([NUMPY, other, SIX], BUILD, Wanted(lines=()))

    assert len(installs(runner)) == 2
    assert all(filled.entry(pin, BUILD) for pin in (NUMPY, other, SIX))


def test_what_was_installed_for_one_hash_is_not_taken_for_another(tmp_path: Path) -> None:
    """The entry without hashes proves nothing about a file that has to have a certain one."""
    filled, _ = store(tmp_path)
    filled.fill([NUMPY], BUILD, Wanted(lines=()))

    hashed = Pin(name="numpy", version="1.26.4", line="numpy==1.26.4 --hash=sha256:aa")

    assert filled.entry(hashed, BUILD) is None
    assert filled.entry(Pin(name="numpy", version="1.26.4", line=NUMPY.line, from_source=True), BUILD) is None


def test_modules_are_what_one_can_import(tmp_path: Path) -> None:
    files = {
        "numpy": {
            "numpy/__init__.py": "",
            "single.py": "",
            "native.cpython-312-x86_64-linux-gnu.so": "",
            "_private/__init__.py": "",
            "tests/__init__.py": "",
            "data/table.csv": "",
            "with-dash/__init__.py": "",
            "namespace/part.py": "",
            "google/cloud/storage/__init__.py": "",
        }
    }
    filled, _ = store(tmp_path, files=files)

    filled.fill([NUMPY], BUILD, Wanted(lines=()))

    entry = filled.entry(NUMPY, BUILD)
    assert entry is not None
    assert entry.modules == ("namespace", "native", "numpy", "single")


def test_what_lies_beside_site_packages_is_kept_and_what_lies_outside_is_not(tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("precious")
    files = {
        "numpy": {
            "numpy/__init__.py": "",
            "../../../bin/f2py": "#!python",
            "../../../share/man.1": "text",
        }
    }
    filled, _ = store(tmp_path / "cache", files=files)

    filled.fill([NUMPY], BUILD, Wanted(lines=()))

    entry = filled.entry(NUMPY, BUILD)
    assert entry is not None
    data = entry.folder / "data"
    assert sorted(str(path.relative_to(data)) for path in data.rglob("*") if path.is_file()) == [
        "bin/f2py",
        "share/man.1",
    ]
    assert not list((tmp_path / "cache" / "tmp").iterdir())


@pytest.mark.parametrize("damage", ["", "{", "[]", "3", "null", "{}", '{"modules": 3, "requires": []}'])
def test_a_damaged_entry_is_made_again(tmp_path: Path, damage: str) -> None:
    filled, _ = store(tmp_path)
    filled.fill([NUMPY], BUILD, Wanted(lines=()))
    entry = filled.entry(NUMPY, BUILD)
    assert entry is not None
    (entry.folder / "entry.json").write_text(damage)
    assert filled.entry(NUMPY, BUILD) is None

    filled.fill([NUMPY], BUILD, Wanted(lines=()))

    assert filled.entry(NUMPY, BUILD) == entry


# ---- what may go wrong

FAILED_BUILD = "error: Failed to build `olddist==0.1`\n  ModuleNotFoundError: No module named 'distutils'\n"
FAILED_TREE = """\
error: The build backend returned an error
  cause: Call to `setuptools.build_meta:__legacy__.get_requires_for_build_wheel` failed (exit status: 1)

         [stderr]
         Traceback (most recent call last):
           File "<string>", line 3, in <module>
         ModuleNotFoundError: No module named 'imp'
"""


@pytest.mark.parametrize(
    ("refusal", "kind", "words"),
    [
        (command_run_of(stderr=FAILED_BUILD, exit_code=1), Blocked, "No module named 'distutils'"),
        (command_run_of(stderr=FAILED_TREE, exit_code=1), Blocked, "No module named 'imp'"),
        (command_run_of(stderr="error: Failed to fetch: x", exit_code=2), Unchecked, "Failed to fetch"),
        (command_run_of(stderr="", exit_code=2), Unchecked, "exit code 2"),
        (command_run_of(ended=Ended.TIMED_OUT, exit_code=-2), Unchecked, "time limit reached"),
        (command_run_of(stderr="No space left on device (os error 28)", exit_code=2), Unchecked, "No space left"),
    ],
)
def test_an_installation_that_fails_says_why_and_leaves_nothing(
    tmp_path: Path, refusal: CommandRun, kind: type[Exception], words: str
) -> None:
    filled, _ = store(tmp_path, refusal=refusal)

    with pytest.raises(kind, match=words):
        filled.fill([SOURCE], BUILD, Wanted(lines=()))

    assert filled.entry(SOURCE, BUILD) is None
    assert not list((tmp_path / "tmp").iterdir())


def test_an_installation_without_a_distribution_is_unchecked(tmp_path: Path) -> None:
    filled, runner = store(tmp_path)
    runner.refusal = command_run_of()

    with pytest.raises(Unchecked, match="installed nothing"):
        filled.fill([NUMPY], BUILD, Wanted(lines=()))


def test_an_entry_says_what_its_metadata_say(tmp_path: Path) -> None:
    filled, _ = store(tmp_path)
    filled.fill([NUMPY], BUILD, Wanted(lines=()))
    entry = filled.entry(NUMPY, BUILD)
    assert entry is not None

    facts = json.loads((entry.folder / "entry.json").read_text())
    assert (facts["name"], facts["requires_python"], facts["requires"]) == ("numpy", "", [])
    assert entry.requires == ()


def test_all_sources_that_fail_to_build_are_told_together(tmp_path: Path) -> None:
    """And one that this machine cannot build hides none that nobody can."""

    class Failing(Installing):
        def tool(
            self, build: InterpreterBuild, argv: Sequence[str], *, stdin: str = "", time_limit: float = 600.0
        ) -> CommandRun:
            if "install" in argv:
                name = Path(argv[-1]).read_text().partition("==")[0].strip()
                reason = "mysql_config not found" if name == "mysqlclient" else "No module named 'distutils'"
                return command_run_of(stderr=f"error: Failed to build `{name}==1`\n{reason}\n", exit_code=1)
            return super().tool(build, argv, stdin=stdin, time_limit=time_limit)

    made = Store(cache=tmp_path, runner=Failing())
    pins = [Pin(name=name, version="1", line=f"{name}==1", from_source=True) for name in ("mysqlclient", "a", "b")]

    with pytest.raises(Blocked) as caught:
        made.fill(pins, BUILD, Wanted(lines=()))
    assert [(finding.code, finding.names) for finding in caught.value.findings] == [
        ("PY104", ("a",)),
        ("PY104", ("b",)),
    ]
    with pytest.raises(Unchecked, match="mysql_config"):
        made.fill(pins[:1], BUILD, Wanted(lines=()))


def test_a_source_that_does_not_build_is_not_built_again(tmp_path: Path) -> None:
    """By the next run either, while its verdict holds."""
    for tries in (1, 0):
        runner = Installing(refusal=command_run_of(stderr=FAILED_BUILD, exit_code=1))
        made = Store(cache=tmp_path, runner=runner, lock_hours=24.0, uv_version="1")
        with pytest.raises(Blocked, match="No module named 'distutils'"):
            made.fill([SOURCE], BUILD, Wanted(lines=()))
        assert len(installs(runner)) == tries


@pytest.mark.parametrize(
    "refusal",
    [
        command_run_of(stderr="error: Failed to build `olddist==0.1`\nmysql_config not found", exit_code=1),
        command_run_of(stderr="error: Failed to build `olddist==0.1`\nerror sending request for url", exit_code=1),
        command_run_of(stderr="No space left on device (os error 28)", exit_code=2),
        command_run_of(ended=Ended.CANCELLED, exit_code=None),
    ],
)
def test_what_only_this_machine_or_the_network_lacked_is_tried_again(tmp_path: Path, refusal: CommandRun) -> None:
    runner = Installing(refusal=refusal)
    made = Store(cache=tmp_path, runner=runner, lock_hours=24.0, uv_version="1")
    with pytest.raises(Unchecked):
        made.fill([SOURCE], BUILD, Wanted(lines=()))

    runner.refusal = None
    made.fill([SOURCE], BUILD, Wanted(lines=()))

    assert made.entry(SOURCE, BUILD) is not None


@dataclass(kw_only=True)
class Meeting(Installing):
    """A runner whose builds wait for each other, for as long as ``patience`` seconds."""

    patience: float
    door: threading.Barrier = field(default_factory=lambda: threading.Barrier(2))
    met: list[bool] = field(default_factory=list)

    def tool(
        self, build: InterpreterBuild, argv: Sequence[str], *, stdin: str = "", time_limit: float = 600.0
    ) -> CommandRun:
        if "install" in argv:
            try:
                self.door.wait(self.patience)
                self.met.append(True)
            except threading.BrokenBarrierError:
                self.met.append(False)
        return super().tool(build, argv, stdin=stdin, time_limit=time_limit)


@pytest.mark.parametrize(("at_once", "patience", "met"), [(2, 30.0, True), (1, 0.01, False)])
def test_no_more_sources_are_built_at_once_than_there_are_cores_for(
    tmp_path: Path, at_once: int, patience: float, met: bool
) -> None:
    """However many sets are resolved at once: a build that shares a core may not be finished in its time."""
    runner = Meeting(patience=patience)
    held = Store(cache=tmp_path, runner=runner, builds_at_once=at_once)
    pins = [Pin(name=name, version="1", line=f"{name}==1", from_source=True) for name in ("one", "two")]

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda pin: held.fill([pin], BUILD, Wanted(lines=(pin.line,))), pins))

    assert runner.met == [met] * 2
    assert all(held.entry(pin, BUILD) for pin in pins)
