"""One requirement against one page of the index, for one interpreter."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.tags import parse_tag
from packaging.version import Version

from pytest_py312.dependencies.diagnosis.compatibility import Standing, Target, Verdict, screen, target_of
from pytest_py312.dependencies.diagnosis.package_index import File, Page, PageState, read_page, unknown
from tests.support.fakes import build_of

TOGETHER = ("3.9", "3.10", "3.12")


def target(interpreter: str, **changes: Any) -> Target:
    return target_of(build_of(interpreter), machine="x86_64", glibc="2.36", **changes)


def page(*files: str | tuple[str, Mapping[str, Any]], name: str = "app") -> Page:
    """A page as an index would give it; a file is its name, or its name and what else is said of it."""
    items = [{"filename": item} if isinstance(item, str) else {"filename": item[0], **item[1]} for item in files]
    found = read_page(name, json.dumps({"meta": {"api-version": "1.1"}, "name": name, "files": items}))
    assert found.state is PageState.FOUND, found.reason
    return found


def on_each(found: Page, text: str, **changes: Any) -> list[Verdict]:
    return [screen(found, text, target(interpreter, **changes)) for interpreter in TOGETHER]


def standings(found: Page, text: str, **changes: Any) -> list[Standing]:
    return [verdict.standing for verdict in on_each(found, text, **changes)]


# numpy 1.24.3 and 1.26.0, as they were published
NUMPY = page(
    *(
        (f"numpy-1.24.3-cp3{minor}-cp3{minor}-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", {})
        for minor in (8, 9, 10, 11)
    ),
    ("numpy-1.24.3.tar.gz", {"requires-python": ">=3.8"}),
    *(
        (
            f"numpy-1.26.0-cp3{minor}-cp3{minor}-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
            {"requires-python": "<3.13,>=3.9"},
        )
        for minor in (9, 10, 11, 12)
    ),
    ("numpy-1.26.0.tar.gz", {"requires-python": "<3.13,>=3.9"}),
    name="numpy",
)


def test_a_pin_whose_wheels_stop_before_an_interpreter_is_a_source_there() -> None:
    """With the interpreters that it has wheels for, and the first version after it that has one."""
    on39, on310, on312 = on_each(NUMPY, "numpy==1.24.3")

    assert (on39.standing, on310.standing, on312.standing) == (Standing.WHEEL, Standing.WHEEL, Standing.SOURCE_ONLY)
    assert (on312.version, on312.better) == ("1.24.3", "1.26.0")
    assert on312.reason == "it has wheels for 3.8 to 3.11"
    assert not on312.standing.blocks


def test_a_range_takes_the_newest_version_with_a_wheel() -> None:
    assert [found.version for found in on_each(NUMPY, "numpy>=1.20")] == ["1.26.0"] * 3
    assert standings(NUMPY, "numpy>=1.20,<1.25") == [Standing.WHEEL, Standing.WHEEL, Standing.SOURCE_ONLY]


def test_the_upper_bound_of_requires_python_excludes_as_the_lower_does() -> None:
    """uv looks at the lower one only."""
    found = page(
        ("app-1.0-py3-none-any.whl", {"requires-python": ">=3.7,<3.12"}),
        ("app-0.5-py3-none-any.whl", {"requires-python": ">=3.10"}),
    )

    assert standings(found, "app==1.0") == [Standing.WHEEL, Standing.WHEEL, Standing.EXCLUDED]
    assert standings(found, "app==0.5") == [Standing.EXCLUDED, Standing.WHEEL, Standing.WHEEL]
    assert on_each(found, "app==1.0")[2].reason == ">=3.7,<3.12"
    assert standings(found, "app") == [Standing.WHEEL] * 3


def test_without_a_wheel_and_without_a_source_nothing_can_be_done() -> None:
    found = page(*(f"app-2.14.0-cp3{minor}-cp3{minor}-manylinux2014_x86_64.whl" for minor in (8, 9, 10, 11)))

    verdicts = on_each(found, "app==2.14.0")

    assert [verdict.standing for verdict in verdicts] == [Standing.WHEEL, Standing.WHEEL, Standing.NO_FILE]
    assert (verdicts[2].reason, verdicts[2].better) == ("it has wheels for 3.8 to 3.11", "")


def test_wheels_for_other_platforms_are_not_spoken_of() -> None:
    """pillow 9.5.0 has wheels for 3.12, but not for Linux."""
    found = page("app-9.5-cp311-cp311-manylinux1_x86_64.whl", "app-9.5-cp312-cp312-win_amd64.whl", "app-9.5.tar.gz")

    assert on_each(found, "app==9.5")[2].reason == "it has wheels for 3.11"


@pytest.mark.parametrize(
    ("text", "standing"),
    [
        ("app==9", Standing.NO_VERSION),
        ("app>2", Standing.NO_VERSION),
        ("app==1.0+local", Standing.NO_VERSION),
        ("app", Standing.WHEEL),
        ("App[extra]~=1.0", Standing.WHEEL),
        ("app===1.0", Standing.WHEEL),
        ("app @ https://example.org/app.whl", Standing.UNCHECKED),
        ("app=>1", Standing.UNREADABLE),
        ("", Standing.UNREADABLE),
    ],
)
def test_what_is_asked_for(text: str, standing: Standing) -> None:
    assert standings(page("app-1.0-py3-none-any.whl"), text) == [standing] * 3


def test_a_missing_project_and_an_index_that_does_not_answer_are_not_the_same() -> None:
    missing = Page(name="app", state=PageState.MISSING)

    assert standings(missing, "app") == [Standing.NO_PROJECT] * 3
    assert standings(unknown("app", "the index is away"), "app") == [Standing.UNCHECKED] * 3
    assert on_each(unknown("app", "the index is away"), "app")[0].reason == "the index is away"


def test_a_yanked_file_is_taken_by_a_pin_only() -> None:
    found = page(("app-1.7-py3-none-any.whl", {"yanked": "broken"}), "app-1.6-py3-none-any.whl")

    assert standings(found, "app==1.7") == [Standing.YANKED] * 3
    assert not Standing.YANKED.blocks
    assert [verdict.version for verdict in on_each(found, "app")] == ["1.6"] * 3
    assert standings(found, "app>=1.7") == [Standing.NO_VERSION] * 3
    assert standings(found, "app==1.7.*") == [Standing.NO_VERSION] * 3
    assert on_each(found, "app>=1.7")[0].reason == "all versions that fit were yanked"


def test_prereleases_count_when_asked_for_or_when_there_is_nothing_else() -> None:
    found = page("app-2.0rc1-py3-none-any.whl", "app-1.0-py3-none-any.whl")

    assert [verdict.version for verdict in on_each(found, "app")] == ["1.0"] * 3
    assert [verdict.version for verdict in on_each(found, "app>=2.0rc1")] == ["2.0rc1"] * 3
    assert [verdict.version for verdict in on_each(found, "app", prereleases=True)] == ["2.0rc1"] * 3
    assert standings(page("app-2.0rc1-py3-none-any.whl"), "app") == [Standing.WHEEL] * 3


def test_a_file_that_is_newer_than_the_cut_off_date_is_not_there() -> None:
    """One without a time is: whether it is too new is for the resolver to say."""
    found = page(
        ("app-2.0-py3-none-any.whl", {"upload-time": "2025-06-01T00:00:00.000000Z"}),
        ("app-1.0-py3-none-any.whl", {"upload-time": "2025-01-01T00:00:00Z"}),
    )
    dated = "2025-05-22T00:00:00Z"

    assert [verdict.version for verdict in on_each(found, "app", exclude_newer=dated)] == ["1.0"] * 3
    assert standings(found, "app==2.0", exclude_newer=dated) == [Standing.NO_VERSION] * 3
    assert standings(page("app-2.0-py3-none-any.whl"), "app==2.0", exclude_newer=dated) == [Standing.WHEEL] * 3


def test_markers_are_those_of_the_interpreter_in_question() -> None:
    """Not of the one that runs this."""
    found = page("app-1.0-py3-none-any.whl")

    assert standings(found, 'app==9; python_version < "3.10"') == [
        Standing.NO_VERSION,
        Standing.NOT_WANTED,
        Standing.NOT_WANTED,
    ]
    assert standings(found, 'app; sys_platform == "win32"') == [Standing.NOT_WANTED] * 3
    assert standings(found, 'app; python_full_version >= "3.12.1"')[2] is Standing.WHEEL


@pytest.mark.parametrize(
    ("tags", "fits"),
    [
        ("py3-none-any", "yyy"),
        ("py2.py3-none-any", "yyy"),
        ("py2-none-any", "nnn"),
        ("py310-none-any", "nyy"),
        ("cp39-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64", "yyy"),
        ("cp310-cp310-linux_x86_64", "nyn"),
        ("cp312-none-manylinux1_x86_64", "nny"),
        ("cp312-cp312-manylinux_2_40_x86_64", "nnn"),
        ("cp312-cp312-manylinux_2_36_x86_64", "nny"),
        ("cp312-cp312t-manylinux_2_17_x86_64", "nnn"),
        ("cp312-cp312-manylinux_2_17_aarch64", "nnn"),
        ("cp312-cp312-musllinux_1_1_x86_64", "nnn"),
        ("cp312-cp312-macosx_11_0_arm64.win_amd64", "nnn"),
        ("pp39-pypy39_pp73-manylinux_2_17_x86_64", "nnn"),
        ("py3-none", "nnn"),
    ],
)
def test_tags(tags: str, fits: str) -> None:
    assert "".join("y" if target(interpreter).takes(tags) else "n" for interpreter in TOGETHER) == fits


def test_a_build_in_an_image_may_have_any_libc() -> None:
    """Nobody has asked it, and what is let through here is judged by the resolver."""
    inside = target_of(build_of("3.12", origin="image python:3.12-slim"), machine="arm64")

    assert inside.takes("cp312-cp312-manylinux_2_40_aarch64")
    assert inside.takes("cp312-cp312-musllinux_1_2_aarch64")
    assert not inside.takes("cp312-cp312-macosx_11_0_arm64")


# ---- what holds for all pages and requirements

versions = st.sampled_from(["0.9", "1.0", "1.0.post1", "1.1", "2.0a1", "2.0", "10.0", "nonsense", "9" * 5000])
tags = st.sampled_from(
    ["", "py3-none-any", "cp39-cp39-manylinux2014_x86_64", "cp312-cp312-manylinux_2_17_x86_64", "cp38-abi3-any", "--"]
)
python_ranges = st.sampled_from(["", ">=3.8", ">=3.10", "<3.12", ">=3.6,<3.12", "three", ">=3.*"])
files = st.builds(
    File,
    version=versions,
    tags=tags,
    requires_python=python_ranges,
    yanked=st.booleans(),
    uploaded=st.sampled_from(["", "2024-01-01T00:00:00Z", "2030-01-01", "yesterday"]),
)


def page_of(found: Sequence[File]) -> Page:
    return Page(
        name="app",
        state=PageState.FOUND,
        files={one.version: tuple(file for file in found if file.version == one.version) for one in found},
    )


SPECIFIERS = ("", "==1.0", ">=1", "<2", "~=1.0", "!=1.1", "===1.0", "==1.*", ">=2.0a1", ">1,<3", "==nonsense")


@given(
    st.lists(files, max_size=12),
    st.text() | st.sampled_from(SPECIFIERS).map("app{}".format) | st.text().map("app; {}".format),
    st.sampled_from(TOGETHER),
    st.sampled_from(["", "2025-05-22T00:00:00Z", "soon"]),
)
def test_no_page_and_no_requirement_crashes_it(
    found: list[File], text: str, interpreter: str, exclude_newer: str
) -> None:
    verdict = screen(page_of(found), text, target(interpreter, exclude_newer=exclude_newer))

    assert isinstance(verdict.standing, Standing)


def readable(found: Sequence[File]) -> list[File]:
    return [file for file in found if file.version[:1].isdigit() and len(file.version) < 20]


@given(st.lists(files, max_size=12).map(readable), st.sampled_from(SPECIFIERS[:-1]), st.sampled_from(TOGETHER))
def test_it_agrees_with_packaging(found: list[File], specifier: str, interpreter: str) -> None:
    """A wheel is found just when one that packaging takes for fitting lies in the range."""
    here = target(interpreter)
    wanted = SpecifierSet(specifier)
    inside = set(wanted.filter({Version(file.version) for file in found}))
    pinned = specifier in ("==1.0", "===1.0")
    fitting = [
        file
        for file in found
        if Version(file.version) in inside
        and (pinned or not file.yanked)
        and here.allows(file.requires_python)
        and file.tags.count("-") == 2
        and file.tags != "--"
        and {str(tag) for tag in parse_tag(file.tags)} & here.tags
    ]

    standing = screen(page_of(found), f"app{specifier}", here).standing

    assert (standing in (Standing.WHEEL, Standing.YANKED)) == bool(fitting)
    if not inside:
        assert standing is Standing.NO_VERSION


@given(st.lists(files, max_size=12).map(readable), st.sampled_from(SPECIFIERS[:-1]))
def test_a_better_version_is_one_that_installs(found: list[File], specifier: str) -> None:
    here = target("3.12")
    verdict = screen(page_of(found), f"app{specifier}", here)
    if verdict.better:
        assert screen(page_of(found), f"app=={verdict.better}", here).standing in (Standing.WHEEL, Standing.YANKED)
        assert not SpecifierSet(specifier).contains(verdict.better, prereleases=True)
