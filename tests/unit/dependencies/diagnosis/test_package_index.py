"""Parsing an index's answers into pages, and caching them."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core import clock
from pytest_py312.dependencies.diagnosis.package_index import (
    DistributionFile,
    IndexPage,
    PackageIndex,
    PageState,
    parse_page,
    parse_timestamp,
    unknown_page,
)

META = {"api-version": "1.1"}


def answer(*files: Any, **changes: Any) -> str:
    return json.dumps({"meta": META, "name": "demo-app", "files": list(files), **changes})


def named(*names: str) -> IndexPage:
    return parse_page("demo-app", answer(*({"filename": name} for name in names)))


def test_a_page_is_reduced_to_what_decides_about_installation() -> None:
    parsed = parse_page(
        "demo-app",
        answer(
            {
                "filename": "demo_app-1.0-cp312-cp312-manylinux_2_17_x86_64.whl",
                "url": "https://example.org/demo_app-1.0.whl",
                "hashes": {"sha256": "00"},
                "requires-python": ">=3.12",
                "yanked": "broken",
                "upload-time": "2024-01-01T00:00:00Z",
            },
            {"filename": "demo_app-1.0.tar.gz", "requires-python": None, "yanked": False},
        ),
    )

    wheel = ("1.0", "cp312-cp312-manylinux_2_17_x86_64", ">=3.12", True, "2024-01-01T00:00:00Z")
    assert parsed == IndexPage(
        name="demo-app",
        state=PageState.FOUND,
        files={"1.0": (DistributionFile(*wheel), DistributionFile("1.0", "", "", False, ""))},
    )


@pytest.mark.parametrize(
    ("name", "version", "tags"),
    [
        ("demo_app-1.0-py3-none-any.whl", "1.0", "py3-none-any"),
        ("Demo.App-1.0-1-py2.py3-none-any.whl", "1.0", "py2.py3-none-any"),
        ("demo-app-1.0.zip", "1.0", ""),
        ("demo-app-1.0-1.tar.gz", "1.0-1", ""),
        ("Demo_App-2.0rc1.tar.bz2", "2.0rc1", ""),
    ],
)
def test_version_and_tags_come_from_the_file_name(name: str, version: str, tags: str) -> None:
    ((file,),) = named(name).files.values()
    assert (file.version, file.tags) == (version, tags)


@pytest.mark.parametrize(
    "name",
    ["demo_app-1.0-py3.9.egg", "demo_app-1.0.win32.exe", "demo_app-1.0.whl", "other-1.0.tar.gz", "demo-app.tar.gz", ""],
)
def test_files_that_installers_ignore_are_skipped(name: str) -> None:
    assert named(name) == IndexPage(name="demo-app", state=PageState.FOUND)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "<html>",
        "null",
        "[]",
        "{}",
        "[" * 100_000,
        answer()[:-3],
        answer(files=None),
        answer(meta={}),
        answer(meta={"api-version": "2.0"}),
        answer(name="other"),
        answer(name=None),
        answer("demo_app-1.0.tar.gz"),
        answer({"filename": None}),
        answer({"filename": "demo_app-1.0.tar.gz", "requires-python": 3}),
        answer({"filename": "demo_app-1.0.tar.gz", "yanked": None}),
        answer({"filename": "demo_app-1.0.tar.gz"}, {"filename": 7}),
    ],
)
def test_an_invalid_answer_is_an_unknown_page(body: str) -> None:
    page = parse_page("demo-app", body)

    assert page.state is PageState.UNKNOWN
    assert page.reason
    assert not page.files


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.just("demo-app") | st.just("demo_app-1.0.tar.gz"),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.sampled_from(["files", "meta", "name", "api-version", "filename", "yanked", "requires-python"]), inner
        )
    ),
    max_leaves=30,
)


@given(st.binary() | st.text() | json_values.map(json.dumps))
def test_no_answer_crashes_the_parser(body: bytes | str) -> None:
    assert isinstance(parse_page("demo-app", body), IndexPage)


@pytest.mark.parametrize(
    ("text", "stamp"),
    [("2025-05-22T00:00:00Z", 1747872000.0), ("2025-05-22T00:00:00.5+00:00", 1747872000.5), ("2025-05-22", 1747872000)],
)
def test_a_time_without_a_zone_is_utc(text: str, stamp: float) -> None:
    timestamp = parse_timestamp(text)
    assert timestamp is not None
    assert timestamp.timestamp() == stamp


# ---- the cache


class FakeIndex(PackageIndex):
    """An index that serves ``pages`` and records the requests."""

    def __init__(
        self, cache: Path, *pages: IndexPage, url: str = "https://index.example/simple", **settings: Any
    ) -> None:
        super().__init__(cache=cache, url=url, lock_hours=1.0, **settings)
        self.known_pages = {page.name: page for page in pages}
        self.requests: list[str] = []

    def _request_page(self, name: str) -> IndexPage:
        self.requests.append(name)
        return self.known_pages.get(name, IndexPage(name=name, state=PageState.MISSING))


DEMO = named("demo_app-1.0-py3-none-any.whl", "demo_app-1.0.tar.gz", "demo_app-0.9.tar.gz")


def test_a_fetched_page_is_returned_without_a_request(tmp_path: Path) -> None:
    index = FakeIndex(tmp_path, DEMO)

    assert index.page_if_fetched("demo-app") is None
    page = index.page("demo-app")
    assert index.page_if_fetched("demo-app") == page == DEMO
    assert index.requests == ["demo-app"]


def test_a_page_is_fetched_once_and_cached_for_other_runs(tmp_path: Path) -> None:
    first, second = FakeIndex(tmp_path, DEMO), FakeIndex(tmp_path)

    assert first.pages(["demo-app", "demo-app", "missing"]) == second.pages(["missing", "demo-app"])
    assert sorted(first.requests) == ["demo-app", "missing"]
    assert second.requests == []
    assert second.page("demo-app") == DEMO
    assert sorted(path.name for path in (tmp_path / "simple").iterdir()) == ["demo-app.json", "missing.json"]


def test_a_page_expires_unless_it_is_newer_than_the_cut_off_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    FakeIndex(tmp_path, DEMO).page("demo-app")
    now = clock.timestamp()
    monkeypatch.setattr(clock, "timestamp", lambda: now + 3601)
    past, future = "2024-01-01T00:00:00Z", "2999-01-01T00:00:00Z"

    dated = FakeIndex(tmp_path, exclude_newer=past)
    assert (dated.page("demo-app"), dated.requests) == (DEMO, [])
    not_yet = FakeIndex(tmp_path, DEMO, exclude_newer=future)
    assert (not_yet.page("demo-app"), not_yet.requests) == (DEMO, ["demo-app"])
    just_now = FakeIndex(tmp_path)
    assert (just_now.page("demo-app"), just_now.requests) == (DEMO, [])


def test_each_index_has_its_own_pages_and_credentials_do_not_matter(tmp_path: Path) -> None:
    FakeIndex(tmp_path, DEMO, url="https://user:secret@index.example/simple").page("demo-app")
    same, other = FakeIndex(tmp_path), FakeIndex(tmp_path, url="https://other.example/simple")

    assert same.page("demo-app").state is PageState.FOUND
    assert other.page("demo-app").state is PageState.MISSING
    assert "secret" not in "".join(path.read_text() for path in (tmp_path / "simple").iterdir())


@pytest.mark.parametrize("damage", ["", "{", "[]", "{}", '{"format": 1, "index": "x", "fetched": "y"}'])
def test_a_damaged_page_is_fetched_again(tmp_path: Path, damage: str) -> None:
    FakeIndex(tmp_path, DEMO).page("demo-app")
    (tmp_path / "simple" / "demo-app.json").write_text(damage)

    assert FakeIndex(tmp_path, DEMO).page("demo-app") == DEMO


def test_an_unknown_page_is_not_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "pause", lambda seconds: None)
    away = FakeIndex(tmp_path, unknown_page("demo-app", "the answer is truncated"))

    assert away.page("demo-app").state is PageState.UNKNOWN
    assert away.requests == ["demo-app"] * 3
    assert away.has_failed
    again = FakeIndex(tmp_path, DEMO)
    assert again.page("demo-app") == DEMO
    assert not again.has_failed


def test_an_unwritable_cache_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "simple").write_text("a file where a folder belongs")

    assert FakeIndex(tmp_path, DEMO).page("demo-app") == DEMO


@pytest.mark.parametrize("url", ["", "file:///srv/simple", "/srv/simple", "ssh://index.example"])
def test_an_index_that_is_not_on_the_web_is_not_queried(tmp_path: Path, url: str) -> None:
    index = FakeIndex(tmp_path, DEMO, url=url)

    assert index.page("demo-app") == unknown_page("demo-app", "there is no single index that can be queried")
    assert index.requests == []


@pytest.mark.parametrize("name", ["../demo", "", "a/b", "Demo", "x" * 300])
def test_a_name_that_is_none_reaches_neither_the_index_nor_the_disk(tmp_path: Path, name: str) -> None:
    index = FakeIndex(tmp_path, DEMO)

    assert index.page(name).state is PageState.UNKNOWN
    assert index.requests == []
    assert not (tmp_path / "simple").exists()
