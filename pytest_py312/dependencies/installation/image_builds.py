"""What cannot be compiled where the service runs: its image has no compiler, or a function none of the libraries."""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pytest_py312.core.model.findings import Finding
from pytest_py312.core.model.fleet import AWS_LAMBDA, Cell, InstallRecipe, InstallStep
from pytest_py312.core.text import join_names
from pytest_py312.dependencies.installation.installed_distributions import entries_of_production, requirement_of
from pytest_py312.dependencies.installation.result import Installation
from pytest_py312.dependencies.store.stored_distribution import StoredDistribution
from pytest_py312.dependencies.system.build_tools import NETWORK, MissingTool
from pytest_py312.dependencies.system.image_programs import images_of
from pytest_py312.dependencies.system.shared_libraries import linked_libraries
from pytest_py312.repository.formats.functions.serverless import LAMBDA_CODE, LAYER_CODE
from pytest_py312.repository.services.requirements.requirement_set import LocatedEntry
from pytest_py312.runners.probe_records import read_bounded

_WITHOUT_COMPILER = re.compile(
    r"(?:^|/)(?:python:\S*(?:slim|alpine)|(?:aws-)?lambda[/-]python\b|distroless/python)|:python3[.\d]*-(?:\w+-)?(?:slim|alpine)"
    r"|^(?:[\w-]+(?:\.[\w-]+)+(?::\d+)?/)?(?:docker/)?(?:library/)?"
    r"(?:alpine|debian|ubuntu|amazonlinux|fedora|almalinux|rockylinux)(?=[:@]|$)",
    re.ASCII,
)
"""Images that have no compiler: variants of those of Python (also ``uv:python3.12-bookworm-slim``), those of AWS Lambda
(``public.ecr.aws/lambda/python:3.10``), and those of Linux distributions, from any registry."""
_COMPILER = re.compile(
    r"(?:gcc|g\+\+|clang|gfortran|rustc|cargo)(?:[-.\d].*|-c\+\+)?|build-essential|build-base|alpine-sdk|musl-dev"
    r"|(?:lib)?python3?[\d.]*-(?:all-)?dev(?:el)?|@?\"?development[- ]tools\"?",
    re.IGNORECASE | re.ASCII,
)
"""Packages that are a compiler, or that nobody installs without one."""
_RECOMMENDS_COMPILER = frozenset({"cmake", "python3-pip"})
"""Packages of Debian with which apt installs a compiler, unless it is called with ``--no-install-recommends``."""
_OF_MACHINE = frozenset({NETWORK, "space on the disk", "git"})
"""What a build lacks here that says nothing about where the service is installed."""
_LIBRARY = re.compile(r"the (?:header|library) |.*[-_]config$|pkg-config$")
"""What a build lacks that is of a library, and no program of the build alone."""
_MODULE_LIMIT = 64 * 1024**2
"""Bytes of a compiled module that are read."""


def image_build_findings(
    cell: Cell,
    installation: Installation,
    baseline: Installation,
    entries: Sequence[LocatedEntry],
    builds_without_compiler: Callable[[StoredDistribution], bool],
) -> Iterator[Finding]:
    """Yield what was compiled on this machine, and not on the baseline, but cannot work where the service runs.

    An image without a compiler cannot build it, and the archive of a function has none of the libraries of the system
    that it is linked with. In the Docker runner nothing has to be concluded: there the build runs in such an image.
    """
    recipe = cell.service.recipe
    if recipe is None or installation.build is None or _runs_in_image(installation) or cell.is_baseline:
        return
    image, is_archive = _image_without_compiler(cell, recipe), _is_archive(recipe)
    if not image and not is_archive:
        return
    of_production = entries_of_production(cell, entries)
    for distribution in compiled_here(installation, baseline):
        required = requirement_of(distribution.name, of_production, installation.distributions)
        libraries = () if image else _linked_libraries(distribution)
        if required is None or not (image or libraries) or (image and builds_without_compiler(distribution)):
            continue
        lack = (
            f"a compiler, which the image ({image}) does not have; it was built on this machine"
            if image
            else f"{join_names(libraries)} of this machine, where it was built, and a function does not have that"
        )
        remedy = f"require a version of {distribution.name} that has a wheel for {cell.interpreter}"
        yield Finding(
            code="PY104",
            message=f"{distribution.name}=={distribution.version}: no wheel for {cell.interpreter}, and its source "
            f"needs {lack}",
            remedy=f"{remedy}, or install a compiler in {recipe.source}" if image else remedy,
            location=required.location,
            names=(distribution.name,),
        )


def lacking_build_findings(
    cell: Cell, installation: Installation, baseline: Installation, entries: Sequence[LocatedEntry]
) -> Iterator[Finding]:
    """Yield what has a wheel on the baseline only, and could be built neither here nor where the service runs.

    A build that lacks something of this machine proves nothing by itself. It does where an image without a compiler
    builds it, or where a function would need the library that is missing.
    """
    recipe, missing = cell.service.recipe, installation.missing
    if recipe is None or missing is None or missing.key in _OF_MACHINE or cell.is_baseline:
        return
    lack = _lack_of(cell, recipe, missing)
    wheels = {distribution.name for distribution in baseline.distributions if not distribution.from_source}
    of_production = entries_of_production(cell, entries)
    versions = installation.lock.versions if installation.lock is not None else {}
    for name in installation.unavailable if lack else ():
        required = requirement_of(name, of_production, baseline.distributions)
        if name not in wheels or required is None:
            continue
        remedy = f"require a version of {name} that has a wheel for {cell.interpreter}"
        yield Finding(
            code="PY104",
            message=f"{'=='.join(filter(None, (name, versions.get(name, ''))))}: no wheel for {cell.interpreter}, and "
            f"its source needs {lack}",
            remedy=f"{remedy}, or install what it needs in {recipe.source}",
            location=required.location,
            names=(name,),
        )


def _is_archive(recipe: InstallRecipe) -> bool:
    """Return whether something is installed into the archive of a function, or of a layer."""
    return any(step.target in (LAMBDA_CODE, LAYER_CODE) and step.tool != AWS_LAMBDA for step in recipe.steps)


def _lack_of(cell: Cell, recipe: InstallRecipe, missing: MissingTool) -> str:
    """Return what a build lacks where the service is installed, as here; empty if that is not known."""
    image = _image_without_compiler(cell, recipe)
    if image:
        return f"{missing.name} and a compiler, which the image ({image}) does not have"
    if _is_archive(recipe) and _LIBRARY.match(missing.name):
        return f"{missing.name}, of a library that a function does not have"
    return ""


def compiled_here(installation: Installation, baseline: Installation) -> Iterator[StoredDistribution]:
    """Yield the distributions that were compiled, and that the baseline has as wheels or does not need."""
    if not baseline.distributions:
        return
    built_before = {distribution.name for distribution in baseline.distributions if distribution.from_source}
    for distribution in installation.distributions:
        is_new = distribution.from_source and distribution.name not in built_before
        if is_new and any(_modules_of(distribution)):
            yield distribution


def is_built_in_image(cell: Cell, installation: Installation) -> bool:
    """Return whether the cell is in an image, or the image is known in which the service is installed."""
    recipe = cell.service.recipe
    return _runs_in_image(installation) or (recipe is not None and bool(images_of(cell, recipe)))


def _runs_in_image(installation: Installation) -> bool:
    return installation.build is not None and installation.build.origin.startswith("image ")


def _image_without_compiler(cell: Cell, recipe: InstallRecipe) -> str:
    """Return the image of the service if it has no compiler and gets none; empty if that is not known."""
    images = images_of(cell, recipe)
    if not all(map(_WITHOUT_COMPILER.search, images)) or any(map(_installs_compiler, recipe.steps)):
        return ""
    return images[0] if images else ""


def _installs_compiler(step: InstallStep) -> bool:
    names = {re.split(r"[=<>~:/]", text, maxsplit=1)[0] for text in step.system_packages}
    is_recommended = step.tool == "apt" and "--no-install-recommends" not in step.flags
    return any(map(_COMPILER.fullmatch, names)) or (is_recommended and not _RECOMMENDS_COMPILER.isdisjoint(names))


def _modules_of(distribution: StoredDistribution) -> Iterator[Path]:
    return distribution.folder.glob("lib/**/*.so")


def _linked_libraries(distribution: StoredDistribution) -> tuple[str, ...]:
    contents = (read_bounded(module, _MODULE_LIMIT) or b"" for module in _modules_of(distribution))
    own = {library.name for library in distribution.folder.glob("lib/**/*.so*")}
    names = dict.fromkeys(name for content in contents for name in linked_libraries(content))
    return tuple(name for name in names if name not in own)
