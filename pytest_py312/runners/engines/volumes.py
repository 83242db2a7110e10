"""Copies of files of this machine in volumes of an engine that does not see them.

Archives that come back are untrusted: only their headers are read, and the content of one regular file.
"""

import contextlib
import stat
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from threading import Lock
from typing import IO
from uuid import uuid4

from pytest_py312.core.process_identity import ProcessIdentity
from pytest_py312.core.text import format_size
from pytest_py312.runners.docker.container_specs import (
    OWNER_LABEL,
    RUN_LABEL,
    ContainerSpec,
    RunContext,
    VolumeMount,
)
from pytest_py312.runners.docker.engine import DockerEngine, is_left_behind
from pytest_py312.runners.docker.errors import EngineRefused, EngineUnavailable, translate_errors
from pytest_py312.runners.engines.places import NotCopied

COPY_LIMIT = 4 * 1024**3
"""Bytes of one copy: an environment, or what one job reads of the repository."""
UNPACKED = PurePosixPath("py312-volume")
"""The folder in an archive whose content gets into a volume. An engine sets the rights of a folder with a name only."""
_KINDS = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE)


@dataclass(frozen=True, slots=True)
class ArchiveEntry:
    """A file or folder of this machine, and its path in an archive (``.`` for the archive's root)."""

    source: Path
    path: str


def write_archive(
    file: IO[bytes], entries: Sequence[ArchiveEntry], folders: Sequence[str] = (), *, writable: bool = False
) -> None:
    """Write a tar archive of ``entries`` and of empty ``folders`` in :data:`UNPACKED`.

    All is owned by root, and readable by all users; ``writable``: they may also create files in the root. Sockets,
    pipes and devices are left out.

    :raises OSError: something cannot be read.
    :raises ValueError: it has more than :data:`COPY_LIMIT` bytes.
    """
    size = 0

    def prepare(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
        nonlocal size
        if member.type not in _KINDS:
            return None
        size += member.size
        if size > COPY_LIMIT:
            raise ValueError(f"more than {format_size(COPY_LIMIT)} would have to be copied to the engine")
        executable = member.isdir() or member.mode & stat.S_IXUSR
        return member.replace(mode=0o755 if executable else 0o644, uid=0, gid=0, uname="", gname="", deep=False)

    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for folder in (".", *folders):
            member = tarfile.TarInfo(str(UNPACKED / folder))
            member.type, member.mode = tarfile.DIRTYPE, 0o777 if writable and folder == "." else 0o755
            archive.addfile(member)
        for entry in entries:
            archive.add(entry.source, str(UNPACKED / entry.path), filter=prepare)
    file.seek(0)


class EngineVolumes:
    """The volumes of one run on one engine. ``folder`` on this machine is for archives on their way.

    Methods raise the engine's errors, unless documented otherwise.
    """

    def __init__(self, engine: DockerEngine, context: RunContext, folder: Path) -> None:
        self._engine = engine
        self._context = context
        self._folder = folder
        self._lock = Lock()
        self._locks: dict[Path, Lock] = {}
        self._environments: dict[Path, str] = {}
        self._uncopied: dict[Path, str] = {}
        self._is_closed = False

    def environment(self, source: Path, image: str) -> str:
        """Return the volume with a copy of an installed environment, which is copied once in a run."""
        with self._lock:
            lock = self._locks.setdefault(source, Lock())
        with lock:
            if source in self._uncopied:
                raise NotCopied(self._uncopied[source])
            if source not in self._environments:
                try:
                    self._environments[source] = self.copy([ArchiveEntry(source, ".")], image)
                except NotCopied as reason:
                    self._uncopied[source] = str(reason)
                    raise
            return self._environments[source]

    def copy(
        self, entries: Sequence[ArchiveEntry], image: str, folders: Sequence[str] = (), *, writable: bool = False
    ) -> str:
        """Return a new volume with the content of :func:`write_archive`.

        ``image`` (an id) is any that the engine has: it unpacks into a container, which is never started.

        :raises NotCopied: something of this machine cannot be read, or is too large.
        """
        name = f"py312-{uuid4().hex}"
        helper = ContainerSpec(
            image=image,
            entrypoint=("true",),
            user="0:0",
            labels=self._context.labels("copy"),
            mounts=(),
            variables={},
            working_folder="/",
            isolated=False,  # an engine unpacks nothing into a read-only root
            volumes=(VolumeMount(target=f"/{UNPACKED}", name=name, writable=True),),
        )
        with tempfile.TemporaryFile(dir=self._folder) as file:
            try:
                write_archive(file, entries, folders, writable=writable)
            except (OSError, ValueError) as error:
                raise NotCopied(str(error)) from error
            with translate_errors():
                self._engine.client.create_volume(name, labels=self._context.labels("copy"))
            try:
                if self._is_closed:
                    raise EngineUnavailable("the run was cancelled")
                container = self._engine.create(helper)
                try:
                    with translate_errors():
                        self._engine.client.put_archive(container, "/", file)
                finally:
                    self._engine.remove(container)
            except BaseException:
                self.remove(name)
                raise
        return name

    def read_back(self, container: str, folder: str, target: Path, *, limit: int) -> int:
        """Copy the file named as ``target`` from a container's folder, and return the size of all files there.

        It ends when the files have more than ``limit`` bytes; ``target`` is replaced only by what was read whole.

        :raises tarfile.TarError: the archive is damaged, as it may be if a file grows meanwhile.
        """
        size: int = 0
        wanted = f"{PurePosixPath(folder).name}/{target.name}"
        with translate_errors():
            chunks = self._engine.client.get_archive(container, folder)[0]
        try:
            with tarfile.open(fileobj=_ChunkReader(chunks), mode="r|") as archive:  # type: ignore[call-overload]  # reads only
                for member in archive:
                    size += tarfile.BLOCKSIZE + member.size  # a million empty files have a size as well
                    if size > limit:
                        return size
                    if member.name == wanted and member.isreg() and (content := archive.extractfile(member)):
                        part = target.with_suffix(".part")
                        part.write_bytes(content.read(limit))
                        part.replace(target)
        finally:
            chunks.close()
        return size

    def remove(self, name: str) -> None:
        """Remove a volume. Never raises: what cannot be removed now is swept by a later run."""
        with contextlib.suppress(EngineUnavailable, EngineRefused), translate_errors():
            self._engine.client.remove_volume(name, force=True)

    def close(self) -> None:
        """Remove the volumes of this run and process, and those that are just created. Never raises."""
        self._is_closed = True
        context = self._context
        for name, _ in self._listed(f"{RUN_LABEL}={context.run_id}", f"{OWNER_LABEL}={context.owner}"):
            self.remove(name)

    def sweep(self, process: ProcessIdentity, now: float) -> None:
        """Remove the volumes that killed runs left behind. Never raises."""
        for name, volume in self._listed(OWNER_LABEL):
            created = now
            with contextlib.suppress(ValueError):
                created = datetime.fromisoformat(str(volume.get("CreatedAt"))).timestamp()
            if is_left_behind(volume, process, now, created):
                self.remove(name)

    def _listed(self, *labels: str) -> list[tuple[str, Mapping[str, Mapping[str, str]]]]:
        with contextlib.suppress(EngineUnavailable, EngineRefused), translate_errors():
            volumes = self._engine.client.volumes({"label": list(labels)}).get("Volumes") or ()
            return [(str(volume["Name"]), volume) for volume in volumes]
        return []


class _ChunkReader:
    """A file for :mod:`tarfile` that reads the chunks of a response."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def read(self, size: int) -> bytes:
        parts, missing = [], size
        while missing > 0:
            if not self._rest:
                with translate_errors():
                    self._rest = next(self._chunks, b"")
                if not self._rest:
                    break
            part, self._rest = self._rest[:missing], self._rest[missing:]
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)
