"""The distribution store, with a fake installer: how installed files become entries, and what is cached."""

import base64
import csv
import hashlib
import io
import json
import os
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.process import CommandResult, ExitReason
from pytest_py312.dependencies.resolution.format_control import FormatControl
from pytest_py312.dependencies.resolution.lock import Pin, ResolutionRequest, Undetermined, Unresolvable
from pytest_py312.dependencies.store.distribution_store import DistributionStore
from tests.support.fakes import FakeRunner, build_of, command_run_of

NUMPY = Pin(name="numpy", version="1.26.4", line="numpy==1.26.4")
SIX = Pin(name="six", version="1.16.0", line="six==1.16.0")
SOURCE = Pin(name="olddist", version="0.1", line="olddist==0.1", from_source=True)
BUILD = build_of("3.12")


@dataclass(kw_only=True)
class Installing(FakeRunner):
    """A runner whose uv writes ``files`` of each project into the environment, as an installer would."""

    files: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    hashes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    refusal: CommandResult | None = None

    def run_tool(
        self, build: InterpreterBuild, argv: Sequence[str], *, stdin: str = "", time_limit: float = 600.0
    ) -> CommandResult:
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
        hashes = self.hashes.get(name, {})
        writer.writerows([[path, hashes.get(path, ""), ""] for path in (*content, f"{info}/RECORD")])
        for path, text in {**content, f"{info}/RECORD": record.getvalue()}.items():
            target = site / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)


def store(folder: Path, **more: object) -> tuple[DistributionStore, Installing]:
    runner = Installing(**more)  # type: ignore[arg-type]  # passed on as they are
    return DistributionStore(cache=folder, runner=runner), runner


def installs(runner: Installing) -> list[tuple[str, ...]]:
    return [argv for argv in runner.tools if "install" in argv]


def test_wheels_are_installed_together_and_each_source_alone(tmp_path: Path) -> None:
    filled, runner = store(tmp_path)

    filled.fill([NUMPY, SIX, SOURCE], BUILD, ResolutionRequest(lines=()))

    assert len(installs(runner)) == 2
    (source,) = [argv for argv in installs(runner) if "--no-binary" in argv]
    assert source[source.index("--no-binary") + 1] == "olddist"
    entries = [filled.get(pin, BUILD) for pin in (NUMPY, SIX, SOURCE)]
    assert [(entry.name, entry.version, entry.from_source) for entry in entries if entry] == [
        ("numpy", "1.26.4", False),
        ("six", "1.16.0", False),
        ("olddist", "0.1", True),
    ]


def test_a_stored_distribution_is_not_installed_again(tmp_path: Path) -> None:
    filled, runner = store(tmp_path)

    for _ in range(2):
        filled.fill([NUMPY], BUILD, ResolutionRequest(lines=()))
    DistributionStore(cache=tmp_path, runner=runner).fill([NUMPY], BUILD, ResolutionRequest(lines=()))

    assert len(installs(runner)) == 1


@pytest.mark.parametrize("interpreter", ["3.9", "3.10", "3.12"])
def test_each_interpreter_build_has_its_own_entries(tmp_path: Path, interpreter: str) -> None:
    filled, _ = store(tmp_path)
    build = build_of(interpreter)

    filled.fill([NUMPY], build, ResolutionRequest(lines=()))

    assert filled.get(NUMPY, build) is not None
    assert filled.get(NUMPY, build_of("3.13")) is None


def test_two_versions_of_a_project_are_installed_separately(tmp_path: Path) -> None:
    filled, runner = store(tmp_path)
    other = Pin(name="numpy", version="1.25.0", line="numpy==1.25.0")

    filled.fill([NUMPY, other, SIX], BUILD, ResolutionRequest(lines=()))

    assert len(installs(runner)) == 2
    assert all(filled.get(pin, BUILD) for pin in (NUMPY, other, SIX))


def test_entries_with_and_without_hashes_are_separate(tmp_path: Path) -> None:
    """An entry without hashes proves nothing about a file that must have a certain hash."""
    filled, _ = store(tmp_path)
    filled.fill([NUMPY], BUILD, ResolutionRequest(lines=()))

    hashed = Pin(name="numpy", version="1.26.4", line="numpy==1.26.4 --hash=sha256:aa")

    assert filled.get(hashed, BUILD) is None
    assert filled.get(Pin(name="numpy", version="1.26.4", line=NUMPY.line, from_source=True), BUILD) is None


@dataclass(kw_only=True)
class RefusingWheels(Installing):
    """A runner whose uv has a wheel of ``six`` that has none of the required hashes."""

    def run_tool(
        self, build: InterpreterBuild, argv: Sequence[str], *, stdin: str = "", time_limit: float = 600.0
    ) -> CommandResult:
        if "install" in argv and "--no-binary" not in argv and "six" in Path(argv[-1]).read_text():
            self.tools.append(tuple(argv))
            return command_run_of(exit_code=1, stderr="error: Hash mismatch for `six==1.16.0`\n")
        return super().run_tool(build, argv, stdin=stdin, time_limit=time_limit)


HASHED = Pin(name="six", version="1.16.0", line="six==1.16.0 --hash=sha256:aa")
FROM_URL = Pin(
    name="six", version="1.16.0", line="six @ https://a.example/six-1.16.0-py3-none-any.whl --hash=sha256:aa"
)
REQUIRED = ResolutionRequest(lines=("six==1.16.0",))
NO_SOURCES = FormatControl(wheel_only=frozenset({":all:"}))


@pytest.mark.parametrize("other", [(), (replace(HASHED, from_source=True),)], ids=["alone", "beside a source"])
def test_a_source_with_the_required_hash_replaces_the_wheel(tmp_path: Path, other: tuple[Pin, ...]) -> None:
    """Another lock may have the same source as what it is: that entry stays."""
    filled = DistributionStore(cache=tmp_path, runner=RefusingWheels())
    filled.fill(other, BUILD, REQUIRED)

    filled.fill([HASHED, NUMPY], BUILD, REQUIRED)

    entries = [filled.get(pin, BUILD) for pin in (HASHED, replace(HASHED, from_source=True))]
    assert [entry.from_source for entry in entries if entry] == [True, True]
    again = DistributionStore(cache=tmp_path, runner=(unused := RefusingWheels()))
    again.fill([HASHED, NUMPY], BUILD, REQUIRED)
    assert unused.tools == []
    assert again.discarded == []


def test_a_source_replaces_the_wheel_where_a_damaged_entry_lies(tmp_path: Path) -> None:
    filled = DistributionStore(cache=tmp_path, runner=RefusingWheels())
    filled.fill([HASHED], BUILD, REQUIRED)
    entry = filled.get(HASHED, BUILD)
    assert entry is not None
    (entry.folder / "entry.json").write_text("{")

    filled.fill([HASHED], BUILD, REQUIRED)

    assert filled.get(HASHED, BUILD) == entry


@pytest.mark.parametrize(
    ("pin", "request_of_it"),
    [
        (HASHED, replace(REQUIRED, formats=NO_SOURCES)),
        (HASHED, ResolutionRequest(lines=(), others=(replace(REQUIRED, formats=NO_SOURCES),))),
        (HASHED, ResolutionRequest(lines=("numpy",), formats=NO_SOURCES)),
        (FROM_URL, REQUIRED),
    ],
    ids=["only-binary", "of another command", "required by another", "url"],
)
def test_no_source_replaces_a_wheel_where_pip_takes_none(
    tmp_path: Path, pin: Pin, request_of_it: ResolutionRequest
) -> None:
    """Also where another service, which may have it, has built it before."""
    filled = DistributionStore(cache=tmp_path, runner=RefusingWheels())
    for _ in range(2):
        with pytest.raises(Unresolvable) as refused:
            filled.fill([pin], BUILD, request_of_it)
        assert [finding.code for finding in refused.value.findings] == ["PY114"]
        filled.fill([HASHED], BUILD, REQUIRED)


def test_modules_are_the_importable_top_level_modules(tmp_path: Path) -> None:
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

    filled.fill([NUMPY], BUILD, ResolutionRequest(lines=()))

    entry = filled.get(NUMPY, BUILD)
    assert entry is not None
    assert entry.modules == ("namespace", "native", "numpy", "single")


def test_files_outside_of_site_packages_are_stored_but_none_outside_of_the_environment(tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("precious")
    files = {
        "numpy": {
            "numpy/__init__.py": "",
            "../../../bin/f2py": "#!python",
            "../../../share/man.1": "text",
        }
    }
    filled, _ = store(tmp_path / "cache", files=files)

    filled.fill([NUMPY], BUILD, ResolutionRequest(lines=()))

    entry = filled.get(NUMPY, BUILD)
    assert entry is not None
    data = entry.folder / "data"
    assert sorted(str(path.relative_to(data)) for path in data.rglob("*") if path.is_file()) == [
        "bin/f2py",
        "share/man.1",
    ]
    assert not list((tmp_path / "cache" / "tmp").iterdir())


@pytest.mark.parametrize("damage", ["", "{", "[]", "3", "null", "{}", '{"modules": 3, "requires": []}'])
def test_a_damaged_entry_is_installed_again(tmp_path: Path, damage: str) -> None:
    filled, _ = store(tmp_path)
    filled.fill([NUMPY], BUILD, ResolutionRequest(lines=()))
    entry = filled.get(NUMPY, BUILD)
    assert entry is not None
    (entry.folder / "entry.json").write_text(damage)
    assert filled.get(NUMPY, BUILD) is None

    filled.fill([NUMPY], BUILD, ResolutionRequest(lines=()))

    assert filled.get(NUMPY, BUILD) == entry


# ---- errors

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
        (command_run_of(stderr=FAILED_BUILD, exit_code=1), Unresolvable, "No module named 'distutils'"),
        (command_run_of(stderr=FAILED_TREE, exit_code=1), Unresolvable, "No module named 'imp'"),
        (command_run_of(stderr="error: Failed to fetch: x", exit_code=2), Undetermined, "Failed to fetch"),
        (command_run_of(stderr="", exit_code=2), Undetermined, "exit code 2"),
        (command_run_of(exit_reason=ExitReason.TIMED_OUT, exit_code=-2), Undetermined, "time limit reached"),
        (command_run_of(stderr="No space left on device (os error 28)", exit_code=2), Undetermined, "No space left"),
    ],
)
def test_a_failed_installation_has_a_reason_and_leaves_no_files(
    tmp_path: Path, refusal: CommandResult, kind: type[Exception], words: str
) -> None:
    filled, _ = store(tmp_path, refusal=refusal)

    with pytest.raises(kind, match=words):
        filled.fill([SOURCE], BUILD, ResolutionRequest(lines=()))

    assert filled.get(SOURCE, BUILD) is None
    assert not list((tmp_path / "tmp").iterdir())


def test_an_installation_without_a_distribution_is_undetermined(tmp_path: Path) -> None:
    filled, runner = store(tmp_path)
    runner.refusal = command_run_of()

    with pytest.raises(Undetermined, match="installed nothing"):
        filled.fill([NUMPY], BUILD, ResolutionRequest(lines=()))


def test_an_entry_has_the_metadata_of_its_distribution(tmp_path: Path) -> None:
    filled, _ = store(tmp_path)
    filled.fill([NUMPY], BUILD, ResolutionRequest(lines=()))
    entry = filled.get(NUMPY, BUILD)
    assert entry is not None

    facts = json.loads((entry.folder / "entry.json").read_text())
    assert (facts["name"], facts["requires_python"], facts["requires"]) == ("numpy", "", [])
    assert entry.requires == ()


def test_all_sources_that_fail_to_build_are_reported_together(tmp_path: Path) -> None:
    """Also if another source cannot be built for a reason of this machine."""

    class Failing(Installing):
        def run_tool(
            self, build: InterpreterBuild, argv: Sequence[str], *, stdin: str = "", time_limit: float = 600.0
        ) -> CommandResult:
            if "install" in argv:
                name = Path(argv[-1]).read_text().partition("==")[0].strip()
                reason = "mysql_config not found" if name == "mysqlclient" else "No module named 'distutils'"
                return command_run_of(stderr=f"error: Failed to build `{name}==1`\n{reason}\n", exit_code=1)
            return super().run_tool(build, argv, stdin=stdin, time_limit=time_limit)

    made = DistributionStore(cache=tmp_path, runner=Failing())
    pins = [Pin(name=name, version="1", line=f"{name}==1", from_source=True) for name in ("mysqlclient", "a", "b")]

    with pytest.raises(Unresolvable) as caught:
        made.fill(pins, BUILD, ResolutionRequest(lines=()))
    assert [(finding.code, finding.names) for finding in caught.value.findings] == [
        ("PY104", ("a",)),
        ("PY104", ("b",)),
    ]
    with pytest.raises(Undetermined, match="mysql_config"):
        made.fill(pins[:1], BUILD, ResolutionRequest(lines=()))


@dataclass(kw_only=True)
class PartlyFailing(Installing):
    """A runner for which ``failing`` do not build. ``built`` has what was tried, with the limit of its time."""

    failing: frozenset[str] = frozenset()
    built: list[tuple[str, float]] = field(default_factory=list)

    def run_tool(
        self, build: InterpreterBuild, argv: Sequence[str], *, stdin: str = "", time_limit: float = 600.0
    ) -> CommandResult:
        if "install" in argv:
            name = Path(argv[-1]).read_text().partition("==")[0].strip()
            self.built.append((name, time_limit))
            if name in self.failing:
                text = f"error: Failed to build `{name}==1`\nNo module named 'distutils'\n"
                return command_run_of(stderr=text, exit_code=1)
        return super().run_tool(build, argv, stdin=stdin, time_limit=time_limit)


def sources(*names: str) -> list[Pin]:
    return [Pin(name=name, version="1", line=f"{name}==1", from_source=True) for name in names]


def failing_sources(made: DistributionStore, names: str, interpreter: str, **options: bool) -> list[str]:
    with pytest.raises(Unresolvable) as caught:
        made.fill(sources(*names), build_of(interpreter), ResolutionRequest(lines=()), 600.0, **options)
    return [name for finding in caught.value.findings for name in finding.names]


def test_after_a_failure_the_other_sources_have_less_time(tmp_path: Path) -> None:
    runner = PartlyFailing(failing=frozenset("bd"))
    made = DistributionStore(cache=tmp_path, runner=runner)

    assert failing_sources(made, "abcd", "3.12") == ["b", "d"]
    assert runner.built == [("a", 600.0), ("b", 600.0), ("c", 90.0), ("d", 90.0)]


@pytest.mark.parametrize("interpreter", ["3.9", "3.10", "3.12"])
def test_where_one_failure_is_enough_nothing_is_built_after_it(tmp_path: Path, interpreter: str) -> None:
    """Neither before one that is known to fail: here, or on another interpreter in this run."""
    runner = PartlyFailing(failing=frozenset("bd"))
    made = DistributionStore(cache=tmp_path, runner=runner, lock_hours=24.0)

    assert failing_sources(made, "abcd", interpreter, stop_at_failure=True) == ["b"]
    assert failing_sources(made, "cab", interpreter, stop_at_failure=True) == ["b"]
    assert [name for name, _ in runner.built] == ["a", "b"]
    assert failing_sources(made, "acb", "3.11", stop_at_failure=True) == ["b"]
    assert [name for name, _ in runner.built] == ["a", "b", "b"]


def test_a_source_that_does_not_build_is_not_built_again(tmp_path: Path) -> None:
    """Neither by the next run, while the cached failure is valid."""
    for tries in (1, 0):
        runner = Installing(refusal=command_run_of(stderr=FAILED_BUILD, exit_code=1))
        made = DistributionStore(cache=tmp_path, runner=runner, lock_hours=24.0, uv_version="1")
        with pytest.raises(Unresolvable, match="No module named 'distutils'"):
            made.fill([SOURCE], BUILD, ResolutionRequest(lines=()))
        assert len(installs(runner)) == tries


@pytest.mark.parametrize(
    "refusal",
    [
        command_run_of(stderr="error: Failed to build `olddist==0.1`\nmysql_config not found", exit_code=1),
        command_run_of(stderr="error: Failed to build `olddist==0.1`\nerror sending request for url", exit_code=1),
        command_run_of(stderr="No space left on device (os error 28)", exit_code=2),
        command_run_of(exit_reason=ExitReason.CANCELLED, exit_code=None),
    ],
)
def test_failures_of_the_machine_or_the_network_are_tried_again(tmp_path: Path, refusal: CommandResult) -> None:
    runner = Installing(refusal=refusal)
    made = DistributionStore(cache=tmp_path, runner=runner, lock_hours=24.0, uv_version="1")
    with pytest.raises(Undetermined):
        made.fill([SOURCE], BUILD, ResolutionRequest(lines=()))

    runner.refusal = None
    next_run = DistributionStore(cache=tmp_path, runner=runner, lock_hours=24.0, uv_version="1")
    next_run.fill([SOURCE], BUILD, ResolutionRequest(lines=()))

    assert next_run.get(SOURCE, BUILD) is not None


def test_a_build_that_lacks_a_program_is_tried_once_for_all_cells_of_a_run(tmp_path: Path) -> None:
    refusal = command_run_of(stderr="error: Failed to build `olddist==0.1`\nmysql_config not found", exit_code=1)
    made, runner = store(tmp_path, refusal=refusal)

    for _ in range(3):
        with pytest.raises(Undetermined, match="mysql_config is missing"):
            made.fill([SOURCE], BUILD, ResolutionRequest(lines=()))

    assert len(installs(runner)) == 1


@dataclass(kw_only=True)
class BarrierRunner(Installing):
    """A runner whose builds wait for each other, for up to ``patience`` seconds."""

    patience: float
    door: threading.Barrier = field(default_factory=lambda: threading.Barrier(2))
    met: list[bool] = field(default_factory=list)

    def run_tool(
        self, build: InterpreterBuild, argv: Sequence[str], *, stdin: str = "", time_limit: float = 600.0
    ) -> CommandResult:
        if "install" in argv:
            try:
                self.door.wait(self.patience)
                self.met.append(True)
            except threading.BrokenBarrierError:
                self.met.append(False)
        return super().run_tool(build, argv, stdin=stdin, time_limit=time_limit)


@pytest.mark.parametrize(("at_once", "patience", "met"), [(2, 30.0, True), (1, 0.01, False)])
def test_the_number_of_parallel_builds_is_limited(tmp_path: Path, at_once: int, patience: float, met: bool) -> None:
    """However many sets are resolved in parallel: a build that shares a core may exceed its time limit."""
    runner = BarrierRunner(patience=patience)
    held = DistributionStore(cache=tmp_path, runner=runner, parallel_builds=at_once)
    pins = [Pin(name=name, version="1", line=f"{name}==1", from_source=True) for name in ("one", "two")]

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda pin: held.fill([pin], BUILD, ResolutionRequest(lines=(pin.line,))), pins))

    assert runner.met == [met] * 2
    assert all(held.get(pin, BUILD) for pin in pins)


def test_a_source_is_built_with_a_cache_of_its_interpreter_build(tmp_path: Path) -> None:
    """uv hands a universal wheel in a cache to every interpreter, whichever has built it."""
    filled, runner = store(tmp_path)
    builds = [build_of(interpreter) for interpreter in ("3.9", "3.10", "3.12")]

    for build in builds:
        filled.fill([SOURCE, NUMPY], build, ResolutionRequest(lines=()))

    caches = [argv[argv.index("--cache-dir") + 1] for argv in installs(runner) if "--cache-dir" in argv]
    assert len(set(caches)) == len(builds) == len(caches)
    wheels = [argv for argv in installs(runner) if "--cache-dir" not in argv]
    assert len(wheels) == len(builds)
    assert all(argv[argv.index("--only-binary") + 1] == ":all:" for argv in wheels)


def test_a_file_that_two_distributions_have_belongs_to_both(tmp_path: Path) -> None:
    """Each may be linked into an environment without the other."""
    files = {
        "numpy": {"shared/__init__.py": "same = 1\n", "numpy/__init__.py": ""},
        "six": {"shared/__init__.py": "same = 1\n", "six.py": ""},
    }
    filled, _ = store(tmp_path, files=files)

    filled.fill([NUMPY, SIX], BUILD, ResolutionRequest(lines=()))

    for pin in (NUMPY, SIX):
        entry = filled.get(pin, BUILD)
        assert entry is not None
        assert (entry.folder / "lib/shared/__init__.py").read_text() == "same = 1\n"


def test_a_distribution_whose_file_another_one_overwrote_is_installed_alone(tmp_path: Path) -> None:
    """The last one wins in a common environment, as in that of a service that requires both."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(b"of = 'numpy'\n").digest()).rstrip(b"=").decode()
    files = {
        "numpy": {"shared/__init__.py": "of = 'numpy'\n"},
        "six": {"shared/__init__.py": "of = 'six'\n"},
    }
    filled, runner = store(tmp_path, files=files, hashes={"numpy": {"shared/__init__.py": f"sha256={digest}"}})

    filled.fill([NUMPY, SIX], BUILD, ResolutionRequest(lines=()))

    contents = [
        (entry.folder / "lib/shared/__init__.py").read_text()
        for pin in (NUMPY, SIX)
        if (entry := filled.get(pin, BUILD))
    ]
    assert contents == ["of = 'numpy'\n", "of = 'six'\n"]
    assert len(installs(runner)) == 2


def test_interpreters_build_a_tree_in_copies_of_their_own(tmp_path: Path) -> None:
    """Builds write into their source, and those of several interpreters run in parallel."""
    source = tmp_path / "sources" / "tree"
    source.mkdir(parents=True)
    (source / "setup.py").write_text("")
    places: list[Path] = []

    class Building(Installing):
        def _install(self, site: Path, name: str, version: str) -> None:
            places.append(Path(name))
            assert (Path(name) / "setup.py").is_file()
            (Path(name) / "build").mkdir()  # fails if another build has left it there
            super()._install(site, "acme", "1")

    kept = DistributionStore(cache=tmp_path, runner=Building())
    for interpreter in ("3.9", "3.10", "3.12"):
        assert kept.install_tree(source, "key", build_of(interpreter)).name == "acme"

    assert len(set(places)) == 3
    assert source not in places
    assert [item.name for item in source.iterdir()] == ["setup.py"]
    assert kept.get_tree(source, "key", build_of("3.9")) is not None


@pytest.mark.parametrize("folder", ["acme", "src/acme"])
def test_an_editable_tree_has_the_files_beside_its_modules(tmp_path: Path, folder: str) -> None:
    """Also below a package, but no links; a wheel of the same tree has only what it packs."""
    package = tmp_path / "sources" / "key" / folder
    (package / "rules/.git").mkdir(parents=True)
    for name in ("acme.py", "rules/a.yaml", "rules/.git/config"):
        (package / name).write_text("of the project")
    (package / "link.yaml").symlink_to("rules/a.yaml")
    (package.parent / "notes.txt").write_text("beside the package")

    class Building(Installing):
        def _install(self, site: Path, name: str, version: str) -> None:
            super()._install(site, "acme", "1")

    kept = DistributionStore(cache=tmp_path, runner=Building())
    trees = [
        kept.install_tree(tmp_path / "sources" / "key", "key", BUILD, editable=editable) for editable in (True, False)
    ]

    added = [{path.relative_to(tree.folder).as_posix() for path in tree.folder.rglob("*.*")} for tree in trees]
    assert added[0] - added[1] == {"lib/acme/acme.py", "lib/acme/rules/a.yaml"}
    assert (trees[0].folder / "lib/acme/__init__.py").read_text() != "of the project"
    assert kept.get_tree(tmp_path / "sources" / "key", "key", BUILD, editable=True) == trees[0]


@dataclass(kw_only=True)
class InstallingWheel(Installing):
    """A runner that confines builds, and installs ``acme`` from a wheel that is named by its path."""

    @property
    def confines(self) -> bool:
        return True

    def run_confined(self, build: InterpreterBuild, command: object) -> CommandResult:
        raise AssertionError("a wheel was built")

    def _install(self, site: Path, name: str, version: str) -> None:
        if name.endswith(".whl"):
            super()._install(site, "acme", "1")


WHEEL = "acme-1-cp39.cp312-cp39.cp312-any.whl"


@pytest.mark.parametrize("interpreter", ["3.9", "3.12"])
def test_a_wheel_of_the_repository_is_installed_as_it_is(tmp_path: Path, interpreter: str) -> None:
    wheel = tmp_path / "sources" / "key" / WHEEL
    kept = DistributionStore(cache=tmp_path, runner=InstallingWheel())

    stored = kept.install_tree(wheel, "key", build_of(interpreter))

    assert (stored.name, stored.from_source, stored.is_of_repository) == ("acme", False, True)


def test_a_wheel_at_a_url_is_installed_as_it_is(tmp_path: Path) -> None:
    url = f"https://example.org/{WHEEL}"
    runner = InstallingWheel()
    pin = Pin(name="acme", version="", line=url, from_source=True)

    DistributionStore(cache=tmp_path, runner=runner).fill([pin], BUILD, ResolutionRequest(lines=()))

    assert len(installs(runner)) == 1


def test_a_wheel_for_another_python_is_refused(tmp_path: Path) -> None:
    runner = InstallingWheel()
    kept = DistributionStore(cache=tmp_path, runner=runner)

    with pytest.raises(Unresolvable) as refused:
        kept.install_tree(tmp_path / "sources" / "key" / WHEEL, "key", build_of("3.11"))

    (finding,) = refused.value.findings
    assert (finding.code, finding.message) == (
        "PY104",
        f"{WHEEL} is a wheel for another Python, so pip refuses it on 3.11",
    )
    assert runner.tools == []


def changed_file(made: DistributionStore) -> Path:
    entry = made.get(NUMPY, BUILD)
    assert entry is not None
    return entry.folder / "lib" / "numpy" / "__init__.py"


def test_an_entry_that_has_changed_is_installed_again(tmp_path: Path) -> None:
    """By the next run, which reports it; the run that has used it already does not look again."""
    first, _ = store(tmp_path)
    first.fill([NUMPY, SIX], BUILD, ResolutionRequest(lines=()))
    file = changed_file(first)
    file.write_text("raise SystemExit\n")

    second, runner = store(tmp_path)
    assert second.get(NUMPY, BUILD) is None
    second.fill([NUMPY, SIX], BUILD, ResolutionRequest(lines=()))

    assert (second.discarded, len(installs(runner)), file.read_text()) == (["numpy 1.26.4"], 1, "")
    assert store(tmp_path)[0].get(NUMPY, BUILD) is not None


def test_an_entry_that_was_only_copied_is_kept(tmp_path: Path) -> None:
    """As a restored cache is: its content decides, and its new times are noted."""
    first, _ = store(tmp_path)
    first.fill([NUMPY], BUILD, ResolutionRequest(lines=()))
    entry = changed_file(first).parents[2] / "entry.json"
    old_state = json.loads(entry.read_text())["installed_state"]
    os.utime(changed_file(first), (1, 1))

    second, _ = store(tmp_path)

    assert second.get(NUMPY, BUILD) is not None
    assert second.discarded == []
    assert json.loads(entry.read_text())["installed_state"] != old_state


def test_what_others_keep_beside_the_installed_files_is_no_change(tmp_path: Path) -> None:
    """As the summary of its source, which the check of libraries keeps there."""
    first, _ = store(tmp_path)
    first.fill([NUMPY], BUILD, ResolutionRequest(lines=()))
    (changed_file(first).parents[2] / "source-1.json").write_text("{}")

    second, _ = store(tmp_path)

    assert second.get(NUMPY, BUILD) is not None
    assert second.discarded == []


def test_an_entry_without_digests_is_installed_again(tmp_path: Path) -> None:
    """Earlier versions wrote none. That is nothing to report."""
    first, _ = store(tmp_path)
    first.fill([NUMPY], BUILD, ResolutionRequest(lines=()))
    entry = changed_file(first).parents[2] / "entry.json"
    facts = json.loads(entry.read_text())
    entry.write_text(
        json.dumps({key: facts[key] for key in facts if key not in ("installed_state", "installed_content")})
    )

    second, _ = store(tmp_path)

    assert (second.get(NUMPY, BUILD), second.discarded) == (None, [])
