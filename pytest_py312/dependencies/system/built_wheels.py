"""Check the wheel that a build of foreign code made, before it is installed and enters the distribution store.

The wheel is the only thing that leaves the folder of a confined build. Its names must be those of the source, its paths
must stay in the installation, there are no links, and ``RECORD`` must list every file with its hash.
"""

import base64
import csv
import hashlib
import os
import re
import shutil
import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

MAX_WHEEL_SIZE = 4 * 1024**3
"""Bytes of a wheel, packed."""
MAX_CONTENT_SIZE = 16 * 1024**3
"""Bytes of all files in a wheel."""
MAX_FILES = 200_000
MAX_RECORD_SIZE = 64 * 1024**2
_DATA_SCHEMES = ("purelib", "platlib", "headers", "scripts", "data")
_UNLISTED = ("RECORD", "RECORD.jws", "RECORD.p7s")
_NOT_IN_A_PATH = re.compile(r"[\x00-\x1f\x7f\\]|^/|^[A-Za-z]:|(?:^|/)\.{1,2}(?:/|$)|//")


class UntrustworthyWheel(Exception):
    """What a build made is not what it should be. ``str()`` is a sentence without its first word, the subject."""


def take_wheel(scratch: Path, name: str, version: str, target: Path) -> Path:
    """Copy the wheel of ``name`` that a confined build left below ``scratch`` into ``target``, and return the copy.

    uv leaves it in its cache, pip in ``wheels``.

    :param name: normalised name of the project; empty if it is not known, as of a source tree.
    :param version: its version; empty if it is not known.
    :raises UntrustworthyWheel: there is none, there are several, or it is not a valid wheel of that project.
    """
    root = scratch.resolve()
    # wheels of what the build requires may be in the cache as well, but those come from an index
    given = tuple(f"cache/sdists-*/{kind}/**/*.whl" for kind in ("path", "git", "url"))
    patterns = ("cache/sdists-*/**/*.whl", "wheels/*.whl") if name else given
    paths = sorted(path for pattern in patterns for path in root.glob(pattern))
    # below a symlink there are files that the build did not make
    wheels = [path for path in paths if _is_wheel_of(path, name, version) and path.resolve() == path]
    if len(wheels) != 1:
        found = ", ".join(path.name for path in wheels[:5]) or "none"
        raise UntrustworthyWheel(f"should have made one wheel of {name or 'its tree'}; there is {found}")
    copy = target / wheels[0].name
    _copy_regular_file(wheels[0], copy)
    check_wheel(copy)
    return copy


def _is_wheel_of(path: Path, name: str, version: str) -> bool:
    try:
        wheel_name, wheel_version, _, _ = parse_wheel_filename(path.name)
        return (not name or wheel_name == name) and (not version or _same_version(wheel_version, Version(version)))
    except (InvalidWheelFilename, InvalidVersion):
        return False


def _same_version(built: Version, wanted: Version) -> bool:
    return built == wanted or (wanted.local is None and built.public == wanted.public)


def _copy_regular_file(source: Path, target: Path) -> None:
    """Copy a file that is neither a link nor a pipe, and not larger than :data:`MAX_WHEEL_SIZE`."""
    descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as content:
        status = os.fstat(content.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_WHEEL_SIZE:
            raise UntrustworthyWheel("made no regular file, or one that is too large")
        with target.open("xb") as copy:
            shutil.copyfileobj(content, copy, 1024**2)


def check_wheel(path: Path) -> None:
    """Check names, paths, links, sizes and hashes of a wheel.

    :raises UntrustworthyWheel: something is not as it must be; the text says what.
    """
    name, version, _, _ = parse_wheel_filename(path.name)
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            _check_members(members)
            info = _info_folder(members, name, version)
            record = _read_record(archive, f"{info}/RECORD")
            _check_record(archive, members, record, info)
    except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError, EOFError, UnicodeDecodeError) as error:
        raise UntrustworthyWheel(f"made a file that is not a readable wheel: {error}") from error


def _check_members(members: list[zipfile.ZipInfo]) -> None:
    if len(members) > MAX_FILES or sum(member.file_size for member in members) > MAX_CONTENT_SIZE:
        raise UntrustworthyWheel("made a wheel that is too large")
    seen: set[str] = set()
    for member in members:
        mode = member.external_attr >> 16
        if _NOT_IN_A_PATH.search(member.filename) or member.filename in seen:
            raise UntrustworthyWheel(f"made a wheel with a path that is not allowed: {member.filename[:200]!r}")
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
            raise UntrustworthyWheel(f"made a wheel with a link or a device: {member.filename[:200]!r}")
        top, _, rest = member.filename.partition("/")
        if top.endswith(".data") and rest.partition("/")[0] not in _DATA_SCHEMES:
            raise UntrustworthyWheel(f"made a wheel with an unknown place for files: {member.filename[:200]!r}")
        seen.add(member.filename)


def _info_folder(members: list[zipfile.ZipInfo], name: str, version: Version) -> str:
    """Return the only folder of metadata, which must be that of the wheel's name."""
    tops = {top for member in members if (top := member.filename.partition("/")[0]).endswith((".dist-info", ".data"))}
    infos = [top for top in tops if top.endswith(".dist-info")]
    for top in tops:
        stem_name, _, stem_version = top.rpartition(".")[0].rpartition("-")
        try:
            fits = canonicalize_name(stem_name) == name and Version(stem_version) == version
        except InvalidVersion:
            fits = False
        if not fits:
            raise UntrustworthyWheel(f"made a wheel with metadata of another project: {top[:200]!r}")
    if len(infos) != 1:
        raise UntrustworthyWheel(f"made a wheel with {len(infos)} folders of metadata")
    return infos[0]


def _read_record(archive: zipfile.ZipFile, name: str) -> Mapping[str, tuple[str, str]]:
    """Return the files that RECORD lists, with hash and size."""
    try:
        if archive.getinfo(name).file_size > MAX_RECORD_SIZE:
            raise UntrustworthyWheel("made a wheel whose RECORD is too large")
        rows = list(csv.reader(archive.read(name).decode("utf-8").splitlines()))
    except KeyError as error:
        raise UntrustworthyWheel("made a wheel without RECORD") from error
    except csv.Error as error:
        raise UntrustworthyWheel(f"made a wheel whose RECORD cannot be read: {error}") from error
    return {row[0]: (row[1], row[2]) if len(row) > 2 else ("", "") for row in rows if row}


def _check_record(
    archive: zipfile.ZipFile, members: list[zipfile.ZipInfo], record: Mapping[str, tuple[str, str]], info: str
) -> None:
    unlisted = {f"{info}/{name}" for name in _UNLISTED}
    names = {member.filename for member in members} - unlisted
    if names != record.keys() - unlisted:
        different = sorted(names ^ (record.keys() - unlisted))[0]
        raise UntrustworthyWheel(f"made a wheel whose files are not those of its RECORD: {different[:200]!r}")
    for member in members:
        if member.filename in unlisted:
            continue
        algorithm, _, expected = record[member.filename][0].partition("=")
        if algorithm not in ("sha256", "sha384", "sha512"):
            raise UntrustworthyWheel(f"made a wheel with a file without a hash: {member.filename[:200]!r}")
        digest, size = hashlib.new(algorithm), 0
        with archive.open(member) as content:
            while chunk := content.read(1024**2):
                digest.update(chunk)
                size += len(chunk)
        actual = base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode()
        if actual != expected.rstrip("=") or size != member.file_size:
            raise UntrustworthyWheel(f"made a wheel with a file that is not as RECORD says: {member.filename[:200]!r}")
