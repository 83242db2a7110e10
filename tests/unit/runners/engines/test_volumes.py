"""Archives for engines that do not see the files of this machine."""

import io
import os
import socket
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.runners.engines import volumes
from pytest_py312.runners.engines.ssh_tunnel import ssh_command
from pytest_py312.runners.engines.volumes import UNPACKED, ArchiveEntry, write_archive


def members(
    *entries: ArchiveEntry, folders: tuple[str, ...] = (), writable: bool = False
) -> dict[str, tarfile.TarInfo]:
    with io.BytesIO() as file:
        write_archive(file, entries, folders, writable=writable)
        with tarfile.open(fileobj=file) as archive:
            return {str(Path(member.name).relative_to(UNPACKED)): member for member in archive}


def test_the_copy_belongs_to_nobody_and_everybody_reads_it(tmp_path: Path) -> None:
    """Whatever the rights here; programs stay programs, and nothing gets more rights than its user has."""
    for name, mode in (("secret.py", 0o600), ("tool", 0o4700), ("open.txt", 0o666)):
        (tmp_path / name).touch()
        (tmp_path / name).chmod(mode)
    copied = members(ArchiveEntry(tmp_path, "source"))
    assert {name: oct(member.mode) for name, member in copied.items()} == {
        ".": "0o755",
        "source": "0o755",
        "source/secret.py": "0o644",
        "source/tool": "0o755",
        "source/open.txt": "0o644",
    }
    assert {(member.uid, member.gid, member.uname) for member in copied.values()} == {(0, 0, "")}


def test_links_stay_links_and_sockets_and_pipes_stay_here(tmp_path: Path) -> None:
    """A link is not followed: what it names may be in another mount, or nowhere."""
    (tmp_path / "to").symlink_to("/usr/local/bin/python3.12")
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        copied = members(ArchiveEntry(tmp_path, "env"))
    assert set(copied) == {".", "env", "env/to"}
    assert copied["env/to"].linkname == "/usr/local/bin/python3.12"


def test_folders_for_mounts_and_the_right_to_write(tmp_path: Path) -> None:
    """The folder of a job's records is open to the user of the cell."""
    copied = members(folders=("out", "cache/envs/a"), writable=True)
    assert [oct(copied[name].mode) for name in (".", "out", "cache/envs/a")] == ["0o777", "0o755", "0o755"]


def test_too_large_a_copy_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The job runs on this machine's engine then."""
    monkeypatch.setattr(volumes, "COPY_LIMIT", 1024)
    (tmp_path / "data").write_bytes(b"x" * 1025)
    with pytest.raises(ValueError, match="would have to be copied"):
        members(ArchiveEntry(tmp_path, "."))


@given(st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.binary(max_size=40), max_size=6))
def test_contents_are_copied(tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]) -> None:
    """Byte for byte."""
    folder = tmp_path_factory.mktemp("source")
    for name, content in files.items():
        (folder / name).write_bytes(content)
    with io.BytesIO() as file:
        write_archive(file, [ArchiveEntry(folder, "s")])
        with tarfile.open(fileobj=file) as archive:
            copied = {
                Path(member.name).name: file_in_archive.read()
                for member in archive
                if member.isreg() and (file_in_archive := archive.extractfile(member))
            }
    assert copied == files


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("ssh://ci@build-1", ["--", "ci@build-1"]),
        ("ssh://ci@build-1:2222", ["-p", "2222", "--", "ci@build-1"]),
        ("ssh://build-1", ["--", "build-1"]),
    ],
)
def test_ssh_forwards_a_socket_and_asks_no_questions(address: str, words: list[str]) -> None:
    """Nothing of an address is an option of ``ssh``."""
    command = ssh_command(address, Path("/tmp/s"))
    assert command[-len(words) :] == words
    assert command[command.index("-L") + 1] == "/tmp/s:/var/run/docker.sock"
    assert "BatchMode=yes" in command
