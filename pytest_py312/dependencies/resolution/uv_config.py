"""The user's uv and pip settings as far as they decide what a resolution finds, and the index that they select."""

import hashlib
import json
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path


def uv_settings_digest(environ: Mapping[str, str]) -> str:
    """Return a digest of uv's variables and user settings files; with another index uv resolves differently."""
    return _settings_digest(environ, "UV_", (_config_folder(environ) / "uv" / "uv.toml", Path("/etc/uv/uv.toml")))


def pip_settings_digest(environ: Mapping[str, str]) -> str:
    """Return a digest of pip's variables and settings files."""
    files = (Path("/etc/pip.conf"), _config_folder(environ) / "pip" / "pip.conf", _home(environ) / ".pip" / "pip.conf")
    return _settings_digest(environ, "PIP_", files)


def _home(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("HOME") or "/")


def _config_folder(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("XDG_CONFIG_HOME") or _home(environ) / ".config")


def _settings_digest(environ: Mapping[str, str], prefix: str, files: Sequence[Path]) -> str:
    """Return a digest of the variables with ``prefix``, of ``files``, and of the file that a variable names."""
    variables = sorted((name, value) for name, value in environ.items() if name.startswith(prefix))
    digest = hashlib.sha256(json.dumps(variables).encode())
    config_file = environ.get(f"{prefix}CONFIG_FILE")
    for file in (*files, *([Path(config_file)] if config_file else [])):
        try:
            digest.update(file.read_bytes())
        except (OSError, ValueError):
            digest.update(b"\0")
    return digest.hexdigest()[:16]


def only_uv_has_index(environ: Mapping[str, str]) -> bool:
    """Return whether variables select an index for uv and none for pip; then pip has to use uv's."""
    uv_variables = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_CONFIG_FILE")
    pip_variables = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_CONFIG_FILE", "PIP_NO_INDEX")
    return any(environ.get(name) for name in uv_variables) and not any(environ.get(name) for name in pip_variables)


BUILD_CONSTRAINT = "# build constraint: "
"""Beginning of an option line with a version that builds must use: no requirements file can say that to uv."""


def build_constraints_toml(options: Sequence[str]) -> str:
    """Return uv settings (TOML) with the constraints of builds among the option lines; empty if there are none."""
    lines = [line.removeprefix(BUILD_CONSTRAINT) for line in options if line.startswith(BUILD_CONSTRAINT)]
    strings = [json.dumps(line) for line in lines if line.isascii() and line.isprintable()]
    return f"build-constraint-dependencies = [{', '.join(strings)}]\n" if strings else ""


PAGE_MAX_AGE = 600
"""Seconds for which uv reuses a page of an index. The public index declares the same for its own pages. From an index
that declares nothing, each resolution of the fleet would fetch the same pages again."""


def index_settings_toml(url: str | None) -> str:
    """Return uv settings (TOML) by which it reuses answers of the index at ``url`` for :data:`PAGE_MAX_AGE` seconds.

    Empty if there is no single index, or if its address has a password, which must not be written to disk; the
    index's own cache headers apply then.
    """
    if url is None or "@" in url or not url.startswith(("http://", "https://")):
        return ""
    if not (url.isascii() and url.isprintable()):
        return ""  # a JSON string is a valid TOML string only without such characters
    max_age = f'"max-age={PAGE_MAX_AGE}"'
    cache_control = f"{{ api = {max_age}, files = {max_age} }}"
    return f"[[index]]\nurl = {json.dumps(url)}\ndefault = true\ncache-control = {cache_control}\n"


def single_index_url(output: str) -> str | None:
    """Return the address in the output of ``uv pip compile --emit-index-url --emit-find-links``.

    ``None`` if there is none or more than that: then uv does not resolve from a single index.
    """
    words = [line.split() for line in output.splitlines() if line.startswith("-")]
    if len(words) == 1 and len(words[0]) == 2 and words[0][0] == "--index-url":
        return words[0][1]
    return None


@contextmanager
def uv_folder(cache: Path, settings: str = "") -> Iterator[Path]:
    """Make a temporary folder in ``cache`` for calls of uv, with these ``settings``.

    uv reads the nearest settings file above its folder, which would otherwise be that of a parent.
    """
    folder = cache / "tmp" / uuid.uuid4().hex
    folder.mkdir(parents=True)
    try:
        (folder / "uv.toml").write_text(settings, encoding="utf-8")
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
