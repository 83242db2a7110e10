"""Images with packages of the system: their container, their names, and what the output of apt amounts to."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.model.measurements import ImagePackages
from pytest_py312.runners.docker.container_specs import RunContext
from pytest_py312.runners.docker.system_packages import (
    BaseImage,
    failure_in,
    image_tag,
    packages_spec,
    request_text,
)
from pytest_py312.runners.runner import is_system_package

BASE = BaseImage(id="sha256:1", name="python:3.12-slim", executable="/usr/local/bin/python3.12")
GCC = ImagePackages(names=("gcc", "libc6-dev"))


def test_apt_sees_no_folder_and_has_few_rights(tmp_path: Path) -> None:
    """It is root of its image, and of nothing else: no cache, no sources, no variables of this machine."""
    context = RunContext(
        run_id="run-1", owner="boot/ns/0/1/2", cache=tmp_path / "cache", uv=tmp_path / "uv", probe=tmp_path / "p.py",
        supervisor=tmp_path / "s.py", cell_user="10001:10001", tool_user="0:0",
    )  # fmt: skip

    spec = packages_spec(context, BASE, request=tmp_path / "request.json", environ={"http_proxy": "http://a:b@c"})

    assert not any(mount.writable or mount.source.is_dir() for mount in spec.mounts)
    assert spec.variables == {}
    assert "SYS_ADMIN" not in spec.capabilities
    assert spec.capabilities
    assert "no-new-privileges:true" in spec.security
    assert spec.entrypoint[:3] == ("/usr/local/bin/python3.12", "-I", "-S")


def test_the_request_has_proxies_and_no_other_variable() -> None:
    request = json.loads(request_text(GCC, {"https_proxy": "http://p", "HOME": "/root", "PIP_INDEX_URL": "http://i"}))

    assert request["variables"] == {"https_proxy": "http://p"}
    assert request["names"] == ["gcc", "libc6-dev"]


def test_an_image_is_found_by_its_base_and_its_packages() -> None:
    """The order of the packages does not matter."""
    tag = image_tag("sha256:1", GCC)

    assert tag == image_tag("sha256:1", ImagePackages(names=("libc6-dev", "gcc")))
    others = [
        image_tag("sha256:2", GCC),
        image_tag("sha256:1", ImagePackages(names=("gcc",))),
        image_tag("sha256:1", ImagePackages(names=GCC.names, recommends=True)),
    ]
    assert len({tag, *others}) == 4


@pytest.mark.parametrize(
    ("output", "failure"),
    [
        ('Setting up gcc\n{"error": "", "unknown": []}\n', ""),
        ('{"error": "the image has no apt-get", "unknown": []}', "the image has no apt-get"),
        ("Traceback:\nPermissionError: no", "apt-get could not be run: PermissionError: no"),
        ("", "apt-get could not be run: nothing"),
    ],
)
def test_the_last_line_says_how_it_ended(output: str, failure: str) -> None:
    assert failure_in(output) == failure


@pytest.mark.parametrize("name", ["gcc", "g++", "libpq-dev", "libstdc++6", "x11-utils", "0ad"])
def test_names_of_packages(name: str) -> None:
    assert is_system_package(name)


@given(
    st.text(max_size=8) | st.sampled_from(["-y", "gcc-", "./a.deb", "gcc=1", "a/b", "$(id)", "gcc;id", "gcc ", "a*"])
)
def test_nothing_else_reaches_apt(name: str) -> None:
    """No option, path, version, wildcard, or a name that apt would remove."""
    if is_system_package(name):
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789+.-")
        assert name[0].isalnum()
        assert not name.endswith("-")
