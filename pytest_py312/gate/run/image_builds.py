"""Build and check the own images of a service: unchanged on the baseline, migrated on other interpreters."""

from collections.abc import Mapping
from dataclasses import dataclass

from pytest_py312.core.concurrency import SingleFlight, Work
from pytest_py312.core.model.fleet import Cell
from pytest_py312.core.model.plan import Plan
from pytest_py312.core.progress.hub import PROGRESS
from pytest_py312.gate.fixes.version_changes import plan_migrations
from pytest_py312.repository.edits.declarations import MigrationTarget
from pytest_py312.repository.services.images import (
    ImageChecker,
    ImageCheckResult,
    ImageJob,
    ServiceImage,
    declares_health_check,
    service_images,
)
from pytest_py312.repository.services.version_survey import VersionSurvey
from pytest_py312.repository.tree import Tree
from pytest_py312.runners.runner import Runner

_IMAGE_BUILD: Work[ImageCheckResult] = Work("image")


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageBuilds:
    """Builder and checker of the images of a cell, once per run. Thread-safe."""

    plan: Plan
    runner: Runner
    survey: VersionSurvey
    single_flight: SingleFlight

    def results(self, cell: Cell) -> tuple[ImageCheckResult, ...]:
        """Return the results for the images of the service; none if it has no image."""
        images = service_images(Tree(self.plan.root), cell.service, self.survey.own_files(cell.service))
        return tuple(self._result(cell, image) for image in images)

    def _result(self, cell: Cell, image: ServiceImage) -> ImageCheckResult:
        return self.single_flight.run(
            _IMAGE_BUILD.of(cell.identifier, image.dockerfile), lambda: self._build(cell, image)
        )

    def _build(self, cell: Cell, image: ServiceImage) -> ImageCheckResult:
        if not isinstance(self.runner, ImageChecker):
            reason = f"--py312-images needs the docker runner and network access; this is the {self.runner.name} runner"
            return ImageCheckResult(dockerfile=image.dockerfile, unchecked=reason)
        job = self._image_job(cell, image)
        if isinstance(job, str):
            return ImageCheckResult(dockerfile=image.dockerfile, unchecked=job)
        with PROGRESS.activity("building the image of", cell.title):
            return self.runner.check_image(job)

    def startable_image(self, cell: Cell) -> ImageJob | str:
        """Return the first image of the service that declares a health check, or why none can be started."""
        tree = Tree(self.plan.root)
        for image in service_images(tree, cell.service, self.survey.own_files(cell.service)):
            if declares_health_check(tree, image):
                return self._image_job(cell, image)
        return "no image of the service declares a health check"

    def _image_job(self, cell: Cell, image: ServiceImage) -> ImageJob | str:
        migrated_files, refusal = self._migrated_files(cell)
        if refusal:
            return f"it cannot be migrated: {refusal}"
        return ImageJob(
            identifier=f"{cell.identifier}-image",
            root=self.plan.root,
            image=image,
            interpreter=cell.interpreter,
            changed=migrated_files,
            memory_limit=cell.service.settings.memory_limit,
            network=cell.service.settings.network,
        )

    def _migrated_files(self, cell: Cell) -> tuple[Mapping[str, bytes], str]:
        """Return the changed files of the migrated service, or why it cannot be migrated."""
        if cell.is_baseline:
            return {}, ""
        migrations = {cell.service.name: MigrationTarget(baseline=cell.service.baseline, target=cell.interpreter)}
        migration_plan = plan_migrations(self.survey, self.plan.root, migrations, [cell.service])
        refusal = next((unmigrated.reason for unmigrated in migration_plan.unmigrated if unmigrated.service), "")
        return {change.path: change.after for change in migration_plan.changes}, refusal
