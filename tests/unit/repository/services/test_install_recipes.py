"""Whose production an image is that installs several projects of the repository."""

from pathlib import Path

import pytest

from pytest_py312.repository.plan.loader import default_plan
from pytest_py312.repository.services.discovery import discover
from tests.support.fakes import service_tree

LIBRARY = (
    '[project]\nname = "shop-lib"\nversion = "1"\nrequires-python = ">=3.9"\n'
    '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
)
SERVER = (
    '[project]\nname = "server"\nversion = "1"\nrequires-python = ">=3.9"\ndependencies = ["shop-lib"]\n'
    '[tool.uv.sources]\nshop-lib = { path = "../lib" }\n'
)


@pytest.mark.parametrize(
    ("installed", "source"),
    [
        ("pip install /src/server /src/lib", ""),
        ("uv pip install --system /src/lib /src/server", ""),
        ("pip install /src/lib", "images/server/Dockerfile"),
    ],
)
def test_the_image_of_what_requires_a_library_is_not_that_of_the_library(
    tmp_path: Path, installed: str, source: str
) -> None:
    """The limits of the other project do not apply to the library."""
    image = f"FROM python:3.11-slim\nCOPY python/server /src/server\nCOPY python/lib /src/lib\nRUN {installed}\n"
    service_tree(
        tmp_path,
        {
            "images/server/Dockerfile": image,
            "python/server/pyproject.toml": SERVER,
            "python/server/server/app.py": "import shop_lib\n",
            "python/lib/pyproject.toml": LIBRARY,
            "python/lib/shop_lib/__init__.py": "",
            "python/lib/tests/test_lib.py": "def test_lib():\n    pass\n",
        },
    )
    services = {service.path: service for service in discover(default_plan(tmp_path)).services}
    recipe = services["python/lib"].recipe
    assert (recipe.source if recipe is not None else "") == source
