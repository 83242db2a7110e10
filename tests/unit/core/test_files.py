"""Creating a file: it appears complete, and nothing is overwritten."""

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_py312.core import files
from pytest_py312.core.files import (
    WriteFailed,
    append_to_document,
    create_file,
    write_document,
    write_json_atomically,
)


def test_a_new_file_has_the_users_default_mode(tmp_path: Path) -> None:
    create_file(tmp_path, "known.json", b"{}\n")
    (tmp_path / "plain").touch()

    assert (tmp_path / "known.json").read_bytes() == b"{}\n"
    assert (tmp_path / "known.json").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("there", ["file", "link"])
def test_an_existing_file_is_not_overwritten(tmp_path: Path, there: str) -> None:
    """Not even a broken link."""
    if there == "file":
        (tmp_path / "known.json").write_text("mine")
    else:
        (tmp_path / "known.json").symlink_to("nowhere")

    with pytest.raises(WriteFailed, match=r"known\.json: The file exists\."):
        create_file(tmp_path, "known.json", b"{}")

    assert [path.name for path in tmp_path.iterdir()] == ["known.json"]


@pytest.mark.parametrize("path", ["../known.json", "nowhere/known.json", "/known.json", ""])
def test_a_missing_or_outside_path_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(WriteFailed):
        create_file(tmp_path, path, b"{}")

    assert list(tmp_path.iterdir()) == []


# ---- documents


def fill_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each file be written and then reported as too large for the disk, as some file systems do."""

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_document_is_written(tmp_path: Path) -> None:
    path = tmp_path / "report.json"

    write_document(path, b"first")
    path.chmod(0o640)
    write_document(path, b"second")

    assert path.read_bytes() == b"second"
    assert path.stat().st_mode & 0o777 == 0o640
    assert names_in(tmp_path) == {"report.json"}


@pytest.mark.parametrize("previous", [None, b"an earlier report"])
@pytest.mark.parametrize("write", [write_document, append_to_document])
def test_a_full_disk_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, previous: bytes | None, write: Callable[[Path, bytes], None]
) -> None:
    path = tmp_path / "report.json"
    if previous is not None:
        path.write_bytes(previous)
    fill_disk(monkeypatch)

    with pytest.raises(OSError, match="No space left on device"):
        write(path, b"x" * 1000)

    if write is write_document:
        assert path.exists() is (previous is not None)
    assert not path.exists() or path.read_bytes() == (previous or b"")
    assert names_in(tmp_path) <= {"report.json"}


def test_a_document_that_cannot_be_replaced_is_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one that is mounted into a container."""

    def busy(*_: object, **__: object) -> None:
        raise OSError(errno.EBUSY, "Device or resource busy")

    path = tmp_path / "report.json"
    path.write_bytes(b"an earlier and longer report")
    monkeypatch.setattr(files, "_replace_whole", busy)

    write_document(path, b"new")

    assert path.read_bytes() == b"new"
    fill_disk(monkeypatch)
    with pytest.raises(OSError, match="No space left on device"):
        write_document(path, b"newer")
    assert path.read_bytes() == b"new"


def test_a_link_to_a_document_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link.json").symlink_to("report.json")

    write_document(tmp_path / "link.json", b"x")

    assert (tmp_path / "link.json").is_symlink()
    assert (tmp_path / "report.json").read_bytes() == b"x"


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()

    write_document(pipe, b"x")

    reader.join(timeout=10)
    assert read == [b"x"]


def test_a_cache_file_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.json").mkdir()

    with pytest.raises(OSError, match="Is a directory"):
        write_json_atomically(tmp_path / "a.json", {})

    assert names_in(tmp_path) == {"a.json"}
