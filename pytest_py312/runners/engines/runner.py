"""The Docker runner with further engines: imports and suites run on all of them, everything else on its own."""

from pathlib import Path

from pytest_py312.core.errors import RunnerUnavailable
from pytest_py312.core.model.plan import Plan
from pytest_py312.runners.docker.errors import EngineRefused, EngineUnavailable
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
        try:
            self._further = FurtherEngines(
                plan.engines,
                own=self._engine,
                images=[plan.image_of(interpreter) for interpreter in plan.interpreters],
                context_of=self._context_of,
                folder=self._folder,
                closing=self._closing,
            )
        except (EngineUnavailable, EngineRefused) as error:
            super().close()
            raise RunnerUnavailable(str(error)) from error
        self._chooser = self._further.chooser(super()._run_in, parallel=parallel)

    def _run_in(self, image: str, job: ProbeJob) -> ProbeResult:
        # what a job with the network calls may be reachable from this machine only
        return self._chooser.run(image, job, only_own=job.network)

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
