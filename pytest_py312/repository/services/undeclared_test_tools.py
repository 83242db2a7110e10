"""Find what tests use to test, such as ``pyfakefs`` or the fixture ``mocker``, and nothing of the repository requires.

Developers have it installed, so a suite without it says nothing of a Python.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from packaging.requirements import InvalidRequirement, Requirement

from pytest_py312.core.model.fleet import RequirementSource, Service
from pytest_py312.core.model.plan import Plan, SuiteKind
from pytest_py312.core.text import join_names
from pytest_py312.repository.services.detection.unread_service import read_or_mark
from pytest_py312.repository.services.detection.working_folders import texts_of_tests
from pytest_py312.repository.services.requirements.requirement_set import read_requirement_set
from pytest_py312.repository.tree import Tree

_TOOLS: Mapping[str, str] = {
    "aioresponses": "aioresponses",
    "assertpy": "assertpy",
    "ddt": "ddt",
    "factory": "factory-boy",
    "faker": "faker",
    "fakeredis": "fakeredis",
    "freezegun": "freezegun",
    "httpretty": "httpretty",
    "hypothesis": "hypothesis",
    "model_bakery": "model-bakery",
    "mongomock": "mongomock",
    "moto": "moto",
    "parameterized": "parameterized",
    "pyfakefs": "pyfakefs",
    "pytest_mock": "pytest-mock",
    "requests_mock": "requests-mock",
    "responses": "responses",
    "respx": "respx",
    "testfixtures": "testfixtures",
    "time_machine": "time-machine",
    "vcr": "vcrpy",
}
"""Module -> the project, which is made for tests only."""
_PLUGINS: Mapping[str, str] = {
    r"\bpytest\.mark\.asyncio\b": "pytest-asyncio",
    r"\bpytest\.mark\.django_db\b": "pytest-django",
    r"^from (?:fastapi|starlette)\.testclient import\b": "httpx",
}
"""Pattern of a use -> the project."""
_FIXTURES: Mapping[str, str] = {"mocker": "pytest-mock", "requests_mock": "requests-mock", "httpx_mock": "pytest-httpx"}
_OLD_TEST_CLIENTS = {"fastapi": 115, "starlette": 41}
"""The minor of 0.x before which the test client calls what httpx has lost in 0.28.

https://github.com/encode/httpx/blob/master/CHANGELOG.md
"""
_NEWER_MINORS = 100
_IMPORT = re.compile(rf"^(?:import|from)[ \t]+(?P<module>{'|'.join(_TOOLS)})\b", re.MULTILINE)
_FIXTURE = re.compile(rf"^[ ]*(?:async )?def \w+\([^)]{{0,300}}\b(?P<name>{'|'.join(_FIXTURES)})\b", re.MULTILINE)
_DEFINED = re.compile(rf"^[ ]*def (?P<name>{'|'.join(_FIXTURES)})\(", re.MULTILINE)
_OPTIONAL = re.compile(r"importorskip\([\"'](?P<name>\w+)")
_PATTERNS = tuple((re.compile(pattern, re.MULTILINE), project) for pattern, project in _PLUGINS.items())


def with_test_tools(plan: Plan, tree: Tree, services: Sequence[Service]) -> tuple[list[Service], list[str]]:
    """Return ``services`` with the requirements that only their tests show, and what is assumed.

    Where a job of the repository installs what the tests need, or the plan says it, that is all that they have.
    """
    completed = [read_or_mark(service, lambda each: _with_tools(plan, tree, each)) for service in services]
    return completed, [
        f"{after.name} has tests that use {join_names([source.arguments[0] for source in added])}, which nothing "
        "requires: installed for them."
        for before, after in zip(services, completed, strict=True)
        if (added := after.test_requirements[len(before.test_requirements) :])
    ]


def _with_tools(plan: Plan, tree: Tree, service: Service) -> Service:
    settings = service.settings
    is_known = service.test_recipe is not None or settings.requirements is not None or settings.test_install is not None
    if service.suite is None or is_known or service.separate_tests:
        return service
    used: dict[str, RequirementSource] = {}
    for source in _tools_in_tests(tree, service):
        used.setdefault(source.arguments[0], source)
    if service.suite.kind is not SuiteKind.PYTEST:
        used = {name: source for name, source in used.items() if not name.startswith("pytest-")}
    if not used:
        return service
    entries = read_requirement_set(plan.root, (*service.requirements, *service.test_requirements)).entries
    names = {entry.name for entry in entries}
    if any(re.match(r"(?:fastapi|starlette)\[", entry.text) for entry in entries):
        names.add("httpx")  # of their extras
    missing = [source for name, source in used.items() if name not in names]
    limit = "<0.28" if any(_has_old_test_client(entry.text) for entry in entries) else ""
    added = tuple(
        replace(each, arguments=(f"httpx{limit}",)) if each.arguments == ("httpx",) else each for each in missing
    )
    return replace(service, test_requirements=(*service.test_requirements, *added))


def _has_old_test_client(requirement: str) -> bool:
    """Return whether a requirement allows only versions before those of ``_OLD_TEST_CLIENTS``."""
    try:
        parsed = Requirement(requirement)
    except InvalidRequirement:
        return False
    first = _OLD_TEST_CLIENTS.get(parsed.name.lower())
    newer = (f"0.{minor}" for minor in range(first, first + _NEWER_MINORS)) if first is not None else ()
    return first is not None and bool(parsed.specifier) and not any(map(parsed.specifier.contains, (*newer, "1.0")))


def _tools_in_tests(tree: Tree, service: Service) -> Iterator[RequirementSource]:
    texts = list(texts_of_tests(tree, service))
    defined = {match["name"] for _, text in texts for match in _DEFINED.finditer(text)}
    own = {name.partition("/")[0].removesuffix(".py") for name in tree.scan_folder(service.path, depth=1).files}
    for path, text in texts:
        optional = {match["name"] for match in _OPTIONAL.finditer(text)}
        modules = [match for match in _IMPORT.finditer(text) if match["module"] not in own | optional]
        fixtures = [match for match in _FIXTURE.finditer(text) if match["name"] not in defined]
        uses = [(match.start(), _TOOLS[match["module"]]) for match in modules]
        uses += [(match.start(), _FIXTURES[match["name"]]) for match in fixtures]
        uses += [(match.start(), project) for pattern, project in _PATTERNS if (match := pattern.search(text))]
        for start, project in uses:
            yield RequirementSource(path=path, line=text.count("\n", 0, start) + 1, arguments=(project,), assumed=True)
