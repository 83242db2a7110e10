"""Creating a file: it appears complete, and nothing is overwritten."""

from pathlib import Path

import pytest

from pytest_py312.core.files import WriteFailed, create_file


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
