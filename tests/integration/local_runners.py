"""The runner that most integration tests use."""

from pathlib import Path
from uuid import uuid4

from uv import find_uv_bin

from pytest_py312.runners.local import LocalRunner


def local_runner(cache: Path, folder: Path | None = None) -> LocalRunner:
    """Return a runner with the interpreters of this machine, which downloads none.

    :param folder: parent of the run folder; default: the cache's folder.
    """
    run_folder = (folder or cache) / "run"
    return LocalRunner(
        cache=cache, uv=Path(find_uv_bin()), run_id=uuid4().hex, run_folder=run_folder, download_interpreters=False
    )
