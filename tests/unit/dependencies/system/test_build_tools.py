"""What a machine lacks for a build, and the package that has it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.model.findings import Location
from pytest_py312.dependencies.system.build_tools import (
    MissingTool,
    SystemPackages,
    find_installation,
    find_missing_tool,
)


@pytest.mark.parametrize(
    ("output", "name"),
    [
        ("error: command 'gcc' failed: No such file or directory", "gcc"),
        ("error: command '/usr/bin/x86_64-linux-gnu-g++' failed: No such file or directory", "x86_64-linux-gnu-g++"),
        ("unable to execute 'gcc': No such file or directory", "gcc"),
        ("/bin/sh: 1: gcc: not found", "gcc"),
        ("bash: line 1: krb5-config: command not found", "krb5-config"),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'g++'", "g++"),
        ("RuntimeError: The 'apxs' command appears not to be installed or is not executable.", "apxs"),
        ("Error: pg_config executable not found.", "pg_config"),
        ("Exception: Can not find valid pkg-config name.", "pkg-config"),
        ("Did not find pkg-config by name 'pkg-config'", "pkg-config"),
        ("Package cairo was not found in the pkg-config search path.", "the library cairo"),
        ("pkgconfig.PackageNotFoundError: cairo not found in the pkg-config search path", "the library cairo"),
        ("No package 'libffi' found", "the library libffi"),
        ("Package 'xcb', required by 'cairo', not found", "the library xcb"),
        ('../meson.build:9:0: ERROR: Dependency "cairo" not found, tried pkgconfig', "the library cairo"),
        ("/usr/bin/ld: cannot find -lssl: No such file or directory", "the library ssl"),
        ("CMake Error: Could NOT find ZLIB (missing: ZLIB_LIBRARY)", "the library ZLIB"),
        ("The headers or library files could not be found for jpeg,", "the library jpeg"),
        ("Error: Please make sure the libxml2 and libxslt development packages are installed.", "the library libxml2"),
        ("x.c:1:10: fatal error: libpq-fe.h: No such file or directory", "the header libpq-fe.h"),
        ("x.c:1:10: fatal error: 'openssl/ssl.h' file not found", "the header openssl/ssl.h"),
        ("x.c:1:10: fatal error: Python.h: No such file or directory", "the header Python.h"),
        ("RuntimeError: CMake must be installed to build dlib", "cmake"),
        ("No CMAKE_CXX_COMPILER could be found.", "a C compiler"),
        ("ERROR: Unknown compiler(s): [['cc'], ['gcc'], ['clang']]", "a C compiler"),
        ("error: can't find Rust compiler", "rustc"),
        ("Cargo, the Rust package manager, is not installed or is not on PATH.", "rustc"),
        ("error: linker `cc` not found", "cc"),
        ("urllib.error.URLError: <urlopen error [Errno -2] Name or service not known>", "the network"),
        ("OSError: [Errno 28] No space left on device", "space on the disk"),
    ],
)
def test_what_is_missing_has_a_name(output: str, name: str) -> None:
    missing = find_missing_tool(f"running build_ext\n{output}\nerror: exit status 1\n")

    assert missing is not None
    assert missing.name == name


@pytest.mark.parametrize(
    "output",
    [
        "ModuleNotFoundError: No module named 'distutils'",
        "FileNotFoundError: [Errno 2] No such file or directory: 'requirements.txt'",
        "FileNotFoundError: [Errno 2] No such file or directory: 'README'",
        "fakec.c:1:10: fatal error: longintrepr.h: No such file or directory",
        "ast27/Include/../Python/x.c:3:10: fatal error: code.h: No such file or directory",
        "fakec.c:9:5: error: too few arguments\nerror: command 'gcc' failed with exit code 1",
        "error: command '/usr/bin/gcc' failed with exit code 1",
        "Run-time dependency cairo found: NO (tried pkgconfig and cmake)",
        "checking for gcc... gcc",
        "AttributeError: module 'configparser' has no attribute 'SafeConfigParser'",
        "error in fakec setup command: use_2to3 is invalid.",
    ],
)
def test_a_broken_source_lacks_nothing(output: str) -> None:
    assert find_missing_tool(f"running build_ext\n{output}\n") is None


DOCKERFILE = Location(path="services/a/Dockerfile", line=4)


@pytest.mark.parametrize(
    ("key", "package"),
    [
        ("gcc", "build-essential"),
        ("g++", "build-base"),
        ("pg_config", "libpq-dev"),
        ("apxs", "apache2-dev"),
        ("cairo", "libcairo2-dev"),
        ("libffi", "libffi-dev"),
        ("openssl", "libssl-dev"),
        ("ZLIB", "zlib1g-dev"),
        ("krb5-config", "libkrb5-dev"),
        ("cmake", "cmake"),
        ("rustc", "cargo"),
        ("libxml2", "libxml2-dev"),
    ],
)
def test_the_package_that_has_it_is_found_where_it_is_installed(key: str, package: str) -> None:
    packages = [SystemPackages(names=("curl", package, "git"), location=DOCKERFILE)]

    assert find_installation(MissingTool(name=key, key=key, message=""), packages) == (package, DOCKERFILE)


def test_other_packages_do_not_have_it() -> None:
    packages = [SystemPackages(names=("curl", "libcairo-gobject2", "python3-dev", "gcc"), location=DOCKERFILE)]

    for key in ("cairo", "pg_config", "the network", "g++", "x", ""):
        assert find_installation(MissingTool(name=key, key=key, message=""), packages) is None


@given(st.text())
def test_no_output_breaks_it(output: str) -> None:
    missing = find_missing_tool(output)
    packages = [SystemPackages(names=(output,), location=DOCKERFILE)]

    assert missing is None or find_installation(missing, packages) is None or missing.key
    find_installation(MissingTool(name=output, key=output, message=""), packages)
