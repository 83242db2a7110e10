"""What a service's images are built from on each side of the move, and who builds them."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pytest_py312.core.concurrency import Once
from pytest_py312.core.model.plan import Plan
from pytest_py312.gate.run.image_builds import ImageProofs
from pytest_py312.repository.services.images import ImageJob, ImageRun
from pytest_py312.repository.services.version_survey import VersionSurvey
from tests.support.fakes import FakeRunner, cell_of, service, service_tree

USER = service("user-service")
DOCKERFILE = f"{USER.path}/Dockerfile"


@dataclass(kw_only=True)
class FakeProver(FakeRunner):
    """A runner that builds nothing: ``orders`` are the jobs that it was given."""

    orders: list[ImageJob] = field(default_factory=list)

    def prove_image(self, job: ImageJob) -> ImageRun:
        self.orders.append(job)
        return ImageRun(dockerfile=job.image.dockerfile)


def proofs(root: Path, runner: FakeRunner, text: str) -> ImageProofs:
    service_tree(root, {DOCKERFILE: text, f"{USER.path}/requirements.txt": ""})
    survey = VersionSurvey(root, [USER])
    return ImageProofs(plan=Plan(root=root), runner=runner, survey=survey, once=Once(None))


@pytest.mark.parametrize("old", ["3.9", "3.10"])
def test_the_baseline_is_built_as_it_is_and_the_target_with_all_places_moved(old: str, tmp_path: Path) -> None:
    """In the order alone: the checkout stays as it is."""
    runner = FakeProver()
    text = f"FROM python:{old}-slim\nCOPY requirements.txt /\nRUN python{old} -V\n"
    found = proofs(tmp_path, runner, text)
    user = service("user-service", baseline=cell_of(old).interpreter)
    for version in (old, "3.12", "3.12"):
        assert found.of(cell_of(version, user)) == (ImageRun(dockerfile=DOCKERFILE),)
    moved = text.replace(old, "3.12").encode()
    assert [(str(order.interpreter), dict(order.changed)) for order in runner.orders] == [
        (old, {}),
        ("3.12", {DOCKERFILE: moved}),
    ]
    assert {order.image.context for order in runner.orders} == {USER.path}
    assert (tmp_path / DOCKERFILE).read_text() == text


def test_what_cannot_be_moved_is_not_built(tmp_path: Path) -> None:
    """On the target; the baseline is."""
    runner = FakeProver()
    found = proofs(tmp_path, runner, "FROM python:3.9-slim-buster\n")
    assert "slim-bullseye" in found.of(cell_of("3.12"))[0].unchecked
    assert found.of(cell_of("3.9"))[0].unchecked == ""
    assert [str(order.interpreter) for order in runner.orders] == ["3.9"]


def test_a_runner_that_builds_no_images_says_so(tmp_path: Path) -> None:
    """It could not be tried, which is no pass."""
    (run,) = proofs(tmp_path, FakeRunner(), "FROM python:3.9\n").of(cell_of("3.12"))
    assert run.unchecked.endswith("this is local")


def test_a_service_without_a_dockerfile_has_no_images(tmp_path: Path) -> None:
    """Nobody is asked."""
    runner = FakeProver()
    assert proofs(tmp_path, runner, "FROM nginx\n").of(cell_of("3.12")) == ()
    assert runner.orders == []
