"""What confined commands have in common, and the command line of bubblewrap."""

from dataclasses import replace
from pathlib import Path

import pytest

from pytest_py312.core.process import CommandResult, ExitReason
from pytest_py312.runners.bubblewrap import (
    MOUNT_TRIES,
    confined_argv,
    confined_variables,
    find_bubblewrap,
    retry_lost_mounts,
)
from pytest_py312.runners.confinement import (
    MEMORY_REACHED,
    explain_exit,
    hand_over,
    variables_without_secrets,
    without_passwords,
)
from pytest_py312.runners.runner import ConfinedCommand
from tests.support.fakes import command_run_of

COMMAND = ConfinedCommand(argv=("{uv}",), folder=Path("/cache/tmp/x/scratch"), readable=(Path("/tmp/cache/x"),))


def test_a_lack_of_memory_is_no_fault_of_the_source() -> None:
    killed = command_run_of(stderr=f"gcc: fatal error: Killed\n{MEMORY_REACHED}\n", exit_code=1)
    assert explain_exit(killed).exit_reason is ExitReason.OUT_OF_MEMORY
    done: CommandResult = replace(killed, exit_code=0)
    assert explain_exit(done) == done


def test_a_build_gets_no_secrets() -> None:
    given = {
        "UV_DEFAULT_INDEX": "https://user:secret@host/simple",
        "AWS_SECRET_ACCESS_KEY": "x",
        "GITHUB_TOKEN": "x",
        "UV_INDEX_INTERNAL_PASSWORD": "x",
        "CFLAGS": "-O2",
    }
    assert variables_without_secrets(given) == {"UV_DEFAULT_INDEX": "https://host/simple", "CFLAGS": "-O2"}
    assert without_passwords("git+https://x:y@host/a@b") == "git+https://host/a@b"


def test_a_folder_is_handed_over_without_following_links(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("")
    outside.chmod(0o600)
    folder = tmp_path / "scratch"
    (folder / "deep").mkdir(parents=True, mode=0o700)
    (folder / "deep" / "link").symlink_to(outside)

    hand_over(folder, f"{tmp_path.stat().st_uid}:{tmp_path.stat().st_gid}")

    assert outside.stat().st_mode & 0o777 == 0o600
    assert (folder / "deep").stat().st_mode & 0o777 == 0o777
    assert {path.name for path in folder.iterdir()} == {"deep", "tmp", "cache"}


def words_of(**settings: bool) -> str:
    needed = (Path("/tmp/python"), Path("/usr"))
    return " ".join(
        confined_argv(
            "bwrap", COMMAND, ["uv", "pip"], python="py", needed=needed, network=settings.get("network", False)
        )
    )


def test_everything_but_the_folder_of_the_build_is_read_only() -> None:
    words = words_of()
    assert words.startswith("bwrap --ro-bind / / ")
    assert words.count("--bind") == 1
    assert "--bind /cache/tmp/x/scratch /cache/tmp/x/scratch" in words
    assert "--ro-bind /tmp/python /tmp/python" in words  # /tmp is empty otherwise
    assert "--ro-bind /usr /usr" not in words
    assert "--unshare-user --unshare-pid" in words
    assert words.endswith(" uv pip")


def test_the_network_is_left_out_unless_it_is_allowed() -> None:
    assert "--unshare-net" in words_of()
    assert "--unshare-net" not in words_of(network=True)


def test_a_command_that_fetches_keeps_the_password_of_its_index() -> None:
    given = {"PIP_INDEX_URL": "https://u:p@host"}
    assert confined_variables(given, COMMAND)["PIP_INDEX_URL"] == "https://host"
    assert confined_variables(given, replace(COMMAND, fetches=True))["PIP_INDEX_URL"] == "https://u:p@host"
    assert confined_variables(given, COMMAND)["HOME"] == "/cache/tmp/x/scratch/tmp"


def test_a_bubblewrap_that_may_make_no_namespaces_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: "/usr/bin/bwrap")
    monkeypatch.setattr("pytest_py312.core.process.run", lambda argv, **_: command_run_of(exit_code=1))
    find_bubblewrap.cache_clear()
    assert find_bubblewrap() == ""
    find_bubblewrap.cache_clear()


LOST_MOUNT = command_run_of(
    stderr="bwrap: Can't bind mount / on /: Unable to apply mount flags: "
    'remount "/newroot/var/lib/docker/overlay2/63367f/merged": Invalid argument\n',
    exit_code=1,
)


@pytest.mark.parametrize(
    ("results", "starts"),
    [
        ([LOST_MOUNT, LOST_MOUNT, command_run_of("built")], 3),
        ([command_run_of(stderr="error: no compiler", exit_code=1)], 1),
        ([LOST_MOUNT] * MOUNT_TRIES, MOUNT_TRIES),
    ],
)
def test_a_container_that_ends_beside_it_does_not_stop_a_build(results: list[CommandResult], starts: int) -> None:
    """Its mount was there when bubblewrap listed the mounts, and is gone when bubblewrap makes it read-only."""
    left = list(results)
    assert retry_lost_mounts(lambda: left.pop(0)) is results[-1]
    assert len(results) - len(left) == starts
