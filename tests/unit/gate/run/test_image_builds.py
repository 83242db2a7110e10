"""The files from which images are built on baseline and target, and the runner that builds them."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pytest_py312.core.concurrency import SingleFlight
from pytest_py312.core.model.plan import Plan
from pytest_py312.gate.run.image_builds import ImageBuilds
from pytest_py312.repository.services.images import ImageCheckResult, ImageJob
from pytest_py312.repository.services.version_survey import VersionSurvey
from tests.support.fakes import FakeRunner, cell_of, service, service_tree

USER = service("user-service")
DOCKERFILE = f"{USER.path}/Dockerfile"


@dataclass(kw_only=True)
class FakeImageRunner(FakeRunner):
    """A runner that builds nothing; ``orders`` are the jobs that it got."""

    orders: list[ImageJob] = field(default_factory=list)

    def check_image(self, job: ImageJob) -> ImageCheckResult:
        self.orders.append(job)
        return ImageCheckResult(dockerfile=job.image.dockerfile)


def proofs(root: Path, runner: FakeRunner, text: str) -> ImageBuilds:
    service_tree(root, {DOCKERFILE: text, f"{USER.path}/requirements.txt": ""})
    survey = VersionSurvey(root, [USER])
    return ImageBuilds(plan=Plan(root=root), runner=runner, survey=survey, single_flight=SingleFlight(None))


@pytest.mark.parametrize("old", ["3.9", "3.10"])
def test_the_baseline_is_built_unchanged_and_the_target_migrated(old: str, tmp_path: Path) -> None:
    """Only in the job: the checkout is not changed."""
    runner = FakeImageRunner()
    text = f"FROM python:{old}-slim\nCOPY requirements.txt /\nRUN python{old} -V\n"
    found = proofs(tmp_path, runner, text)
    user = service("user-service", baseline=cell_of(old).interpreter)
    for version in (old, "3.12", "3.12"):
        assert found.results(cell_of(version, user)) == (ImageCheckResult(dockerfile=DOCKERFILE),)
    moved = text.replace(old, "3.12").encode()
    assert [(str(order.interpreter), dict(order.changed)) for order in runner.orders] == [
        (old, {}),
        ("3.12", {DOCKERFILE: moved}),
    ]
    assert {order.image.context for order in runner.orders} == {USER.path}
    assert (tmp_path / DOCKERFILE).read_text() == text


def test_an_image_that_cannot_be_migrated_is_not_built(tmp_path: Path) -> None:
    """On the target; on the baseline it is."""
    runner = FakeImageRunner()
    found = proofs(tmp_path, runner, "FROM python:3.9-slim-buster\n")
    assert "slim-bullseye" in found.results(cell_of("3.12"))[0].unchecked
    assert found.results(cell_of("3.9"))[0].unchecked == ""
    assert [str(order.interpreter) for order in runner.orders] == ["3.9"]


def test_a_runner_that_builds_no_images_says_so(tmp_path: Path) -> None:
    """The result is unchecked, which does not pass."""
    (run,) = proofs(tmp_path, FakeRunner(), "FROM python:3.9\n").results(cell_of("3.12"))
    assert run.unchecked.endswith("this is the local runner")


def test_a_service_without_a_dockerfile_has_no_images(tmp_path: Path) -> None:
    """No runner is needed."""
    runner = FakeImageRunner()
    assert proofs(tmp_path, runner, "FROM nginx\n").results(cell_of("3.12")) == ()
    assert runner.orders == []
