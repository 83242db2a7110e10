"""What the user has told uv, and which index it leads to."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.dependencies.resolution.uv_config import PAGES_HOLD, index_settings, only_index, settings_digest


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
def test_one_index_alone_can_be_asked(printed: str, index: str | None) -> None:
    assert only_index(printed) == index


@given(st.text())
def test_no_output_crashes_the_reader(printed: str) -> None:
    found = only_index(printed)
    assert found is None or found in printed


def test_settings_are_variables_and_files(tmp_path: Path) -> None:
    """Those of uv, wherever it looks for them."""
    home = {"HOME": str(tmp_path)}
    file = tmp_path / ".config" / "uv" / "uv.toml"
    named = tmp_path / "named.toml"
    digests = [
        settings_digest(home),
        settings_digest({**home, "UV_INDEX": "https://index.example"}),
        settings_digest({**home, "UV_CONFIG_FILE": str(named)}),
    ]
    file.parent.mkdir(parents=True)
    file.write_text("exclude-newer = '2024-01-01'")
    named.write_text("no-index = true")
    digests += [settings_digest(home), settings_digest({**home, "UV_CONFIG_FILE": str(named)})]

    assert len(set(digests)) == 5
    assert settings_digest(home) == settings_digest({**home, "PATH": "/bin"}) == digests[3]


def test_what_one_index_says_is_held_for_a_while() -> None:
    settings = tomllib.loads(index_settings("https://index.example/simple"))

    (index,) = settings["index"]
    assert (index["url"], index["default"]) == ("https://index.example/simple", True)
    assert index["cache-control"] == {"api": f"max-age={PAGES_HOLD}", "files": f"max-age={PAGES_HOLD}"}


@pytest.mark.parametrize("url", [None, "https://user:secret@index.example/simple", "file:///srv/index"])
def test_an_index_with_a_password_is_not_written_down(url: str | None) -> None:
    assert index_settings(url) == ""


@given(st.text().map("https://index.example/{}".format))
def test_any_address_is_a_text_of_toml(url: str) -> None:
    settings = index_settings(url)
    assert not settings or tomllib.loads(settings)["index"][0]["url"] == url
    assert settings or "@" in url or not url.isprintable() or not url.isascii()
