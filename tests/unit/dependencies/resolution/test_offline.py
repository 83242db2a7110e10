"""uv kept from the network, and a cache that is believed where it says yes."""

from pathlib import Path

import pytest

from pytest_py312.core.process import CommandRun
from pytest_py312.dependencies.resolution.lock import Unchecked, Wanted
from pytest_py312.dependencies.resolution.offline import OfflineResolver, OfflineRunner
from tests.support.fakes import FakeRunner, build_of, command_run_of

TOGETHER = ("3.9", "3.10", "3.12")
WANTED = Wanted(lines=("numpy==1.26.4", "torch"))


def asked(folder: Path, *answers: CommandRun) -> OfflineResolver:
    runner = FakeRunner(answers=list(answers))
    return OfflineResolver(cache=folder, runner=runner, uv_version="0.9.0", lock_hours=1.0)


def refused(cause: str) -> CommandRun:
    return command_run_of(stderr=f"error: No solution found when resolving\n  cause: {cause}\n", exit_code=1)


NOT_CACHED = (
    "Because torch was not found in the cache and you require torch, we can conclude that your requirements fail"
)
FALSE_NO_VERSION = (
    "Because there is no version of nvidia-cuda-nrtc{platform_machine == 'x86_64'}==11.7 and torch==2.0.0 depends on "
    "nvidia-cuda-nrtc==11.7, we can conclude that torch==2.0.0 cannot be used. And because you require torch, they fail"
)
NO_FILE = command_run_of(
    stderr="error: Failed to read metadata\n  cause: Network connectivity is disabled, but the requested data wasn't "
    "found in the cache for: `https://files/a/torch-2.0.0-py3-none-any.whl.metadata`\n",
    exit_code=2,
)


@pytest.mark.parametrize("interpreter", TOGETHER)
@pytest.mark.parametrize(
    ("answer", "reason", "names"),
    [
        (refused(NOT_CACHED), "offline, and torch is not in the cache", ("torch",)),
        (refused(FALSE_NO_VERSION), "offline, and what is in the cache does not settle torch: ", ("torch",)),
        (NO_FILE, "offline, and torch-2.0.0-py3-none-any.whl.metadata is not in the cache", ()),
        (command_run_of(stderr="", exit_code=2), "offline: ", ()),
    ],
)
def test_a_refusal_is_never_a_verdict(
    tmp_path: Path, interpreter: str, answer: CommandRun, reason: str, names: tuple[str, ...]
) -> None:
    for ask in (OfflineResolver.resolve, OfflineResolver.refusal):
        with pytest.raises(Unchecked) as caught:
            ask(asked(tmp_path, answer), WANTED, build_of(interpreter))
        assert str(caught.value).startswith(reason)
        assert caught.value.names == names


def test_what_the_cache_has_is_a_lock_that_nobody_else_is_given(tmp_path: Path) -> None:
    resolver = asked(tmp_path, command_run_of("numpy==1.26.4\ntorch==2.2.0\n"))

    assert resolver.resolve(WANTED, build_of()).versions == {"numpy": "1.26.4", "torch": "2.2.0"}
    assert resolver.known(WANTED, build_of()) is None


@pytest.mark.parametrize(
    ("argv", "run"),
    [
        (["{uv}", "pip", "compile", "x"], ["{uv}", "--offline", "pip", "compile", "x"]),
        (["{uv}", "pip", "compile", "--offline", "x"], ["{uv}", "pip", "compile", "--offline", "x"]),
        (["{python}", "-c", "1"], ["{python}", "-c", "1"]),
        (
            ["{uv}", "pip", "install", "--directory", "/w", "--refresh", "x"],
            ["{uv}", "--offline", "pip", "install", "--directory", "/w", "--cache-dir", "/w/uv", "x"],
        ),
    ],
)
def test_uv_is_told_to_stay_offline(argv: list[str], run: list[str]) -> None:
    """What is to be looked at anew is taken from an empty cache: what an older Python built proves nothing here."""
    inner = FakeRunner(answers=[command_run_of("said")])

    assert OfflineRunner(inner).tool(build_of(), argv).stdout == "said"
    assert inner.tools == [tuple(run)]


def test_all_else_is_the_runners_own(tmp_path: Path) -> None:
    inner = FakeRunner(name="docker")
    runner = OfflineRunner(inner)

    assert (runner.name, runner.describe(), runner.inside(tmp_path)) == ("docker", inner.describe(), str(tmp_path))
    assert runner.find(build_of().interpreter) == build_of()
    runner.close()
    assert inner.closed
