"""Packages of the system for builds and imports."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.dependencies.system.build_tools import find_missing_tool
from pytest_py312.dependencies.system.known_packages import missing_library, package_for_build


@pytest.mark.parametrize(
    ("output", "package"),
    [
        ("x.c:1:10: fatal error: git2.h: No such file or directory", "libgit2-dev"),
        ("Package cairo was not found in the pkg-config search path.", "libcairo2-dev (Alpine: cairo-dev)"),
        ("Error: pg_config executable not found.", "libpq-dev"),
        ("No CMAKE_CXX_COMPILER could be found.", "build-essential (Alpine: build-base)"),
        ("CMake Error: Could NOT find ZLIB (missing: ZLIB_LIBRARY)", "zlib1g-dev (Alpine: zlib-dev)"),
        ("x.c:1:10: fatal error: 'openssl/ssl.h' file not found", "libssl-dev (Alpine: openssl-dev)"),
        ("No package 'libsystemd' found", "libsystemd-dev"),
    ],
)
def test_what_a_build_lacks_has_a_package(output: str, package: str) -> None:
    missing = find_missing_tool(output)

    assert missing is not None
    assert str(package_for_build(missing.key)) == package


@pytest.mark.parametrize(
    ("message", "name", "package"),
    [
        (
            "ImportError: libGL.so.1: cannot open shared object file: No such file or directory",
            "libGL.so",
            "libgl1 (Alpine: mesa-gl)",
        ),
        ("ImportError: libpq.so.5: cannot open shared object file: No such file", "libpq.so", "libpq5 (Alpine: libpq)"),
        (
            'OSError: no library called "cairo-2" was found',
            "cairo-2",
            "libcairo2 (Alpine: cairo)",
        ),
        (
            "OSError: cannot load library 'libgobject-2.0-0': libgobject-2.0-0: cannot open shared object file",
            "libgobject-2.0-0",
            "libglib2.0-0 (Alpine: glib)",
        ),
        (
            "ImportError: failed to find libmagic.  Check your installation",
            "libmagic",
            "libmagic1 (Alpine: libmagic)",
        ),
    ],
)
def test_a_shared_library_that_an_import_lacks_has_a_package(message: str, name: str, package: str) -> None:
    missing = missing_library(message)

    assert missing is not None
    assert (missing.name, str(missing.package)) == (name, package)


@pytest.mark.parametrize(
    "message",
    [
        "ModuleNotFoundError: No module named 'distutils'",
        "ImportError: libunknown.so.3: cannot open shared object file: No such file or directory",
        "ValueError: could not find the configuration",
        "",
    ],
)
def test_other_failures_lack_no_library(message: str) -> None:
    assert missing_library(message) is None


@given(st.text())
def test_no_text_makes_it_fail(text: str) -> None:
    missing_library(text)
    package_for_build(text)
