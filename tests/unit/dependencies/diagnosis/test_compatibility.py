"""Checking one requirement against the index's page, for one interpreter."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.tags import parse_tag
from packaging.version import Version

from pytest_py312.dependencies.diagnosis.compatibility import (
    Installability,
    ReleaseCheck,
    TargetEnvironment,
    check_release,
    target_environment,
)
from pytest_py312.dependencies.diagnosis.package_index import (
    DistributionFile,
    IndexPage,
    PageState,
    parse_page,
    unknown_page,
)
from tests.support.fakes import build_of

TOGETHER = ("3.9", "3.10", "3.12")


def target(interpreter: str, **changes: Any) -> TargetEnvironment:
    return target_environment(build_of(interpreter), machine="x86_64", glibc="2.36", **changes)


def page(*files: str | tuple[str, Mapping[str, Any]], name: str = "app") -> IndexPage:
    """Return a page as an index serves it; a file is its name, or its name and further fields."""
    items = [{"filename": item} if isinstance(item, str) else {"filename": item[0], **item[1]} for item in files]
    parsed = parse_page(name, json.dumps({"meta": {"api-version": "1.1"}, "name": name, "files": items}))
    assert parsed.state is PageState.FOUND, parsed.reason
    return parsed


def checks_on_each(app: IndexPage, text: str, **changes: Any) -> list[ReleaseCheck]:
    return [check_release(app, text, target(interpreter, **changes)) for interpreter in TOGETHER]


def results(app: IndexPage, text: str, **changes: Any) -> list[Installability]:
    return [check.installability for check in checks_on_each(app, text, **changes)]


@pytest.mark.parametrize(
    ("text", "releases", "following"),
    [
        ("app==1.0b1", ("1.0b1", "1.0b2", "1.0b3"), "1.0b2"),
        ("app==1.0b1", ("1.0b1", "1.0b2", "0.9"), "1.0b2"),
        ("app==1.0", ("1.0", "1.1rc1", "1.2"), "1.2"),
        ("app==1.0", ("1.0", "1.1rc1"), ""),
    ],
)
def test_prereleases_follow_a_pin_that_is_one(text: str, releases: Sequence[str], following: str) -> None:
    old, *newer = releases
    app = page(f"app-{old}-cp38-cp38-any.whl", *(f"app-{version}-py3-none-any.whl" for version in newer))

    assert [check.next_with_wheel for check in checks_on_each(app, text)] == [following] * 3


# the published files of numpy 1.24.3 and 1.26.0
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


def test_a_pin_without_a_wheel_for_an_interpreter_is_a_source_there() -> None:
    """The check names the interpreters with wheels, and the next version that has one."""
    on39, on310, on312 = checks_on_each(NUMPY, "numpy==1.24.3")

    assert (on39.installability, on310.installability, on312.installability) == (
        Installability.WHEEL,
        Installability.WHEEL,
        Installability.SOURCE_ONLY,
    )
    assert (on312.version, on312.next_with_wheel) == ("1.24.3", "1.26.0")
    assert on312.reason == "it has wheels for 3.8 to 3.11"
    assert not on312.installability.blocks


def test_a_range_takes_the_newest_version_with_a_wheel() -> None:
    assert [check.version for check in checks_on_each(NUMPY, "numpy>=1.20")] == ["1.26.0"] * 3
    assert results(NUMPY, "numpy>=1.20,<1.25") == [
        Installability.WHEEL,
        Installability.WHEEL,
        Installability.SOURCE_ONLY,
    ]


def test_the_upper_bound_of_requires_python_counts() -> None:
    """uv considers the lower bound only."""
    app = page(
        ("app-1.0-py3-none-any.whl", {"requires-python": ">=3.7,<3.12"}),
        ("app-0.5-py3-none-any.whl", {"requires-python": ">=3.10"}),
    )

    assert results(app, "app==1.0") == [Installability.WHEEL, Installability.WHEEL, Installability.EXCLUDED]
    assert results(app, "app==0.5") == [Installability.EXCLUDED, Installability.WHEEL, Installability.WHEEL]
    assert checks_on_each(app, "app==1.0")[2].reason == ">=3.7,<3.12"
    assert results(app, "app") == [Installability.WHEEL] * 3


def test_without_a_wheel_and_a_source_there_is_no_file() -> None:
    app = page(*(f"app-2.14.0-cp3{minor}-cp3{minor}-manylinux2014_x86_64.whl" for minor in (8, 9, 10, 11)))

    checks = checks_on_each(app, "app==2.14.0")

    assert [check.installability for check in checks] == [
        Installability.WHEEL,
        Installability.WHEEL,
        Installability.NO_FILE,
    ]
    assert (checks[2].reason, checks[2].next_with_wheel) == ("it has wheels for 3.8 to 3.11", "")


def test_wheels_for_other_platforms_are_not_mentioned() -> None:
    """pillow 9.5.0 has wheels for 3.12, but not for Linux."""
    app = page("app-9.5-cp311-cp311-manylinux1_x86_64.whl", "app-9.5-cp312-cp312-win_amd64.whl", "app-9.5.tar.gz")

    assert checks_on_each(app, "app==9.5")[2].reason == "it has wheels for 3.11"


@pytest.mark.parametrize(
    ("text", "installability"),
    [
        ("app==9", Installability.NO_VERSION),
        ("app>2", Installability.NO_VERSION),
        ("app==1.0+local", Installability.NO_VERSION),
        ("app", Installability.WHEEL),
        ("App[extra]~=1.0", Installability.WHEEL),
        ("app===1.0", Installability.WHEEL),
        ("app @ https://example.org/app.whl", Installability.UNDETERMINED),
        ("app=>1", Installability.UNREADABLE),
        ("", Installability.UNREADABLE),
    ],
)
def test_each_form_of_a_requirement(text: str, installability: Installability) -> None:
    assert results(page("app-1.0-py3-none-any.whl"), text) == [installability] * 3


def test_a_missing_project_differs_from_an_unknown_page() -> None:
    missing = IndexPage(name="app", state=PageState.MISSING)

    assert results(missing, "app") == [Installability.NO_PROJECT] * 3
    assert results(unknown_page("app", "the index is away"), "app") == [Installability.UNDETERMINED] * 3
    assert checks_on_each(unknown_page("app", "the index is away"), "app")[0].reason == "the index is away"


def test_a_yanked_file_is_installed_only_by_a_pin() -> None:
    app = page(("app-1.7-py3-none-any.whl", {"yanked": "broken"}), "app-1.6-py3-none-any.whl")

    assert results(app, "app==1.7") == [Installability.YANKED] * 3
    assert not Installability.YANKED.blocks
    assert [check.version for check in checks_on_each(app, "app")] == ["1.6"] * 3
    assert results(app, "app>=1.7") == [Installability.NO_VERSION] * 3
    assert results(app, "app==1.7.*") == [Installability.NO_VERSION] * 3
    assert checks_on_each(app, "app>=1.7")[0].reason == "all versions that fit were yanked"


def test_prereleases_count_if_requested_or_without_alternative() -> None:
    app = page("app-2.0rc1-py3-none-any.whl", "app-1.0-py3-none-any.whl")

    assert [check.version for check in checks_on_each(app, "app")] == ["1.0"] * 3
    assert [check.version for check in checks_on_each(app, "app>=2.0rc1")] == ["2.0rc1"] * 3
    assert [check.version for check in checks_on_each(app, "app", prereleases=True)] == ["2.0rc1"] * 3
    assert results(page("app-2.0rc1-py3-none-any.whl"), "app") == [Installability.WHEEL] * 3


def test_files_after_the_cut_off_date_do_not_count() -> None:
    """A file without an upload time counts; the resolver decides whether it is too new."""
    app = page(
        ("app-2.0-py3-none-any.whl", {"upload-time": "2025-06-01T00:00:00.000000Z"}),
        ("app-1.0-py3-none-any.whl", {"upload-time": "2025-01-01T00:00:00Z"}),
    )
    dated = "2025-05-22T00:00:00Z"

    assert [check.version for check in checks_on_each(app, "app", exclude_newer=dated)] == ["1.0"] * 3
    assert results(app, "app==2.0", exclude_newer=dated) == [Installability.NO_VERSION] * 3
    assert results(page("app-2.0-py3-none-any.whl"), "app==2.0", exclude_newer=dated) == [Installability.WHEEL] * 3


def test_markers_are_evaluated_for_the_target() -> None:
    """They are not evaluated for the running interpreter."""
    app = page("app-1.0-py3-none-any.whl")

    assert results(app, 'app==9; python_version < "3.10"') == [
        Installability.NO_VERSION,
        Installability.NOT_APPLICABLE,
        Installability.NOT_APPLICABLE,
    ]
    assert results(app, 'app; sys_platform == "win32"') == [Installability.NOT_APPLICABLE] * 3
    assert results(app, 'app; python_full_version >= "3.12.1"')[2] is Installability.WHEEL


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
    assert "".join("y" if target(interpreter).accepts_tags(tags) else "n" for interpreter in TOGETHER) == fits


def test_a_build_in_an_image_may_have_any_libc() -> None:
    """It is unknown, and the resolver checks again what passes here."""
    inside = target_environment(build_of("3.12", origin="image python:3.12-slim"), machine="arm64")

    assert inside.accepts_tags("cp312-cp312-manylinux_2_40_aarch64")
    assert inside.accepts_tags("cp312-cp312-musllinux_1_2_aarch64")
    assert not inside.accepts_tags("cp312-cp312-macosx_11_0_arm64")


# ---- properties of all pages and requirements

versions = st.sampled_from(["0.9", "1.0", "1.0.post1", "1.1", "2.0a1", "2.0", "10.0", "nonsense", "9" * 5000])
tags = st.sampled_from(
    ["", "py3-none-any", "cp39-cp39-manylinux2014_x86_64", "cp312-cp312-manylinux_2_17_x86_64", "cp38-abi3-any", "--"]
)
python_ranges = st.sampled_from(["", ">=3.8", ">=3.10", "<3.12", ">=3.6,<3.12", "three", ">=3.*"])
files = st.builds(
    DistributionFile,
    version=versions,
    tags=tags,
    requires_python=python_ranges,
    yanked=st.booleans(),
    uploaded=st.sampled_from(["", "2024-01-01T00:00:00Z", "2030-01-01", "yesterday"]),
)


def page_of(files: Sequence[DistributionFile]) -> IndexPage:
    return IndexPage(
        name="app",
        state=PageState.FOUND,
        files={
            version: tuple(file for file in files if file.version == version)
            for version in dict.fromkeys(file.version for file in files)
        },
    )


SPECIFIERS = ("", "==1.0", ">=1", "<2", "~=1.0", "!=1.1", "===1.0", "==1.*", ">=2.0a1", ">1,<3", "==nonsense")


@given(
    st.lists(files, max_size=12),
    st.text() | st.sampled_from(SPECIFIERS).map("app{}".format) | st.text().map("app; {}".format),
    st.sampled_from(TOGETHER),
    st.sampled_from(["", "2025-05-22T00:00:00Z", "soon"]),
)
def test_no_page_and_no_requirement_crashes_the_check(
    listed: list[DistributionFile], text: str, interpreter: str, exclude_newer: str
) -> None:
    check = check_release(page_of(listed), text, target(interpreter, exclude_newer=exclude_newer))

    assert isinstance(check.installability, Installability)


def readable(listed: Sequence[DistributionFile]) -> list[DistributionFile]:
    return [file for file in listed if file.version[:1].isdigit() and len(file.version) < 20]


@given(st.lists(files, max_size=12).map(readable), st.sampled_from(SPECIFIERS[:-1]), st.sampled_from(TOGETHER))
def test_the_check_agrees_with_packaging(listed: list[DistributionFile], specifier: str, interpreter: str) -> None:
    """A wheel is found exactly if the range has one that packaging considers compatible."""
    environment = target(interpreter)
    allowed = set(SpecifierSet(specifier).filter({Version(file.version) for file in listed}))
    pinned = specifier in ("==1.0", "===1.0")
    fitting = [
        file
        for file in listed
        if Version(file.version) in allowed
        and (pinned or not file.yanked)
        and environment.accepts_python(file.requires_python)
        and file.tags.count("-") == 2
        and file.tags != "--"
        and {str(tag) for tag in parse_tag(file.tags)} & environment.tags
    ]

    installability = check_release(page_of(listed), f"app{specifier}", environment).installability

    assert (installability in (Installability.WHEEL, Installability.YANKED)) == bool(fitting)
    if not allowed:
        assert installability is Installability.NO_VERSION


@given(st.lists(files, max_size=12).map(readable), st.sampled_from(SPECIFIERS[:-1]))
def test_the_next_version_with_a_wheel_installs(listed: list[DistributionFile], specifier: str) -> None:
    environment = target("3.12")
    check = check_release(page_of(listed), f"app{specifier}", environment)
    if check.next_with_wheel:
        assert check_release(page_of(listed), f"app=={check.next_with_wheel}", environment).installability in (
            Installability.WHEEL,
            Installability.YANKED,
        )
        assert not SpecifierSet(specifier).contains(check.next_with_wheel, prereleases=True)
