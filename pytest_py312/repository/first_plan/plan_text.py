"""Write a first plan as TOML with comments. Pure."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.model.fleet import Service
from pytest_py312.core.text import escape_control, pluralize, shorten
from pytest_py312.repository.first_plan.service_links import ServiceLink

_COMMENT_LENGTH = 220


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanContent:
    """What a first plan says. ``stages`` are lists of services, and ``patterns`` how the plan names them.

    ``folders`` are the patterns of ``services``; empty: they are detected, as without a plan. ``assumed`` are the names
    of the services of which no file says their baseline. ``questions`` are sentences about what could not be
    determined.
    """

    target: Interpreter
    interpreters: Sequence[Interpreter]
    folders: Sequence[str]
    stages: Sequence[Sequence[Service]]
    patterns: Mapping[str, str]
    links: Sequence[ServiceLink]
    assumed: frozenset[str]
    questions: Sequence[str]


def render_plan(content: PlanContent) -> str:
    """Return the text of the plan file."""
    lines = [*_heading(content), *_top_keys(content)]
    for number, stage in enumerate(content.stages, start=1):
        lines += ["", *_stage(content, number, stage)]
    lines += _baselines(content)
    lines += ["", *_DEPLOYMENT]
    return "\n".join(lines) + "\n"


_DEPLOYMENT = (
    "# How services are deployed and watched is not set, so `py312 deploy` does nothing yet. For example:",
    "# [deploy]",
    '# image = "registry/{service}:py{version}"',
    '# health = "/health"',
    "# [soak]",
    '# duration = "48h"',
)


def _heading(content: PlanContent) -> Iterator[str]:
    yield f"# The plan of the move to Python {content.target}, written by `py312 init` from the repository's files."
    yield "# Check what it says, change it where it is wrong, and commit it."
    if content.questions:
        yield "#"
        yield "# What the files do not say, and has to be checked by hand:"
        yield from (f"# - {_comment_text(question)}" for question in content.questions)
    yield ""


def _top_keys(content: PlanContent) -> Iterator[str]:
    yield f"target = {_string(str(content.target))}"
    yield "# from the oldest Python that a service runs on"
    yield f"interpreters = [{', '.join(_string(str(interpreter)) for interpreter in content.interpreters)}]"
    yield "# missing Pythons may be downloaded (by uv)"
    yield "# fetch-interpreters = true"
    if content.folders:
        yield "# the folders that are services; others are not checked"
        yield "services = ["
        yield from (f"  {_string(pattern)}," for pattern in content.folders)
        yield "]"
    else:
        yield "# services are detected by what is in their folders; `services` would name them"


def _stage(content: PlanContent, number: int, stage: Sequence[Service]) -> Iterator[str]:
    names = {service.name for service in stage}
    outside = [link for link in content.links if link.service in names and link.needed not in names]
    for link in outside[:10]:
        yield f"# {_comment_text(f'{link.service} needs {link.needed}: {link.evidence}')}"
    if len(outside) > 10:
        yield f"# and {pluralize(len(outside) - 10, 'further need')}"
    yield "[[stage]]"
    yield f"number = {number}"
    yield f"name = {_string(_stage_name(content, number, names))}"
    yield "services = ["
    for service in stage:
        origin = "assumed" if service.name in content.assumed else service.baseline_source
        note = _comment_text(f"{service.baseline}: {origin}{'' if service.suite else '; no tests were found'}")
        yield f"  {_string(content.patterns[service.name])},  # {note}"
    yield "]"
    if number == 1:
        yield "# a severe fault of a critical service rolls it back, one of another service only holds it"
        yield "# critical = true"


def _stage_name(content: PlanContent, number: int, names: set[str]) -> str:
    is_needed = any(link.needed in names and link.service not in names for link in content.links)
    if number == 1:
        return "Needed by others" if is_needed else "First"
    return "Last" if number == len(content.stages) else f"Wave {number}"


def _baselines(content: PlanContent) -> Iterator[str]:
    assumed = [service for stage in content.stages for service in stage if service.name in content.assumed]
    if assumed:
        yield ""
        yield "# No file says which Python these run on. Remove the # where the version is right, or correct it."
    for service in assumed:
        yield f"# [service.{_string(content.patterns[service.name])}]"
        yield f"# baseline = {_string(str(service.baseline))}"


def _string(text: str) -> str:
    """Return ``text`` as a string of TOML, whose escapes are those of JSON, and one more."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _comment_text(text: str) -> str:
    return shorten(escape_control(text), _COMMENT_LENGTH)
