"""Ids of tests that are the same on two sides, although the runs had other folders."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.runners.suite_ids import FOLDERS, SuiteIds, function_of, read_folders, selection_of


def ids_of(interpreter: str, key: str) -> SuiteIds:
    environment = f"/cache/envs/{key}"
    return SuiteIds(
        {
            "<scratch>": f"/tmp/run-{key}/cells/svc-py{interpreter}-suite-0/scratch",
            "<site-packages>": f"{environment}/lib/python{interpreter}/site-packages",
            "<environment>": environment,
            "<stdlib>": f"/opt/pyenv/versions/{interpreter}.1/lib/python{interpreter}",
        }
    )


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("t.py::test_a[{scratch}/repository/svc/data/x.json]", "t.py::test_a[<scratch>/repository/svc/data/x.json]"),
        ("t.py::test_a[{scratch}-1]", "t.py::test_a[{scratch}-1]"),
        ("t.py::test_a[x={scratch}]", "t.py::test_a[x=<scratch>]"),
        ("t.py::test_a[{site}/lib/a.py]", "t.py::test_a[<site-packages>/lib/a.py]"),
        ("t.py::test_a[{stdlib}/json/__init__.py]", "t.py::test_a[<stdlib>/json/__init__.py]"),
        ("t.py::test_a[{scratch}/tmp/tmpab_12xyz/f]", "t.py::test_a[<scratch>/tmp/tmp*/f]"),
        ("t.py::test_a[<Thing object at 0x7f00{address}>]", "t.py::test_a[<Thing object at 0x...>]"),
        ("t.py::test_a[0xdeadbeef]", "t.py::test_a[0xdeadbeef]"),
    ],
)
@pytest.mark.parametrize(("interpreter", "key"), [("3.9", "aa11"), ("3.10", "bb22"), ("3.12", "cc33")])
def test_an_id_is_the_same_in_every_run(pattern: str, expected: str, interpreter: str, key: str) -> None:
    texts = {
        "scratch": f"/tmp/run-{key}/cells/svc-py{interpreter}-suite-0/scratch",
        "site": f"/cache/envs/{key}/lib/python{interpreter}/site-packages",
        "stdlib": f"/opt/pyenv/versions/{interpreter}.1/lib/python{interpreter}",
        "address": key,
    }

    assert ids_of(interpreter, key).comparable(pattern.format(**texts)) == expected.format(**texts)


def test_ids_that_become_equal_are_numbered_in_their_order() -> None:
    ids = SuiteIds()
    first, second = "t.py::test_a[<o at 0x1111>]", "t.py::test_a[<o at 0x2222>]"

    assert [ids.comparable(first), ids.comparable(second), ids.comparable(first)] == [
        "t.py::test_a[<o at 0x...>]",
        "t.py::test_a[<o at 0x...>]#2",
        "t.py::test_a[<o at 0x...>]",
    ]


@pytest.mark.parametrize(
    ("name", "selection"),
    [
        ("t.py::test_a[1]", "t.py::test_a[1]"),
        ("t.py::C::test_a[<scratch>/x]", "t.py::C::test_a"),
        ("t.py::test_a[<o at 0x...>]#2", "t.py::test_a"),
        ("t.py::test_a[<unpaired 2>]", "t.py::test_a"),
        ("<scratch>/t.py::test_a[1]", ""),
        ("<scratch>/t.py", ""),
    ],
)
def test_what_is_run_again(name: str, selection: str) -> None:
    assert selection_of(name) == selection


@pytest.mark.parametrize("folders", [None, 3, [], {"<scratch>": 3}, {3: "/a"}])
def test_a_record_may_contain_anything(folders: object) -> None:
    assert read_folders({"folders": folders}) == {}


@pytest.mark.parametrize("path", ["", "/", "//", "relative/x", "/" + "a" * 5000])
def test_a_folder_that_says_nothing_is_ignored(path: str) -> None:
    name = f"t.py::test_a[{path}]"

    assert SuiteIds({"<scratch>": path}).comparable(name) == name


@given(st.dictionaries(st.sampled_from([*FOLDERS, "x"]), st.text()), st.lists(st.text(), unique=True))
def test_no_two_ids_become_one(folders: dict[str, str], names: list[str]) -> None:
    ids = SuiteIds(folders)
    first = [ids.comparable(name) for name in names]

    assert [ids.comparable(name) for name in names] == first
    assert len(set(first)) == len(names)


@given(st.text())
def test_any_text_has_a_function_and_a_selection(name: str) -> None:
    assert name.startswith(function_of(name))
    assert selection_of(name) in ("", name, function_of(name))
