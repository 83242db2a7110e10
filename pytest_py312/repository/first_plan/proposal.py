"""Propose a first plan for a repository: what discovery finds, in stages by who needs whom."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from pytest_py312.core.errors import Py312Error
from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.model.fleet import Fleet, Service
from pytest_py312.core.model.plan import Plan
from pytest_py312.core.text import join_names, pluralize
from pytest_py312.repository.first_plan.patterns import ServiceNames, escape, folder_patterns, name_services
from pytest_py312.repository.first_plan.plan_text import PlanContent, render_plan
from pytest_py312.repository.first_plan.service_links import ServiceLink, find_links
from pytest_py312.repository.first_plan.stages import Division, divide
from pytest_py312.repository.plan.loader import default_plan, plan_of
from pytest_py312.repository.plan.plan_file import PLAN_NAME, parse_plan_file
from pytest_py312.repository.services.detection.baseline import FALLBACK_SOURCE
from pytest_py312.repository.services.discovery import discover
from pytest_py312.repository.unchanging_tree import UnchangingTree

_SCAN_DEPTH = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class FirstPlan:
    """The text of a plan, what is in it, and sentences about what could not be determined."""

    text: str
    services: int
    stages: int
    questions: tuple[str, ...]


def propose_plan(root: Path, target: Interpreter, *, today: date) -> FirstPlan:
    """Return a first plan for the services below ``root``; the plan reader has read it, and finds the same services.

    :raises NoFleetError: there is no service.
    """
    base = default_plan(root)
    searched = replace(base, target=target, interpreters=_interpreters_to(target))
    fleet = discover(searched)
    tree = UnchangingTree(searched.root)
    names = name_services([(service.name, service.path) for service in fleet.services])
    named = [service for service in fleet.services if service.name in names.patterns]
    links = find_links(tree, named)
    division = divide(_in_order_of_risk(tree, named), _needs(links), names.inseparable)
    assumed = _assumed_baselines(fleet)
    content = PlanContent(
        target=target,
        interpreters=[one for one in searched.interpreters if one >= min(each.baseline for each in fleet.services)],
        folders=(),
        stages=[_sorted_stage(fleet, stage) for stage in division.stages],
        patterns=names.patterns,
        links=links,
        assumed=assumed,
        questions=tuple(_questions(fleet, names, links, division, assumed)),
    )
    paths = [service.path for service in fleet.services]
    for folders in (folder_patterns(tree, paths), tuple(map(escape, paths)), ()):
        text = render_plan(replace(content, folders=folders))
        if _reads_back(text, searched.root, fleet, content.stages, today):
            return FirstPlan(
                text=text, services=len(fleet.services), stages=len(content.stages), questions=tuple(content.questions)
            )
    raise Py312Error("internal error in pytest-py312, please report it: the proposed plan describes another fleet")


def _interpreters_to(target: Interpreter) -> tuple[Interpreter, ...]:
    oldest = min((one.minor for one in Plan(root=Path()).interpreters), default=target.minor)
    return tuple(Interpreter(target.major, minor) for minor in range(min(oldest, target.minor), target.minor + 1))


def _in_order_of_risk(tree: UnchangingTree, services: Sequence[Service]) -> list[str]:
    """Return the names of ``services``: those that prove most and are smallest first."""

    def risk(service: Service) -> tuple[bool, bool, int, str]:
        files = tree.scan_folder(service.path, depth=_SCAN_DEPTH).files
        modules = sum(name.endswith(".py") for name in files)
        return service.suite is None, service.baseline_source == FALLBACK_SOURCE, modules, service.path

    return [service.name for service in sorted(services, key=risk)]


def _needs(links: Sequence[ServiceLink]) -> dict[str, set[str]]:
    needs: dict[str, set[str]] = {}
    for link in links:
        needs.setdefault(link.service, set()).add(link.needed)
    return needs


def _sorted_stage(fleet: Fleet, names: Sequence[str]) -> list[Service]:
    return sorted((fleet[name] for name in names), key=lambda service: service.path)


def _assumed_baselines(fleet: Fleet) -> frozenset[str]:
    """Return the services of which no file says which Python they run on."""
    return frozenset(service.name for service in fleet.services if not service.baseline_is_declared)


def _questions(
    fleet: Fleet, names: ServiceNames, links: Sequence[ServiceLink], division: Division, assumed: frozenset[str]
) -> Iterator[str]:
    if assumed:
        yield f"the Python that {_listed(assumed)} runs on: no file says it, and the baseline is a guess"
    without_suite = [service.name for service in fleet.services if service.suite is None and not service.unread]
    if without_suite:
        yield f"the tests of {_listed(without_suite)}: none were found, so nothing of them is run"
    unread = [service.name for service in fleet.services if service.unread]
    if unread:
        yield f"anything of {_listed(unread)}, which could not be read: `py312 inventory` says why"
    if len(fleet.services) > 1:
        yield _question_about_links(links)
    for circle in division.circles:
        yield f"which of {_listed(circle)} moves first: they need each other, so they are in one stage"
    for group in names.inseparable:
        yield f"names that tell {_listed(group)} apart: one pattern matches all of them, so they are in one stage"
    if names.unnameable:
        yield f"a pattern that names {_listed(names.unnameable)}: no stage contains it"
    owned = all(service.owners for service in fleet.services)
    yield "which services are critical, and how they are deployed" + ("" if owned else "; who owns each of them")


def _question_about_links(links: Sequence[ServiceLink]) -> str:
    if not links:
        return "which services need which others: no file says it, so the stages only grow in size"
    found = pluralize(len(links), "need")
    return f"whether services need others beyond the {found} that files show: calls whose address is set elsewhere"


def _listed(names: Sequence[str] | frozenset[str]) -> str:
    return join_names(sorted(names))


def _reads_back(text: str, root: Path, fleet: Fleet, stages: Sequence[Sequence[Service]], today: date) -> bool:
    """Return whether the plan reader accepts the text, and finds the same services in the intended stages."""
    try:
        plan = plan_of(parse_plan_file(PLAN_NAME, text), root, today=today)
        again = discover(replace(plan, source=""))
    except Py312Error:
        return False
    numbers = {service.name: number for number, stage in enumerate(stages, start=1) for service in stage}
    no_stage = 0 if stages else 1  # without stages there is one of all services
    expected = {(one.name, one.path, one.baseline, numbers.get(one.name, no_stage)) for one in fleet.services}
    return expected == {(one.name, one.path, one.baseline, one.stage) for one in again.services}
