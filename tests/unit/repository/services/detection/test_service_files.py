"""Which files of a service are for production."""

import pytest

from pytest_py312.repository.services.detection.service_files import is_production_dockerfile


@pytest.mark.parametrize(
    ("dockerfile", "expected"),
    [
        ("svc/Dockerfile", True),
        ("svc/docker/Dockerfile.web", True),
        ("svc/Dockerfile.template", True),
        ("svc/Dockerfile.test", False),
        ("svc/tests/Dockerfile", False),
        ("svc/svc/template/Dockerfile.simple", False),
        ("svc/templates/Dockerfile", False),
        ("templates/svc/Dockerfile", True),
    ],
)
def test_images_of_tests_tools_and_templates_are_not_for_production(dockerfile: str, expected: bool) -> None:
    """What a generator copies is for what it generates; only the path inside of the service counts."""
    service = "templates/svc" if dockerfile.startswith("templates/") else "svc"
    assert is_production_dockerfile(dockerfile, service) is expected
