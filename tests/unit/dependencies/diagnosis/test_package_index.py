"""An index's answer becomes a page, or is none."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core import clock
from pytest_py312.dependencies.diagnosis.package_index import File, Index, Page, PageState, moment, read_page, unknown

META = {"api-version": "1.1"}


def answer(*files: Any, **changes: Any) -> str:
    return json.dumps({"meta": META, "name": "demo-app", "files": list(files), **changes})


def named(*names: str) -> Page:
    return read_page("demo-app", answer(*({"filename": name} for name in names)))


def test_a_page_is_slimmed_to_what_tells_whether_a_file_fits() -> None:
    found = read_page(
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
    assert found == Page(
        name="demo-app",
        state=PageState.FOUND,
        files={"1.0": (File(*wheel), File("1.0", "", "", False, ""))},
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
def test_what_a_files_name_says(name: str, version: str, tags: str) -> None:
    ((found,),) = named(name).files.values()
    assert (found.version, found.tags) == (version, tags)


@pytest.mark.parametrize(
    "name",
    ["demo_app-1.0-py3.9.egg", "demo_app-1.0.win32.exe", "demo_app-1.0.whl", "other-1.0.tar.gz", "demo-app.tar.gz", ""],
)
def test_what_no_installer_takes_is_passed_over(name: str) -> None:
    assert named(name) == Page(name="demo-app", state=PageState.FOUND)


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
def test_what_is_no_project_page_is_unknown_and_never_a_verdict(body: str) -> None:
    found = read_page("demo-app", body)

    assert found.state is PageState.UNKNOWN
    assert found.reason
    assert not found.files


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
def test_no_answer_crashes_the_reader(body: bytes | str) -> None:
    assert isinstance(read_page("demo-app", body), Page)


@pytest.mark.parametrize(
    ("text", "stamp"),
    [("2025-05-22T00:00:00Z", 1747872000.0), ("2025-05-22T00:00:00.5+00:00", 1747872000.5), ("2025-05-22", 1747872000)],
)
def test_a_time_without_a_zone_is_utc(text: str, stamp: float) -> None:
    found = moment(text)
    assert found is not None
    assert found.timestamp() == stamp


# ---- the cache


class Answering(Index):
    """An index that answers from ``pages`` and counts how often it is asked."""

    def __init__(self, cache: Path, *pages: Page, url: str = "https://index.example/simple", **settings: Any) -> None:
        super().__init__(cache=cache, url=url, lock_hours=1.0, **settings)
        self.known = {page.name: page for page in pages}
        self.asked: list[str] = []

    def _asked(self, name: str) -> Page:
        self.asked.append(name)
        return self.known.get(name, Page(name=name, state=PageState.MISSING))


DEMO = named("demo_app-1.0-py3-none-any.whl", "demo_app-1.0.tar.gz", "demo_app-0.9.tar.gz")


def test_what_was_seen_is_told_without_asking(tmp_path: Path) -> None:
    index = Answering(tmp_path, DEMO)

    assert index.seen("demo-app") is None
    page = index.page("demo-app")
    assert index.seen("demo-app") == page == DEMO
    assert index.asked == ["demo-app"]


def test_a_page_is_fetched_once_and_kept_for_other_runs(tmp_path: Path) -> None:
    first, second = Answering(tmp_path, DEMO), Answering(tmp_path)

    assert first.pages(["demo-app", "demo-app", "missing"]) == second.pages(["missing", "demo-app"])
    assert sorted(first.asked) == ["demo-app", "missing"]
    assert second.asked == []
    assert second.page("demo-app") == DEMO
    assert sorted(path.name for path in (tmp_path / "simple").iterdir()) == ["demo-app.json", "missing.json"]


def test_a_page_is_too_old_after_its_hours_unless_it_is_newer_than_the_cut_off_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Answering(tmp_path, DEMO).page("demo-app")
    now = clock.timestamp()
    monkeypatch.setattr(clock, "timestamp", lambda: now + 3601)
    past, future = "2024-01-01T00:00:00Z", "2999-01-01T00:00:00Z"

    dated = Answering(tmp_path, exclude_newer=past)
    assert (dated.page("demo-app"), dated.asked) == (DEMO, [])
    not_yet = Answering(tmp_path, DEMO, exclude_newer=future)
    assert (not_yet.page("demo-app"), not_yet.asked) == (DEMO, ["demo-app"])
    just_now = Answering(tmp_path)
    assert (just_now.page("demo-app"), just_now.asked) == (DEMO, [])


def test_another_index_has_other_pages_and_credentials_are_no_difference(tmp_path: Path) -> None:
    Answering(tmp_path, DEMO, url="https://user:secret@index.example/simple").page("demo-app")
    same, other = Answering(tmp_path), Answering(tmp_path, url="https://other.example/simple")

    assert same.page("demo-app").state is PageState.FOUND
    assert other.page("demo-app").state is PageState.MISSING
    assert "secret" not in "".join(path.read_text() for path in (tmp_path / "simple").iterdir())


@pytest.mark.parametrize("damage", ["", "{", "[]", "{}", '{"format": 1, "index": "x", "fetched": "y"}'])
def test_a_damaged_page_is_fetched_again(tmp_path: Path, damage: str) -> None:
    Answering(tmp_path, DEMO).page("demo-app")
    (tmp_path / "simple" / "demo-app.json").write_text(damage)

    assert Answering(tmp_path, DEMO).page("demo-app") == DEMO


def test_what_is_unknown_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "pause", lambda seconds: None)
    away = Answering(tmp_path, unknown("demo-app", "the answer is cut short"))

    assert away.page("demo-app").state is PageState.UNKNOWN
    assert away.asked == ["demo-app"] * 3
    assert Answering(tmp_path, DEMO).page("demo-app") == DEMO


def test_a_full_disk_costs_the_cache_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "simple").write_text("a file where a folder belongs")

    assert Answering(tmp_path, DEMO).page("demo-app") == DEMO


@pytest.mark.parametrize("url", ["", "file:///srv/simple", "/srv/simple", "ssh://index.example"])
def test_an_index_that_is_not_on_the_web_is_not_asked(tmp_path: Path, url: str) -> None:
    index = Answering(tmp_path, DEMO, url=url)

    assert index.page("demo-app") == unknown("demo-app", "the index cannot be asked directly")
    assert index.asked == []


@pytest.mark.parametrize("name", ["../demo", "", "a/b", "Demo", "x" * 300])
def test_a_name_that_is_none_reaches_neither_the_index_nor_the_disk(tmp_path: Path, name: str) -> None:
    index = Answering(tmp_path, DEMO)

    assert index.page(name).state is PageState.UNKNOWN
    assert index.asked == []
    assert not (tmp_path / "simple").exists()
