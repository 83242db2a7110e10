"""Source distributions and repositories that tests make, and servers on this machine for them."""

import base64
import io
import subprocess
import tarfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.support.fakes import service_tree

PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""

BACKEND = """
import base64, hashlib, os, sys, zipfile

NAME, VERSION = {name!r}, {version!r}

def _asked():
    return {asks!r}

def get_requires_for_build_wheel(config_settings=None):
    return _asked()

def attack():
{attack}

def build_wheel(folder, config_settings=None, metadata_directory=None):
    attack()
    info = f"{{NAME}}-{{VERSION}}.dist-info"
    files = {{f"{{NAME}}.py": "ANSWER = 42\\n"}}
    files[f"{{info}}/METADATA"] = f"Metadata-Version: 2.1\\nName: {{NAME}}\\nVersion: {{VERSION}}\\n" + {requires!r}
    files[f"{{info}}/WHEEL"] = "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
{more}
    record = ""
    for name, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        record += f"{{name}},sha256={{digest}},{{len(text)}}\\n"
    files[f"{{info}}/RECORD"] = record + f"{{info}}/RECORD,,\\n"
    wheel = f"{{NAME}}-{{VERSION}}-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(folder, wheel), "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
        tamper(archive)
    return wheel

def tamper(archive):
{tamper}
"""
"""A build backend in the source itself, which needs nothing else, and does what a test wants done."""


def make_sdist(
    folder: Path,
    name: str,
    version: str = "1.0",
    *,
    attack: str = "pass",
    more: str = "pass",
    tamper: str = "pass",
    asks: tuple[str, ...] = (),
    requires: str = "",
) -> Path:
    """Write a source distribution into the index ``folder``, whose build runs ``attack`` before it makes its wheel.

    ``more`` adds to its ``files``, ``tamper`` to the finished ``archive``. ``asks`` is what the build asks for,
    ``requires`` are lines of metadata.
    """
    backend = BACKEND.format(
        name=name,
        version=version,
        asks=list(asks),
        requires=requires,
        attack=_indented(attack),
        more=_indented(more),
        tamper=_indented(tamper),
    )
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    return write_sdist(
        folder, name, version, {"pyproject.toml": PYPROJECT, "backend.py": backend, "PKG-INFO": metadata}
    )


def write_sdist(folder: Path, name: str, version: str, files: Mapping[str, str]) -> Path:
    """Write a source distribution with the given files into the index ``folder``."""
    path = folder / name / f"{name}-{version}.tar.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for file, text in files.items():
            member = tarfile.TarInfo(f"{name}-{version}/{file}")
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return path


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


class _Private(_Quiet):
    """Answers only who names the user and the password."""

    def do_GET(self) -> None:
        if self.headers.get("Authorization") == f"Basic {base64.b64encode(b'user:hunter2').decode()}":
            super().do_GET()
            return
        self.send_response(HTTPStatus.UNAUTHORIZED)
        self.send_header("WWW-Authenticate", "Basic")
        self.send_header("Content-Length", "0")
        self.end_headers()


@contextmanager
def served_repository(folder: Path, files: Mapping[str, str], *, is_private: bool = False) -> Iterator[str]:
    """Serve a git repository with these files, in new folders of ``folder``, and yield its address.

    :param is_private: it asks for a user and a password, which are in the address.
    """
    work, bare = folder / "work", folder / "served" / "acme.git"
    service_tree(work, files)
    who = ["-c", "user.email=a@example.org", "-c", "user.name=a"]
    for argv in (["init", "-q", "."], ["add", "."], [*who, "commit", "-qm", "x"], ["clone", "-q", "--bare", ".", bare]):
        subprocess.run(["git", *map(str, argv)], cwd=work, check=True)
    subprocess.run(["git", "update-server-info"], cwd=bare, check=True)
    with served(bare.parent, _Private if is_private else _Quiet) as address:
        yield (address if is_private else address.replace("user:hunter2@", "")) + bare.name


@contextmanager
def served(folder: Path, handler: type[SimpleHTTPRequestHandler] = _Quiet) -> Iterator[str]:
    """Serve the index ``folder``, and yield its address with a user and a password."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://user:hunter2@127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


def _indented(code: str) -> str:
    return "\n".join(f"    {line}" for line in code.strip().splitlines())
