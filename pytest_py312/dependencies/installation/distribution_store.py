"""The store: each distribution installed once for each interpreter build, byte code compiled, ready to be hard-linked.

    <cache>/store/<build digest>/<name>-<version>-<line digest>/
        lib/...       what lies in site-packages
        data/...      what lies beside it in an environment (bin/, share/, include/)
        entry.json    what an environment and a check need to know of it

An entry is moved into place whole, so what is there is finished. One process at a time fills the store of one build
with wheels, and builds one source.
"""

import hashlib
import json
import re
import shutil
import threading
import uuid
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from csv import reader as csv_reader
from dataclasses import asdict, dataclass
from email.parser import HeaderParser
from pathlib import Path, PurePosixPath

from packaging.utils import canonicalize_name

from pytest_py312.core import clock
from pytest_py312.core.model.findings import Finding
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.process import CommandRun, Ended
from pytest_py312.dependencies.installation.build_failures import FailedBuilds, unfinished
from pytest_py312.dependencies.resolution.lock import Blocked, Pin, Unchecked, Wanted
from pytest_py312.dependencies.resolution.uv_messages import BUILD_FAILED, build_refusal
from pytest_py312.runners.runner import Runner

NOT_MODULES = frozenset(("tests", "test", "testing", "docs", "doc", "examples", "example", "benchmarks", "scripts"))
"""Top-level folders that distributions install by mistake; nobody imports them."""


CATALOGUE = 64
"""A folder with more modules than this is a catalogue (lexers, locales): a program imports a few of them."""

BUILD_LIMIT = 1800.0
"""Seconds that installing may take, or the build of one source."""

COMPILE_SCRIPT = """
import compileall, os, sys
root, largest, left_out = sys.argv[1], int(sys.argv[2]), sys.argv[3].split(",")
for folder, folders, files in os.walk(root):
    folders[:] = [name for name in folders if name not in ("__pycache__", "tests", *left_out)]
    modules = [name for name in files if name.endswith(".py")]
    if len(modules) > largest:
        modules = [name for name in modules if name.startswith("_")]
    for name in modules:
        compileall.compile_file(os.path.join(folder, name), quiet=2)
"""
"""Compiles what a cell is likely to import. uv's --compile-bytecode compiles everything, which is a third of the whole
cost of a cold run: most of it in catalogues, in tests, and in the setuptools that nobody asked for. What is left out
costs its import once an environment."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """An installed distribution in the store.

    ``modules`` are its importable top-level modules, ``requires_python`` and ``requires`` what its metadata say.
    """

    name: str
    version: str
    folder: Path
    modules: tuple[str, ...] = ()
    requires_python: str = ""
    requires: tuple[str, ...] = ()
    from_source: bool = False


Settings = Callable[[tuple[str, ...], InterpreterBuild], str]
"""The text of uv's settings file when it installs from where some options (``--index-url ...``) say."""


class Store:
    """Fills the store and hands out entries. Safe for several processes at once."""

    def __init__(
        self,
        *,
        cache: Path,
        runner: Runner,
        lock_hours: float = 0.0,
        uv_version: str = "",
        settings: Settings = lambda options, build: "",
        builds_at_once: int = 2,
    ) -> None:
        self._root = cache / "store"
        self._temporary = cache / "tmp"
        self._runner = runner
        self._settings = settings
        self._compilers = threading.BoundedSemaphore(builds_at_once)
        self._failed = FailedBuilds(cache=cache, tools=f"{runner.name} {uv_version}", lock_hours=lock_hours)

    def entry(self, pin: Pin, build: InterpreterBuild) -> Entry | None:
        """The entry of ``pin``, or ``None`` when it is not installed yet."""
        return _load(self._folder(pin, build))

    def fill(
        self, pins: Iterable[Pin], build: InterpreterBuild, wanted: Wanted, build_limit: float = BUILD_LIMIT
    ) -> None:
        """Install what is not there yet: all wheels in one go, each source by itself, for ``build_limit`` seconds.

        :raises Blocked: a source does not build on this interpreter.
        :raises Unchecked: something could not be installed for another reason (network, disk).
        """
        wishes = {pin.line: pin for pin in pins}
        if all(self.entry(pin, build) for pin in wishes.values()):
            return
        with self._alone(build):
            missing = [pin for pin in wishes.values() if self.entry(pin, build) is None]
            wheels = sorted((pin for pin in missing if not pin.from_source), key=lambda pin: pin.index)
            for batch in _batches(wheels):
                self._install(batch, build, wanted, [])
        self._build([pin for pin in missing if pin.from_source], build, wanted, build_limit)

    def _build(self, pins: Sequence[Pin], build: InterpreterBuild, wanted: Wanted, limit: float) -> None:
        """Build each source by itself, also after one has failed: all that block are told at once."""
        findings: list[Finding] = []
        unchecked: Unchecked | None = None
        for pin in pins:
            try:
                self._build_one(pin, build, wanted, limit)
            except Blocked as blocked:
                findings += blocked.findings
            except Unchecked as reason:
                unchecked = unchecked or reason
        if findings:
            raise Blocked(findings)
        if unchecked is not None:
            raise unchecked

    def _build_one(self, pin: Pin, build: InterpreterBuild, wanted: Wanted, limit: float) -> None:
        # not with the wheels' lock: nobody else waits for a compiler
        with self._alone(build, pin), self._compilers:
            if self.entry(pin, build) is not None:
                return
            self._failed.check(pin, build, wanted, limit)
            options = ["--no-binary", pin.name] if pin.version else []
            started = clock.stopwatch()
            try:
                self._install([pin], build, wanted, options, limit)
            except Blocked as blocked:
                self._failed.keep(pin, build, blocked)
                raise
            except Unchecked:
                if clock.stopwatch() - started < limit:
                    raise
                self._failed.keep_unfinished(pin, build, limit)
                raise unfinished(pin, build, limit) from None

    def install_tree(self, source: Path, key: str, build: InterpreterBuild) -> Entry:
        """Build and install the source tree ``source`` (in the cache folder); ``key`` names its content.

        :raises Blocked, Unchecked: as :meth:`fill`.
        """
        entry = self.tree_entry(source, key, build)
        if entry is None:
            self._build_one(self._tree_pin(source, key), build, Wanted(lines=()), BUILD_LIMIT)
            entry = self.tree_entry(source, key, build)
        if entry is None:
            raise Unchecked(f"{source.name} installed nothing")
        return entry

    def tree_entry(self, source: Path, key: str, build: InterpreterBuild) -> Entry | None:
        """The entry of a source tree, or ``None`` when it was not built yet."""
        return self.entry(self._tree_pin(source, key), build)

    def _tree_pin(self, source: Path, key: str) -> Pin:
        return Pin(name=f"tree-{key}", version="", line=self._runner.inside(source), from_source=True)

    def _alone(self, build: InterpreterBuild, pin: Pin | None = None) -> AbstractContextManager[object]:
        """One process at a time fills the store of one build with wheels, or with the one source that ``pin`` is."""
        from filelock import FileLock  # costs 6 ms, which an unchanged run has no use for

        self._root.mkdir(parents=True, exist_ok=True)
        what = f"-{self._folder(pin, build).name}" if pin else ""
        return FileLock(self._root / f"{build.digest}{what}.lock")

    def _folder(self, pin: Pin, build: InterpreterBuild) -> Path:
        # markers of a line do not change what is installed; a url does, and hashes say which file may be
        own = " @ " in pin.line or "--hash" in pin.line or not pin.version
        what = pin.line if own else f"{pin.name}=={pin.version}"
        kind = "source" if pin.from_source else "wheel"
        digest = hashlib.sha256(f"{what}\0{kind}\0{pin.index}".encode()).hexdigest()[:12]
        return self._root / f"{self._runner.name}-{build.digest}" / f"{pin.name}-{pin.version or 'tree'}-{digest}"

    def _install(
        self,
        pins: Sequence[Pin],
        build: InterpreterBuild,
        wanted: Wanted,
        options: Sequence[str],
        limit: float = BUILD_LIMIT,
    ) -> list[Entry]:
        work = self._temporary / uuid.uuid4().hex
        work.mkdir(parents=True)
        # uv takes the nearest settings above its folder: not those of a parent of the cache
        (work / "uv.toml").write_text(self._settings(tuple(pins[0].index.splitlines()), build), encoding="utf-8")
        inside = self._runner.inside
        environment, requirements = work / "environment", work / "requirements.txt"
        try:
            lines = [pins[0].index, *(pin.line for pin in pins)]
            requirements.write_text("\n".join(lines) + "\n", encoding="utf-8")
            made = self._runner.tool(
                build, ["{uv}", "venv", "--quiet", "--no-project", "--python", "{python}", inside(environment)]
            )
            _must_work(made, wanted, build)
            argv = ["{uv}", "pip", "install", "--quiet", "--no-deps", "--color", "never", "--link-mode", "copy"]
            argv += ["--directory", inside(work)]
            argv += ["--python", inside(environment / "bin" / "python"), *options]
            # a wheel that an older Python has built and that fits all says nothing of the build on this one
            # and of a wheel in a local folder uv keeps what it has seen first under that name
            argv += ["--refresh"] if any(pin.from_source or "--find-links /" in pin.index for pin in pins) else []
            done = self._runner.tool(build, [*argv, "--requirements", inside(requirements)], time_limit=limit)
            _must_work(done, wanted, build)
            seeds = {seed.partition("==")[0] for seed in build.seed}
            if any(pin.name not in seeds for pin in pins):
                left_out = ",".join(sorted(seeds))
                argv = ["{python}", "-I", "-c", COMPILE_SCRIPT, inside(environment / "lib"), str(CATALOGUE), left_out]
                self._runner.tool(build, argv, time_limit=600)  # what it cannot compile is compiled when imported
            return self._take_apart(environment, pins, build)
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def _take_apart(self, environment: Path, pins: Sequence[Pin], build: InterpreterBuild) -> list[Entry]:
        """Split an environment into one store entry for each distribution, by their RECORDs."""
        site = environment / "lib" / f"python{build.interpreter}" / "site-packages"
        by_name = {pin.name: pin for pin in pins}
        entries = []
        for info in sorted(site.glob("*.dist-info")):
            metadata = HeaderParser().parsestr((info / "METADATA").read_text(encoding="utf-8", errors="replace"))
            name = canonicalize_name(str(metadata["Name"]))
            pin = by_name.get(name) or (pins[0] if len(pins) == 1 else None)
            if pin is None:
                continue
            target = self._folder(pin, build)
            part = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}")
            _move_recorded(info, site, environment, part)
            entry = Entry(
                name=name,
                version=str(metadata["Version"]),
                folder=target,
                modules=_top_level(part / "lib"),
                requires_python=str(metadata["Requires-Python"] or ""),
                requires=tuple(str(line) for line in metadata.get_all("Requires-Dist") or ()),
                from_source=pin.from_source,
            )
            facts = asdict(entry) | {"folder": "", "prefix": self._runner.inside(environment)}
            (part / "entry.json").write_text(json.dumps(facts), encoding="utf-8")
            shutil.rmtree(target, ignore_errors=True)  # one whose entry.json is damaged
            part.rename(target)
            entries.append(entry)
        if not entries:
            raise Unchecked(f"{', '.join(pin.line for pin in pins)} installed nothing")
        return entries


def _load(folder: Path) -> Entry | None:
    try:
        facts = dict(json.loads((folder / "entry.json").read_text(encoding="utf-8")))
        facts.pop("prefix", None)
        lists = {key: tuple(facts[key]) for key in ("modules", "requires")}
        return Entry(**{**facts, **lists, "folder": folder})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _must_work(done: CommandRun, wanted: Wanted, build: InterpreterBuild) -> None:
    if done.ok:
        return
    words = " ".join(done.stderr.split())
    if done.ended is not Ended.EXITED:
        raise Unchecked(f"installing was ended: {done.ended.value} {words[-200:]}".strip())
    mismatch = re.search(r"[Hh]ash mismatch for `?([A-Za-z0-9._-]+?)(?:==([^`\s]+))?`?(?:\s|$)", words)
    if mismatch:
        raise Blocked([_other_file(canonicalize_name(mismatch[1]), wanted)])
    if any(text in words for text in BUILD_FAILED):
        raise build_refusal(done.stderr, wanted, build)
    raise Unchecked(f"installing failed: {words.removeprefix('error: ')[:400] or f'exit code {done.exit_code}'}")


def _other_file(name: str, wanted: Wanted) -> Finding:
    return Finding(
        code="PY114",
        message=f"no hash that is required of {name} is that of its file for this interpreter: pip refuses it",
        remedy="make the file with hashes anew, with the hashes of the target's wheels among them",
        location=wanted.where(name),
        names=(name,),
    )


def _batches(pins: Sequence[Pin]) -> list[list[Pin]]:
    """Groups of one index in which no project stands twice: an environment holds one version of each."""
    batches: list[dict[str, Pin]] = []
    for pin in pins:
        for batch in batches:
            if pin.name not in batch and next(iter(batch.values())).index == pin.index:
                batch[pin.name] = pin
                break
        else:
            batches.append({pin.name: pin})
    return [list(batch.values()) for batch in batches]


def _move_recorded(info: Path, site: Path, environment: Path, part: Path) -> None:
    """Move the files that RECORD names, and their byte code, from an environment into ``part``."""
    shutil.rmtree(part, ignore_errors=True)
    with (info / "RECORD").open(encoding="utf-8", newline="") as file:
        names = [row[0] for row in csv_reader(file) if row]
    for name in names:
        source = (site / name).absolute()
        real = Path(*_normal(PurePosixPath(source)))
        if real.is_relative_to(site):
            target = part / "lib" / real.relative_to(site)
        elif real.is_relative_to(environment):
            target = part / "data" / real.relative_to(environment)
        else:
            continue  # a RECORD that points outside its environment moves nothing
        _move(real, target)
        if real.suffix == ".py":
            for compiled in (real.parent / "__pycache__").glob(f"{real.stem}.cpython-*.pyc"):
                _move(compiled, target.parent / "__pycache__" / compiled.name)
    (part / "lib").mkdir(parents=True, exist_ok=True)


def _normal(path: PurePosixPath) -> list[str]:
    parts: list[str] = []
    for item in path.parts:
        if item == ".." and len(parts) > 1:
            parts.pop()
        elif item != "..":
            parts.append(item)
    return parts


def _move(source: Path, target: Path) -> None:
    if source.is_file() and not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        source.rename(target)


def _top_level(lib: Path) -> tuple[str, ...]:
    """The importable top-level modules of an installed distribution, private ones and misplaced folders left out."""
    found = set()
    for item in lib.iterdir() if lib.is_dir() else ():
        name = item.name.split(".")[0]
        if item.is_dir() and not item.name.endswith((".dist-info", ".data")) and item.name != "__pycache__":
            if item.name.isidentifier() and _holds_code(item):
                found.add(item.name)
        elif item.suffix in (".py", ".so", ".pyd") and name.isidentifier():
            found.add(name)
    return tuple(sorted(name for name in found if not name.startswith("_") and name not in NOT_MODULES))


def _holds_code(folder: Path) -> bool:
    """A package, or a namespace with one in it; not a folder of data or stubs alone."""
    if (folder / "__init__.py").is_file():
        return True
    return next(folder.glob("*.py"), None) is not None or next(folder.glob("*.so"), None) is not None
