"""What uv has written about a built source, and how it becomes a setting of uv."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.process import CommandResult
from pytest_py312.dependencies.resolution.lock import ResolutionRequest, Undetermined
from pytest_py312.dependencies.resolution.source_metadata import SourceMetadata, checked_metadata, parse_metadata
from pytest_py312.dependencies.resolution.uv_resolver import UvResolver
from pytest_py312.dependencies.system.confined_builds import NO_BUILDS
from tests.support.fakes import build_of, command_run_of
from tests.unit.dependencies.system.test_confined_builds import Confining

FUTURE = b"\x96\xa6future\xa60.18.2\x90\xbd>=2.6,!=3.0.*,!=3.1.*,!=3.2.*\x90\xc2"
"""The file that uv 0.13 writes for future 0.18.2, up to its length."""


def packed(name: str, version: str, requires: list[str]) -> bytes:
    def text(value: str) -> bytes:
        return b"\xda" + len(value).to_bytes(2, "big") + value.encode()

    lines = b"\xdc" + len(requires).to_bytes(2, "big") + b"".join(text(line) for line in requires)
    return b"\x96" + text(name) + text(version) + lines + b"\xc0" + b"\x91" + text("extra") + b"\xc3"


def test_what_uv_writes_is_read() -> None:
    found = parse_metadata(packed("Evil.Name", "1.0", ["six>=1", "x; extra == 'extra'"]))
    expected = ("six>=1", 'x; extra == "extra"')
    assert found == SourceMetadata(name="evil-name", version="1.0", requires=expected, extras=("extra",))
    future = parse_metadata(FUTURE.replace(b"\xbd", b"\xbe", 1).replace(b"3.2.*", b"3.2.* "))
    assert future is not None
    assert (future.name, future.requires) == ("future", ())


@pytest.mark.parametrize(
    "content", [b"", b"\x96", b"\xdd\xff\xff\xff\xff", b"\x91" * 5000, packed("evil", "1.0", ["not a [requirement"])]
)
def test_anything_else_is_no_metadata(content: bytes) -> None:
    assert parse_metadata(content) is None


@given(st.binary(max_size=200))
def test_no_content_breaks_it(content: bytes) -> None:
    parse_metadata(b"\x96" + content)


@pytest.mark.parametrize(
    "values",
    [
        ("../evil", "1.0", (), "", ()),
        ("evil", "one", (), "", ()),
        ("evil", "1.0", ('x"]\n[[index]]',), "", ()),
        ("evil", "1.0", (), '"\n', ()),
        ("evil", "1.0", (), "", ("an extra",)),
    ],
)
def test_what_a_build_wrote_is_checked(values: tuple[str, str, tuple[str, ...], str, tuple[str, ...]]) -> None:
    """It becomes a settings file of a tool with rights."""
    with pytest.raises(ValueError, match=r"\w"):
        checked_metadata(*values)


def test_it_is_uvs_setting() -> None:
    made = SourceMetadata(name="evil", version="1.0", requires=('x; python_version < "3"',), requires_python=">=3.8")
    assert tomllib.loads(made.toml())["dependency-metadata"] == [
        {
            "name": "evil",
            "version": "1.0",
            "requires-dist": ['x; python_version < "3"'],
            "requires-python": ">=3.8",
        }
    ]
    assert "version = " not in made.toml(with_version=False)


STOPPED = command_run_of(stderr=f"error: Failed to build `evil==1.0`\n  PYTHONHOME = '{NO_BUILDS}'\n", exit_code=1)
WHEELLESS = command_run_of(
    stderr="No solution found when resolving dependencies: cause: Because evil has no usable wheels", exit_code=1
)


class Building(Confining):
    """A runner whose confined commands leave metadata in uv's cache, and fail as the requirements are not there."""

    def run_confined(self, build: object, command: object) -> CommandResult:
        self.commands.append(command)  # type: ignore[arg-type]  # as it is
        folder: Path = command.folder / "cache/sdists-v11/pypi/evil/1.0/rev"  # type: ignore[attr-defined]
        folder.mkdir(parents=True)
        (folder / "metadata.msgpack").write_bytes(packed("evil", "1.0", ["six>=1"]))
        return command_run_of(stderr="six was not found in the cache", exit_code=1)


def resolver(folder: Path, runner: Confining) -> UvResolver:
    return UvResolver(cache=folder, runner=runner, uv_version="0.13", lock_hours=0.0)


def test_a_resolution_is_repeated_with_what_a_build_wrote(tmp_path: Path) -> None:
    """The next resolution starts no build."""
    done = command_run_of("evil==1.0\nsix==1.16.0\n")
    runner = Building(answers=[WHEELLESS, STOPPED, STOPPED, done])
    request = ResolutionRequest(lines=("evil==1.0",))

    lock = resolver(tmp_path, runner).resolve(request, build_of("3.12"))

    assert [(pin.name, pin.from_source) for pin in lock.pins] == [("evil", True), ("six", False)]
    assert all(argv[0] == "env" for argv in runner.tools)
    again = Building(answers=[WHEELLESS, STOPPED, done])
    resolver(tmp_path, again).resolve(request, build_of("3.12"))
    assert (len(runner.commands), again.commands) == (1, [])


def test_a_source_whose_metadata_cannot_be_had_could_not_be_checked(tmp_path: Path) -> None:
    class Silent(Building):
        def run_confined(self, build: object, command: object) -> CommandResult:
            return command_run_of()

    runner = Silent(answers=[WHEELLESS, STOPPED, STOPPED])
    with pytest.raises(Undetermined, match=r"evil==1\.0 says what it requires only when it is built"):
        resolver(tmp_path, runner).resolve(ResolutionRequest(lines=("evil==1.0",)), build_of("3.12"))
