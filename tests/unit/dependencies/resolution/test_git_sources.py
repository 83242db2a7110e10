"""Which commit uv has fetched, and where in its cache it waits for the metadata of a source from git."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.dependencies.resolution.source_metadata import (
    PinnedGitSource,
    give_metadata_to_uv,
    pin_git_source,
)
from tests.support.fakes import service_tree

COMMIT = "153f17428dae795f95b940432333015184cd9eea"
FOLDER = "sdists-v11/git/e57c86552c8f20ca/153f17428dae795f"
CHECKOUT = "git-v2/checkouts/a4fe20a869e1f867/153f174/.git"


def fetched(root: Path, head: str = "ref: refs/heads/main\n", branch: str = f"{COMMIT}\n") -> Path:
    """Return a cache as uv leaves it after a fetch."""
    files = {f"{FOLDER}/.lock": "", f"{CHECKOUT}/HEAD": head, f"{CHECKOUT}/refs/heads/main": branch}
    return service_tree(root / "cache", files)


@pytest.mark.parametrize(
    ("url", "pinned"),
    [
        ("https://host/a.git", f"https://host/a.git@{COMMIT}"),
        ("https://host/a.git@feature/b", f"https://host/a.git@{COMMIT}"),
        ("https://user:word@host/a.git@v1#subdirectory=b", f"https://user:word@host/a.git@{COMMIT}#subdirectory=b"),
        (f"ssh://git@host/a@{COMMIT}", f"ssh://git@host/a@{COMMIT}"),
    ],
)
def test_a_source_is_named_by_its_commit(tmp_path: Path, url: str, pinned: str) -> None:
    source = pin_git_source(f"acme[x] @ git+{url}", fetched(tmp_path))
    assert source == PinnedGitSource(line=f"acme[x] @ git+{pinned}", folder=Path(FOLDER))


def test_a_checkout_may_be_at_a_commit(tmp_path: Path) -> None:
    assert pin_git_source("acme @ git+https://host/a", fetched(tmp_path, head=COMMIT)) is not None


@pytest.mark.parametrize(
    "head", ["", "ref: refs/heads/none", "ref: refs/heads/../../../../../../elsewhere", "a" * 40, "\x00"]
)
def test_another_layout_than_uvs_is_no_source(tmp_path: Path, head: str) -> None:
    (tmp_path / "elsewhere").write_text(COMMIT, encoding="ascii")
    assert pin_git_source("acme @ git+https://host/a", fetched(tmp_path, head=head)) is None


def test_what_is_no_url_is_no_source(tmp_path: Path) -> None:
    assert pin_git_source("acme @ git+https://[host/a", fetched(tmp_path)) is None


def test_of_two_sources_neither_is_chosen(tmp_path: Path) -> None:
    cache = fetched(tmp_path)
    (cache / FOLDER).with_name("0" * 16).mkdir()
    assert pin_git_source("acme @ git+https://host/a", cache) is None


@given(source=st.text(max_size=60))
def test_no_name_breaks_it(tmp_path_factory: pytest.TempPathFactory, source: str) -> None:
    cache = fetched(tmp_path_factory.mktemp("a"))
    pinned = pin_git_source(f"acme @ git+{source}", cache)
    assert pinned is None or COMMIT in pinned.line


def test_metadata_go_only_where_uv_waits_for_them(tmp_path: Path) -> None:
    source = PinnedGitSource(line="", folder=Path(FOLDER))
    file = tmp_path / FOLDER / "metadata.msgpack"

    give_metadata_to_uv(b"first", source, tmp_path)
    assert not file.exists()

    file.parent.mkdir(parents=True)
    give_metadata_to_uv(b"first", source, tmp_path)
    give_metadata_to_uv(b"second", source, tmp_path)
    assert file.read_bytes() == b"first"
