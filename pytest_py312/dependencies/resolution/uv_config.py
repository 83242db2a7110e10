"""What the user has told uv beside the requirements: variables and files of settings, and the index they lead to."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path


def settings_digest(environ: Mapping[str, str]) -> str:
    """The same for the same settings: with another index, an answer of uv's is another one."""
    variables = sorted((name, value) for name, value in environ.items() if name.startswith("UV_"))
    digest = hashlib.sha256(json.dumps(variables).encode())
    home = Path(environ.get("XDG_CONFIG_HOME") or Path(environ.get("HOME") or "/") / ".config")
    named = environ.get("UV_CONFIG_FILE")
    for file in (home / "uv" / "uv.toml", Path("/etc/uv/uv.toml"), *([Path(named)] if named else [])):
        try:
            digest.update(file.read_bytes())
        except (OSError, ValueError):
            digest.update(b"\0")
    return digest.hexdigest()[:16]


def pip_settings_digest(environ: Mapping[str, str]) -> str:
    """The same for the same settings of pip, as far as they bear on what it finds."""
    variables = sorted((name, value) for name, value in environ.items() if name.startswith("PIP_"))
    digest = hashlib.sha256(json.dumps(variables).encode())
    home = Path(environ.get("HOME") or "/")
    config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    named = environ.get("PIP_CONFIG_FILE")
    files = [Path("/etc/pip.conf"), config / "pip" / "pip.conf", home / ".pip" / "pip.conf"]
    for file in (*files, *([Path(named)] if named else [])):
        try:
            digest.update(file.read_bytes())
        except (OSError, ValueError):
            digest.update(b"\0")
    return digest.hexdigest()[:16]


def says_which_index(environ: Mapping[str, str]) -> bool:
    """Whether uv is told of an index by variables, and pip of none: then pip has to be told of uv's."""
    of_uv = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_CONFIG_FILE")
    of_pip = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_CONFIG_FILE", "PIP_NO_INDEX")
    return any(environ.get(name) for name in of_uv) and not any(environ.get(name) for name in of_pip)


PAGES_HOLD = 600
"""Seconds for which a page of an index is not asked for again. The public index says the same of its own; one that says
nothing would be asked for every page by each of the fleet's resolutions, and a fleet asks for the same ones."""


def index_settings(url: str | None) -> str:
    """Settings (TOML) by which uv keeps what the one index at ``url`` has answered for :data:`PAGES_HOLD` seconds.

    Empty, so that what the index says of it holds, where there is not one index, or its address holds a password,
    which is not to be written down.
    """
    if url is None or "@" in url or not url.startswith(("http://", "https://")):
        return ""
    if not (url.isascii() and url.isprintable()):
        return ""  # else a JSON text is a TOML text
    held = f'"max-age={PAGES_HOLD}"'
    return f"[[index]]\nurl = {json.dumps(url)}\ndefault = true\ncache-control = {{ api = {held}, files = {held} }}\n"


def only_index(text: str) -> str | None:
    """The address in what ``uv pip compile --emit-index-url --emit-find-links`` printed.

    ``None`` where there is none, or something beside it: then no single index can tell what uv finds.
    """
    words = [line.split() for line in text.splitlines() if line.startswith("-")]
    if len(words) == 1 and len(words[0]) == 2 and words[0][0] == "--index-url":
        return words[0][1]
    return None
