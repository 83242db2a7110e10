"""Describe install recipes: one line for each step, and their JSON document."""

from collections.abc import Iterator, Mapping
from typing import Any

from pytest_py312.core.model.fleet import InstallRecipe, InstallStep, LocalProject, Service


def recipe_lines(service: Service) -> Iterator[str]:
    """Yield the recipes of a service: a heading for each, and its steps with their places, indented."""
    for purpose, recipe in (("production", service.recipe), ("tests", service.test_recipe)):
        if recipe is None:
            continue
        yield f"{service.name}, {purpose}: {recipe.source}"
        for step in recipe.steps:
            yield f"  {step.location}  {describe_step(step)}"
        for limit in recipe.limits:
            yield f"  not followed: {limit}"


def describe_step(step: InstallStep) -> str:
    """Return what a step installs, similar to its command. Paths are relative to the root."""
    words = [step.tool]
    words += [f"-r {path}" for path in step.files]
    words += [f"-c {path}" for path in step.constraints]
    words += step.arguments
    words += [_describe_project(project) for project in step.projects]
    if step.project is not None:
        words.append(f"project {step.project}")
    words += [f"--extra {name}" for name in step.extras] + ["--all-extras"] * step.all_extras
    words += [f"--group {name}" for name in step.groups] + ["--all-groups"] * step.all_groups
    words += [f"--without {name}" for name in step.without]
    words += [f"--only {name}" for name in step.only]
    if step.project is not None and not step.default_groups:
        words.append("without default groups")
    words += step.flags
    words += [f"{option} {_without_password(value)}" for option, value in step.indexes]
    words += [f"--target {step.target}"] * bool(step.target) + [f"--prefix {step.prefix}"] * bool(step.prefix)
    words += [f"into {step.environment}"] * bool(step.environment)
    words += step.system_packages
    notes = ["under a condition"] * step.conditional
    notes += [f"cannot be determined: {', '.join(step.unresolved)}"] * bool(step.unresolved)
    notes += [f"not used: {', '.join(step.left_out)}"] * bool(step.left_out)
    return " ".join(words) + (f" ({'; '.join(notes)})" if notes else "")


def recipe_document(recipe: InstallRecipe | None) -> Mapping[str, Any] | None:
    """Return the recipe for a JSON document."""
    if recipe is None:
        return None
    return {
        "source": recipe.source,
        "steps": [_step_document(step) for step in recipe.steps],
        "limits": list(recipe.limits),
    }


def _step_document(step: InstallStep) -> Mapping[str, Any]:
    return {
        "tool": step.tool,
        "path": step.location.path,
        "line": step.location.line,
        "folder": step.folder,
        "files": list(step.files),
        "constraints": list(step.constraints),
        "arguments": list(step.arguments),
        "projects": [
            {"path": project.path, "extras": list(project.extras), "editable": project.editable}
            for project in step.projects
        ],
        "project": step.project,
        "extras": list(step.extras),
        "groups": list(step.groups),
        "without": list(step.without),
        "only": list(step.only),
        "all_extras": step.all_extras,
        "all_groups": step.all_groups,
        "default_groups": step.default_groups,
        "flags": list(step.flags),
        "target": step.target,
        "prefix": step.prefix,
        "indexes": [[option, _without_password(value)] for option, value in step.indexes],
        "system_packages": list(step.system_packages),
        "environment": step.environment,
        "conditional": step.conditional,
        "unresolved": list(step.unresolved),
        "left_out": list(step.left_out),
    }


def _describe_project(project: LocalProject) -> str:
    extras = f"[{','.join(project.extras)}]" if project.extras else ""
    return ("-e " if project.editable else "") + (f"./{project.path}{extras}" if project.path != "." else f".{extras}")


def _without_password(url: str) -> str:
    """Return an address without what stands in front of ``@`` in it."""
    scheme, separator, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path}" if separator else url
