"""Read what the image of a service installs: which stage is its own, and what that says about the service."""

import posixpath
from collections.abc import Iterator, Sequence
from dataclasses import replace

from pytest_py312.core.model.findings import Location
from pytest_py312.core.model.fleet import InstallRecipe, InstallStep
from pytest_py312.repository.formats.dockerfile import (
    BuildStage,
    DockerfileText,
    is_stage_for_developers,
    read_dockerfile,
)
from pytest_py312.repository.formats.image_reference import is_lambda_image
from pytest_py312.repository.recipes.base_images import is_closed
from pytest_py312.repository.recipes.commands.code_generation import generations_of
from pytest_py312.repository.recipes.commands.file_map import (
    FileMap,
    build_contexts,
    find_build_context,
    resolve_path,
    sources_of_copy,
)
from pytest_py312.repository.recipes.commands.install_steps import installs_from
from pytest_py312.repository.recipes.image_stages import ImageReader, StageContent
from pytest_py312.repository.recipes.serverless_builds import LAMBDA_VARIABLES, lambda_step
from pytest_py312.repository.tree import Tree, join_path, lies_in

_BUILD_PROGRAM_LIMIT = 50
_EMPTY_FOLDER = "/tmp"
"""What a cell has in place of a folder that the image makes outside of the code, such as one for sockets."""


def read_dockerfile_recipe(
    tree: Tree, dockerfile: str, service_path: str, commands: Sequence[tuple[Location, Sequence[str]]] = ()
) -> InstallRecipe | None:
    """Return what the image of a Dockerfile installs; ``None`` if the file cannot be read or has no stage.

    :param commands: with which the image is started elsewhere, such as in compose files, and their places.
    """
    text = tree.read_or_none(dockerfile)
    parsed = read_dockerfile(text, dockerfile) if text is not None else None
    if text is None or parsed is None or parsed.final_stage is None:
        return None
    contexts = dict.fromkeys(
        (find_build_context(tree, service_path, parsed), *build_contexts(service_path, dockerfile))
    )
    recipes = []
    for context in contexts:
        built = _stage_of_service(parsed, context, service_path) or parsed.final_stage
        is_lambda = is_lambda_image(built.image)
        platform_steps = [lambda_step(Location(path=dockerfile, line=built.image_line))] * is_lambda
        reader = ImageReader(tree, text, parsed, context)
        stage = reader.stage(built)
        all_steps = tuple(dict.fromkeys((*stage.steps, *reader.steps_at_start(stage, built, commands))))
        own_steps = _of_one_environment(all_steps, service_path)
        steps = (*(_with_installer_of_stage(step, parsed) for step in own_steps), *platform_steps)
        python_path = tuple(filter(None, stage.environment.get("PYTHONPATH", "").split(":")))
        path = [resolve_path(folder, stage.folder) for folder in (".", *python_path)]
        code = (stage.files.find(folder) for folder in path)
        recipe = InstallRecipe(
            source=dockerfile,
            steps=steps,
            limits=tuple(dict.fromkeys(stage.limits)),
            generations=generations_of(stage.generators, stage.files, service_path),
            is_closed=is_closed(parsed, built, steps),
            build_programs=tuple(dict.fromkeys(stage.programs))[:_BUILD_PROGRAM_LIMIT],
            image_variables=tuple(_variables_of(stage, service_path)),
            python_path=python_path,
            packages=tuple(dict.fromkeys(_packages_in(stage.files, path))),
            code_folders=tuple(dict.fromkeys(folder for folder in code if folder and tree.is_folder(folder))),
            environment=LAMBDA_VARIABLES if is_lambda else (),
        )
        if recipe.is_complete:
            return recipe
        recipes.append(recipe)
    # `COPY . /app` fits every folder: the context is the one in which most of what is installed exists
    return min(recipes, key=lambda recipe: sum(len(step.unresolved) for step in recipe.steps) + len(recipe.limits))


def _stage_of_service(dockerfile: DockerfileText, context: str, service_path: str) -> BuildStage | None:
    """Return the stage with the service's code, where one Dockerfile has a target for each of several services.

    ``None`` if the stage of production has it, or if no stage that others neither build on nor copy from has it. Those
    for tests and for developers count as none.
    """
    places: dict[int, list[str]] = {}
    for stage in dockerfile.stages:
        instructions = dockerfile.instructions_of(stage)
        places[stage.index] = [join_path(context, source) for item in instructions for source in sources_of_copy(item)]

    final = dockerfile.final_stage
    of_final = [place for each in dockerfile.made_from(final) for place in places[each]] if final is not None else []
    may_have_it = any(lies_in(place, service_path) or lies_in(service_path, place) for place in of_final)
    if service_path == "." or "." in of_final or may_have_it:
        return None
    built = [stage for stage in dockerfile.stages if not is_stage_for_developers(stage.name)]
    used = {index for stage in built for index in dockerfile.sources_of(stage)}
    targets = (stage for stage in built if stage.index not in used)
    return next(
        (stage for stage in targets if any(lies_in(place, service_path) for place in places[stage.index])), None
    )


def _with_installer_of_stage(step: InstallStep, dockerfile: DockerfileText) -> InstallStep:
    """Return the step with dnf instead of yum if its stage is no image of AWS Lambda: other images keep yum."""
    if step.tool != "yum" or step.location.path != dockerfile.path:
        return step
    stages = [stage for stage in dockerfile.stages if stage.line <= (step.location.line or 0)]
    return step if stages and is_lambda_image(stages[-1].image) else replace(step, tool="dnf")


def _packages_in(files: FileMap, path: Sequence[str]) -> Iterator[str]:
    """Yield the folders that lie under their own name in a folder on the path of the image: ``COPY libs /app/libs``."""
    for mount in files.mounts:
        outer, name = posixpath.split(mount.destination)
        has_its_name = name.isidentifier() and posixpath.basename(mount.source) == name
        if outer in path and has_its_name and files.tree.is_folder(mount.source):
            yield mount.source


def _variables_of(stage: StageContent, service_path: str) -> Iterator[tuple[str, str]]:
    """Yield what ``ENV`` sets, with paths of the repository relative to the service. A folder that is made is empty."""
    for name, value in stage.environment.items():
        path = posixpath.normpath(value)
        source = stage.files.find(path) if path.startswith("/") and path != "/" else None
        if source is not None:
            yield name, posixpath.relpath(source, service_path)
        else:
            yield name, _EMPTY_FOLDER if path in stage.made_folders else value


def _of_one_environment(steps: tuple[InstallStep, ...], service_path: str) -> tuple[InstallStep, ...]:
    """Leave out the steps of other virtual environments than the one that has something of the service."""
    environment = next(
        (step.environment for step in steps if step.environment and installs_from(step, service_path)), ""
    )
    if not environment:
        return steps
    return tuple(step for step in steps if step.environment in ("", environment))
