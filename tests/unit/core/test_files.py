"""A file that is not there yet: it appears complete, and nothing is overwritten."""

from pathlib import Path

import pytest

from pytest_py312.core.files import NotWritten, create


def test_a_file_is_made_with_the_users_own_mode(tmp_path: Path) -> None:
    create(tmp_path, "known.json", b"{}\n")
    (tmp_path / "plain").touch()

    assert (tmp_path / "known.json").read_bytes() == b"{}\n"
    assert (tmp_path / "known.json").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("there", ["file", "link"])
def test_what_is_there_stays(tmp_path: Path, there: str) -> None:
    """Also a link that leads nowhere."""
    if there == "file":
        (tmp_path / "known.json").write_text("mine")
    else:
        (tmp_path / "known.json").symlink_to("nowhere")

    with pytest.raises(NotWritten, match=r"known\.json: The file exists\."):
        create(tmp_path, "known.json", b"{}")

    assert [path.name for path in tmp_path.iterdir()] == ["known.json"]


@pytest.mark.parametrize("path", ["../known.json", "nowhere/known.json", "/known.json", ""])
def test_a_path_that_leads_nowhere_or_out_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(NotWritten):
        create(tmp_path, path, b"{}")

    assert list(tmp_path.iterdir()) == []
