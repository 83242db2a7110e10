"""Choose the values of the matrix of a job that are for one service."""

import posixpath
import re
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from pytest_py312.repository.tree import join_path

if TYPE_CHECKING:
    from pytest_py312.repository.recipes.suites.workflow_jobs import WorkflowJob

_VERSION = re.compile(r"\d{1,6}(?:\.\d{1,6}){0,4}(?:\.\*)?", re.ASCII)


def chosen_value(values: Sequence[str], service_path: str, service_name: str) -> str:
    """Return the value of a matrix that names the service; otherwise the newest of versions, or the first.

    An older version of a library is an alternative, and no requirement of the service.
    """
    names = _names_of(service_path, service_name)
    named = next((value for value in values if value.strip("/") in names), None)
    if named is None:  # one of several words: the arguments of pytest
        named = next((value for value in values if any(_is_inside(word, names) for word in value.split())), None)
    if named is not None:
        return named
    versions = [value for value in values if _VERSION.fullmatch(value)]
    if len(versions) < len(values):
        return values[0]
    return max(versions, key=lambda value: [int(part) for part in value.removesuffix(".*").split(".")])


def computed_value(job: "WorkflowJob", key: str, service_path: str, service_name: str, folder: str) -> str:
    """Return the value of a computed key with which a path of the job is that of the service; empty if none is.

    ``./services/${{ matrix.service }}``: the services that a commit changes, by the names of their folders.
    """
    expression = rf"\$\{{\{{\s{{0,20}}matrix\.{re.escape(key)}\s{{0,20}}\}}\}}"
    named = re.compile(rf"(?<![\w./=<>~!-])(?P<start>[\w./-]{{0,200}}){expression}(?P<end>/?)", re.ASCII)
    matches = [match for step in job.steps for text in (step.text, step.folder) for match in named.finditer(text)]
    folders = [step.folder for step in job.steps]
    starts = {match["start"] for match in matches if "/" in match["start"] or match["end"] or match[0] in folders}
    for value in (service_path.rpartition("/")[2], service_name, service_path):
        if any(posixpath.normpath(join_path(folder, start + value)) == service_path for start in starts):
            return value
    return ""


def chosen_object(objects: Sequence[Mapping[str, str]], service_path: str, service_name: str) -> Mapping[str, str]:
    """Return the object of a matrix of which a value names the service, or the first."""
    names = _names_of(service_path, service_name)
    named = (
        item for item in objects if any(_is_inside(word, names) for value in item.values() for word in value.split())
    )
    return next(named, objects[0])


def values_for_service(job: "WorkflowJob", service_path: str, service_name: str) -> Mapping[str, Sequence[str]]:
    """Return the values of each key of a matrix; where added combinations name the service, those of these."""
    names = _names_of(service_path, service_name)
    named = [
        item
        for item in job.combinations
        if any(_is_inside(word, names) for value in item.values() for word in value.split())
    ]
    of_service: dict[str, dict[str, None]] = {}
    for key, value in (pair for item in named for pair in item.items()):
        of_service.setdefault(key, {})[value] = None
    return {**job.matrix, **{key: tuple(values) for key, values in of_service.items()}}


def _names_of(service_path: str, service_name: str) -> set[str]:
    return {service_path, service_name, service_path.rpartition("/")[2], f"./{service_path}"}


def _is_inside(word: str, names: Collection[str]) -> bool:
    return word.strip("/") in names or any(word.startswith(f"{name}/") for name in names)
