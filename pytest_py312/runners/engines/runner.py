"""The Docker runner with further engines: imports and suites run on all of them, everything else on its own."""

from pathlib import Path

from pytest_py312.core.model.plan import Plan
from pytest_py312.runners.docker.runner import DockerRunner
from pytest_py312.runners.engines.further import FurtherEngines
from pytest_py312.runners.runner import ProbeJob, ProbeResult


class SeveralEnginesRunner(DockerRunner):
    """A :class:`~pytest_py312.runners.docker.runner.DockerRunner` for a plan with ``engines``.

    :raises RunnerUnavailable: its own engine, which sees the files of this machine, cannot be used.
    """

    def __init__(
        self, *, plan: Plan, cache: Path, uv: Path, run_id: str, run_folder: Path, parallel: int = 2, **settings: Path
    ) -> None:
        super().__init__(
            plan=plan, cache=cache, uv=uv, run_id=run_id, run_folder=run_folder, parallel=parallel, **settings
        )
        self._further = FurtherEngines(
            plan.engines,
            own=self._engine.facts(),
            context_of=self._context_of,
            folder=self._folder,
            closing=self._closing,
        )
        self._chooser = self._further.chooser(super()._run_in, parallel=parallel)

    def _run_in(self, image: str, job: ProbeJob) -> ProbeResult:
        if job.network:  # what it calls may be reachable from this machine only
            return super()._run_in(image, job)
        return self._chooser.run(image, job)

    @property
    def further_cells(self) -> int:
        """See :class:`~pytest_py312.runners.runner.SupportsFurtherCells`."""
        return self._further.slots

    def notes(self) -> tuple[str, ...]:
        """See :class:`~pytest_py312.runners.runner.SupportsFurtherCells`."""
        return (*self._further.notes(), *self._chooser.notes())

    def close(self) -> None:
        """As in the base class, on all engines."""
        super().close()  # first, as it ends active jobs
        if "_chooser" in self.__dict__:
            self._further.close()
