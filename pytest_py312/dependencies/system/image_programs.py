"""Programs that commands of a Dockerfile run, and that the image of the target lacks or cannot run. Pure."""

from collections.abc import Iterator

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from pytest_py312.core.model.findings import Finding, Interpreter
from pytest_py312.core.model.fleet import Cell, InstallRecipe
from pytest_py312.repository.formats.image_reference import is_lambda_image

_LAMBDA_WITHOUT_YUM = Interpreter(3, 12)
_WITHOUT_SETUPTOOLS = Interpreter(3, 12)
"""Images and virtual environments have no setuptools from it on; https://docs.python.org/3/whatsnew/3.12.html#ensurepip"""
_RUNS_ALL_THE_SAME = frozenset({("pip", "23.1")})
"""Older versions that were tried and run there."""
_OLDEST_INSTALLERS = {
    # name: the Python that older versions do not run on, the first version that does
    "pip": (Interpreter(3, 12), "23.1.2"),  # it imports distutils, or its pkg_resources uses pkgutil.ImpImporter
    "pipenv": (Interpreter(3, 12), "2023.4.20"),  # the same
    "poetry": (Interpreter(3, 12), "1.2.0"),  # it imports six.moves from a copy of six that is too old
    "virtualenv": (Interpreter(3, 12), "20.21.1"),  # the pip that it puts into an environment does not run there
}
"""Each row was tried in an environment of 3.12 without setuptools, with the versions before and after."""


def missing_program_findings(cell: Cell) -> Iterator[Finding]:
    """Yield the commands of the recipe whose program is not there, or does not run, on the cell's interpreter."""
    recipe = cell.service.recipe
    if recipe is not None:
        yield from _missing_yum(cell, recipe)
        yield from _old_installers(cell, recipe)
        yield from _missing_easy_install(cell, recipe)


def images_of(cell: Cell, recipe: InstallRecipe) -> list[str]:
    """Return the images of Python that the file of a recipe names."""
    return [
        declaration.text
        for declaration in cell.service.declarations
        if declaration.kind == "image" and declaration.location.path == recipe.source
    ]


def _missing_yum(cell: Cell, recipe: InstallRecipe) -> Iterator[Finding]:
    """Yield a command that runs yum in an image of AWS Lambda, which has none from 3.12 on.

    These images are based on Amazon Linux 2 up to 3.11, and then on Amazon Linux 2023 with dnf:
    https://docs.aws.amazon.com/lambda/latest/dg/python-image.html
    """
    images = images_of(cell, recipe)
    steps = [step for step in recipe.steps if step.tool == "yum" and not step.conditional]
    is_changed = cell.service.baseline < _LAMBDA_WITHOUT_YUM <= cell.interpreter
    if is_changed and steps and images and all(map(is_lambda_image, images)):
        yield Finding(
            code="PY118",
            message=f"`yum` is not in the AWS Lambda image of {cell.interpreter}, which is Amazon Linux 2023",
            remedy="write `dnf` there, with the names that the packages have in Amazon Linux 2023",
            location=steps[0].location,
            names=("yum",),
        )


def _missing_easy_install(cell: Cell, recipe: InstallRecipe) -> Iterator[Finding]:
    """Yield an easy_install in an image of Python whose setuptools has it, which the one of 3.12 lacks."""
    images = images_of(cell, recipe)
    is_changed = cell.service.baseline < _WITHOUT_SETUPTOOLS <= cell.interpreter and bool(images)
    for number, step in enumerate(recipe.steps if is_changed else ()):
        earlier = (text for other in recipe.steps[:number] for text in (*other.arguments, *other.installers))
        if step.tool == "easy_install" and not any("setuptools" in text or "distribute" in text for text in earlier):
            yield Finding(
                code="PY118",
                message=f"`easy_install` is not in an image of Python {cell.interpreter}, which has no setuptools",
                remedy="install with pip there",
                location=step.location,
                names=("easy_install",),
            )


def _old_installers(cell: Cell, recipe: InstallRecipe) -> Iterator[Finding]:
    """Yield the pinned installers that do not run on the cell's interpreter, if a later command uses them."""
    for number, step in enumerate(recipe.steps):
        later_tools = {
            later.tool for later in recipe.steps[number + 1 :] if later.environment in ("", step.environment)
        }
        for text in step.installers if not step.conditional else ():
            name, specifiers = _parsed(text)
            refused_by, oldest = _OLDEST_INSTALLERS.get(name, (None, ""))
            if refused_by is None or name not in later_tools or not _is_older(name, specifiers, oldest):
                continue
            if cell.service.baseline < refused_by <= cell.interpreter:
                yield Finding(
                    code="PY118",
                    message=f"{text} does not run on {cell.interpreter}; {oldest} is the first that does",
                    remedy=f"install {name}=={oldest} or newer there",
                    location=step.location,
                    names=(name,),
                )


def _parsed(text: str) -> tuple[str, SpecifierSet]:
    try:
        requirement = Requirement(text)
    except InvalidRequirement:  # it has a variable
        return "", SpecifierSet()
    return canonicalize_name(requirement.name), requirement.specifier


def _is_older(name: str, specifiers: SpecifierSet, oldest: str) -> bool:
    """Return whether only versions before ``oldest`` fit."""
    first = Version(oldest)
    for specifier in specifiers:
        operator, text = specifier.operator, specifier.version
        if operator == "===":  # its version may be any text
            continue
        version = Version(text.removesuffix(".*"))
        if operator == "==" and not text.endswith(".*") and version < first:
            return (name, str(version)) not in _RUNS_ALL_THE_SAME
        fixed = version.release[:-1] if operator == "~=" else version.release if text.endswith(".*") else ()
        if fixed and fixed < first.release[: len(fixed)]:
            return True
        if (operator == "<" and version <= first) or (operator == "<=" and version < first):
            return True
    return False
