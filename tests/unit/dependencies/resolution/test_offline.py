"""uv without the network: what resolves from the cache is a result, a failure is not."""

from pathlib import Path

import pytest

from pytest_py312.core.model.measurements import ImagePackages
from pytest_py312.core.process import CommandResult
from pytest_py312.dependencies.resolution.lock import ResolutionRequest, Undetermined
from pytest_py312.dependencies.resolution.offline import OfflineResolver, OfflineRunner, offline_runner
from pytest_py312.runners.runner import CellUnavailable, SupportsSystemPackages
from tests.support.fakes import FakeRunner, ImageRunner, build_of, command_run_of

TOGETHER = ("3.9", "3.10", "3.12")
REQUEST = ResolutionRequest(lines=("numpy==1.26.4", "torch"))


def resolver_with(folder: Path, *results: CommandResult) -> OfflineResolver:
    runner = FakeRunner(answers=list(results))
    return OfflineResolver(cache=folder, runner=runner, uv_version="0.9.0", lock_hours=1.0)


def failed(cause: str) -> CommandResult:
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
    ("result", "reason", "names"),
    [
        (failed(NOT_CACHED), "offline, and torch is not in the cache", ("torch",)),
        (failed(FALSE_NO_VERSION), "offline, and the cache does not suffice to resolve torch: ", ("torch",)),
        (NO_FILE, "offline, and torch-2.0.0-py3-none-any.whl.metadata is not in the cache", ()),
        (command_run_of(stderr="", exit_code=2), "offline: ", ()),
    ],
)
def test_a_failure_is_never_a_verdict(
    tmp_path: Path, interpreter: str, result: CommandResult, reason: str, names: tuple[str, ...]
) -> None:
    for ask in (OfflineResolver.resolve, OfflineResolver.explain):
        with pytest.raises(Undetermined) as caught:
            ask(resolver_with(tmp_path, result), REQUEST, build_of(interpreter))
        assert str(caught.value).startswith(reason)
        assert caught.value.names == names


def test_a_lock_from_uvs_cache_is_not_stored(tmp_path: Path) -> None:
    resolver = resolver_with(tmp_path, command_run_of("numpy==1.26.4\ntorch==2.2.0\n"))

    assert resolver.resolve(REQUEST, build_of()).versions == {"numpy": "1.26.4", "torch": "2.2.0"}
    assert resolver.cached_lock(REQUEST, build_of()) is None


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
def test_uv_gets_the_offline_option(argv: list[str], run: list[str]) -> None:
    """``--refresh`` becomes an empty cache: a local folder may have other content under the same name."""
    inner = FakeRunner(answers=[command_run_of("output")])

    assert OfflineRunner(inner).run_tool(build_of(), argv).stdout == "output"
    assert inner.tools == [tuple(run)]


def test_everything_else_is_delegated_to_the_runner(tmp_path: Path) -> None:
    inner = FakeRunner(name="docker")
    runner = OfflineRunner(inner)

    assert (runner.name, runner.describe(), runner.path_inside(tmp_path)) == ("docker", inner.describe(), str(tmp_path))
    assert runner.find_interpreter(build_of().interpreter) == build_of()
    runner.close()
    assert inner.closed


@pytest.mark.parametrize("interpreter", ["3.9", "3.10", "3.12"])
def test_offline_only_images_of_earlier_runs_have_packages(interpreter: str) -> None:
    build, packages = build_of(interpreter), ImagePackages(names=("gcc",))
    inner = ImageRunner(name="docker")
    runner = offline_runner(inner)
    assert isinstance(runner, SupportsSystemPackages)
    with pytest.raises(CellUnavailable, match="offline"):
        runner.add_packages(build, packages)

    inner.add_packages(build, packages)

    assert runner.add_packages(build, packages).packages == packages
    assert not isinstance(offline_runner(FakeRunner()), SupportsSystemPackages)
