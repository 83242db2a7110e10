"""A service's own images on one interpreter: as they are on the baseline, and with all its places moved elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass

from pytest_py312.core.concurrency import Once
from pytest_py312.core.model.fleet import Cell
from pytest_py312.core.model.plan import Plan
from pytest_py312.gate.fixes.version_changes import plan_moves
from pytest_py312.repository.edits.declarations import Aim
from pytest_py312.repository.services.images import (
    ImageJob,
    ImageProver,
    ImageRun,
    OwnImage,
    declares_health,
    own_images,
)
from pytest_py312.repository.services.version_survey import VersionSurvey
from pytest_py312.repository.tree import Tree
from pytest_py312.runners.runner import Runner


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageProofs:
    """Answers for a cell; what was asked before is known. Safe for several threads."""

    plan: Plan
    runner: Runner
    survey: VersionSurvey
    once: Once

    def of(self, cell: Cell) -> tuple[ImageRun, ...]:
        """What came of the images of the cell's service; none where it has none."""
        images = own_images(Tree(self.plan.root), cell.service, self.survey.own_files(cell.service))
        return tuple(self._of(cell, image) for image in images)

    def _of(self, cell: Cell, image: OwnImage) -> ImageRun:
        return self.once(f"image {cell.identifier} {image.dockerfile}", lambda: self._prove(cell, image))

    def _prove(self, cell: Cell, image: OwnImage) -> ImageRun:
        if not isinstance(self.runner, ImageProver):
            reason = f"--py312-build builds with the docker runner, and with the network; this is {self.runner.name}"
            return ImageRun(dockerfile=image.dockerfile, unchecked=reason)
        job = self._job(cell, image)
        if isinstance(job, str):
            return ImageRun(dockerfile=image.dockerfile, unchecked=job)
        return self.runner.prove_image(job)

    def startable(self, cell: Cell) -> ImageJob | str:
        """The first image of the cell's service that says when it is healthy, or why none can be started."""
        tree = Tree(self.plan.root)
        for image in own_images(tree, cell.service, self.survey.own_files(cell.service)):
            if declares_health(tree, image):
                return self._job(cell, image)
        return "no image of the service declares a health check"

    def _job(self, cell: Cell, image: OwnImage) -> ImageJob | str:
        changed, refused = self._changed(cell)
        if refused:
            return f"it cannot be moved: {refused}"
        return ImageJob(
            identifier=f"{cell.identifier}-image",
            root=self.plan.root,
            image=image,
            interpreter=cell.interpreter,
            changed=changed,
            memory_limit=cell.service.settings.memory_limit,
            network=cell.service.settings.network,
        )

    def _changed(self, cell: Cell) -> tuple[Mapping[str, bytes], str]:
        """The files of the service that hold something else once it is moved, or why it cannot be."""
        if cell.is_baseline:
            return {}, ""
        aims = {cell.service.name: Aim(baseline=cell.service.baseline, target=cell.interpreter)}
        moves = plan_moves(self.survey, self.plan.root, aims, [cell.service])
        refused = next((kept.reason for kept in moves.kept if kept.service), "")
        return {change.path: change.after for change in moves.changes}, refused
