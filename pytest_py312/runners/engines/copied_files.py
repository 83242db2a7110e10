"""The files of a job on an engine that does not see this machine's: copied there, and its records copied back."""

import tarfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from pytest_py312.core.progress.hub import PROGRESS
from pytest_py312.runners.docker.cell_container import OUT_LIMIT
from pytest_py312.runners.docker.container_specs import (
    CACHE,
    HOME,
    OUT,
    RECORDS,
    SCRATCH,
    ContainerSpec,
    VolumeMount,
)
from pytest_py312.runners.docker.errors import EngineUnavailable
from pytest_py312.runners.engines.volumes import ArchiveEntry, EngineVolumes

FIRST_INTERVAL, LONGEST_INTERVAL = 2.0, 30.0
"""Seconds between two copies of a running job's records: at the beginning, and later."""
REQUEST = "request.json"


class CopiedFiles:
    """The :class:`~pytest_py312.runners.docker.cell_container.JobFiles` of one job, whose records belong into ``out``.

    The environment is in a volume that jobs share. What else the job reads is in a volume of its own, since it may
    change between two jobs. Both are mounted read-only; a third one is for what the job writes.
    """

    def __init__(self, volumes: EngineVolumes, out: Path) -> None:
        self._volumes = volumes
        self._out = out
        self._names: list[str] = []
        self._interval = FIRST_INTERVAL
        self._next_copy = 0.0
        self._size = 0

    def place(self, spec: ContainerSpec) -> ContainerSpec:
        """Copy what the job reads, and return ``spec`` with the volumes."""
        environments: list[VolumeMount] = []
        entries: list[ArchiveEntry] = []
        for mount in spec.mounts:
            if mount.writable:
                continue  # the folder for its records, which has a volume of its own
            if PurePosixPath(mount.target).is_relative_to(CACHE):
                with PROGRESS.activity("copying an environment to another engine"):
                    name = self._volumes.environment(mount.source, spec.image)
                environments.append(VolumeMount(target=mount.target, name=name))
            else:
                entries.append(ArchiveEntry(mount.source, _relative(mount.target)))
        # nothing can be mounted at a folder that a read-only volume lacks
        folders = [_relative(target) for target in (OUT, SCRATCH, *(volume.target for volume in environments))]
        request = ArchiveEntry(self._out / REQUEST, REQUEST)
        return replace(
            spec,
            mounts=(),
            volumes=(
                VolumeMount(target=str(HOME), name=self._own_volume(entries, spec.image, folders)),
                VolumeMount(target=OUT, name=self._own_volume([request], spec.image, writable=True), writable=True),
                *environments,
            ),
        )

    def _own_volume(
        self, entries: list[ArchiveEntry], image: str, folders: Sequence[str] = (), *, writable: bool = False
    ) -> str:
        name = self._volumes.copy(entries, image, folders, writable=writable)
        self._names.append(name)
        return name

    def written(self, container: str, *, ended: bool) -> int:
        """Copy the records back, each time after a longer pause, and return the bytes that the job has written."""
        if ended or time.monotonic() >= self._next_copy:
            target = self._out / PurePosixPath(RECORDS).name
            try:
                self._size = self._volumes.read_back(container, OUT, target, limit=OUT_LIMIT)
            except tarfile.TarError as error:
                if ended:
                    raise EngineUnavailable(f"what the Docker engine returned cannot be read ({error})") from error
            self._next_copy = time.monotonic() + self._interval
            self._interval = min(self._interval * 1.5, LONGEST_INTERVAL)
        return self._size

    def release(self) -> None:
        """Remove the volumes of this job."""
        for name in self._names:
            self._volumes.remove(name)


def _relative(target: str) -> str:
    return str(PurePosixPath(target).relative_to(HOME))
