"""uv's settings, and the index that they select."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.dependencies.resolution.uv_config import (
    BUILD_CONSTRAINT,
    PAGE_MAX_AGE,
    build_constraints_toml,
    index_settings_toml,
    single_index_url,
    uv_settings_digest,
)


@pytest.mark.parametrize(
    ("printed", "index"),
    [
        ("--index-url https://index.example/simple\n\n", "https://index.example/simple"),
        (
            "# a header\n--index-url https://user:secret@index.example/simple",
            "https://user:secret@index.example/simple",
        ),
        ("--index-url https://a.example\n--extra-index-url https://b.example", None),
        ("--index-url https://a.example\n--find-links /srv/wheels", None),
        ("--extra-index-url https://b.example", None),
        ("--index-url", None),
        ("six==1.0", None),
        ("", None),
    ],
)
def test_only_a_single_index_is_returned(printed: str, index: str | None) -> None:
    assert single_index_url(printed) == index


@given(st.text())
def test_no_output_crashes_the_parser(printed: str) -> None:
    url = single_index_url(printed)
    assert url is None or url in printed


def test_settings_are_variables_and_files(tmp_path: Path) -> None:
    """They are uv's, from everywhere that uv reads them."""
    home = {"HOME": str(tmp_path)}
    file = tmp_path / ".config" / "uv" / "uv.toml"
    named = tmp_path / "named.toml"
    digests = [
        uv_settings_digest(home),
        uv_settings_digest({**home, "UV_INDEX": "https://index.example"}),
        uv_settings_digest({**home, "UV_CONFIG_FILE": str(named)}),
    ]
    file.parent.mkdir(parents=True)
    file.write_text("exclude-newer = '2024-01-01'")
    named.write_text("no-index = true")
    digests += [uv_settings_digest(home), uv_settings_digest({**home, "UV_CONFIG_FILE": str(named)})]

    assert len(set(digests)) == 5
    assert uv_settings_digest(home) == uv_settings_digest({**home, "PATH": "/bin"}) == digests[3]


def test_pages_of_a_single_index_are_reused_for_a_while() -> None:
    settings = tomllib.loads(index_settings_toml("https://index.example/simple"))

    (index,) = settings["index"]
    assert (index["url"], index["default"]) == ("https://index.example/simple", True)
    assert index["cache-control"] == {"api": f"max-age={PAGE_MAX_AGE}", "files": f"max-age={PAGE_MAX_AGE}"}


@pytest.mark.parametrize("url", [None, "https://user:secret@index.example/simple", "file:///srv/index"])
def test_an_index_with_a_password_is_not_written_to_settings(url: str | None) -> None:
    assert index_settings_toml(url) == ""


@given(st.text().map("https://index.example/{}".format))
def test_settings_are_valid_toml_for_every_address(url: str) -> None:
    settings = index_settings_toml(url)
    assert not settings or tomllib.loads(settings)["index"][0]["url"] == url
    assert settings or "@" in url or not url.isprintable() or not url.isascii()


def test_what_builds_must_use_is_a_setting_of_uv() -> None:
    options = ("--pre", f"{BUILD_CONSTRAINT}setuptools<70", f"{BUILD_CONSTRAINT}cython<3; python_version > '3'")
    settings = tomllib.loads(build_constraints_toml(options) + index_settings_toml("https://index.example/simple"))
    assert settings["build-constraint-dependencies"] == ["setuptools<70", "cython<3; python_version > '3'"]
    assert build_constraints_toml(("--pre",)) == ""
