"""Find who owns a service: what the plan says, else the file CODEOWNERS of the checkout."""

from collections.abc import Sequence
from dataclasses import replace

from pytest_py312.core.directories import checkout_root, path_in_checkout
from pytest_py312.core.model.fleet import Service
from pytest_py312.core.model.plan import Plan
from pytest_py312.repository.formats.codeowners import SIZE_LIMIT, OwnerRule, owning_rules, read_codeowners
from pytest_py312.repository.tree import Tree, UnreadableFile, join_path

CODEOWNERS_PATHS = (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS", ".gitlab/CODEOWNERS")
"""Where GitHub and GitLab look for the file; the first one counts."""
_ANY_FILE = "any file of the service"
"""Stands for a file in the folder of a service. Patterns of certain file names do not say who owns the service."""


def with_owners(plan: Plan, services: Sequence[Service]) -> list[Service]:
    """Return ``services`` with their owners, and the place that names them."""
    path, rules = _read_rules(plan)
    prefix = path_in_checkout(plan.root)
    return [_with_owners(plan, service, path, rules, prefix) for service in services]


def _with_owners(plan: Plan, service: Service, path: str, rules: Sequence[OwnerRule], prefix: str) -> Service:
    if service.settings.owner:
        return replace(service, owners=service.settings.owner, owners_source=plan.source or "the plan")
    matching = owning_rules(rules, f"{prefix}{join_path(service.path, _ANY_FILE)}") if rules else ()
    if not matching:
        return service
    owners = tuple(dict.fromkeys(owner for rule in matching for owner in rule.owners))
    return replace(service, owners=owners, owners_source=f"{path}:{matching[0].line}")


def _read_rules(plan: Plan) -> tuple[str, tuple[OwnerRule, ...]]:
    """Return the path of the file, relative to the checkout, and its rules."""
    tree = Tree(checkout_root(plan.root.resolve()))
    for path in CODEOWNERS_PATHS:
        if tree.is_file(path):
            try:
                return path, read_codeowners(tree.read(path, limit=SIZE_LIMIT))
            except UnreadableFile:
                return path, ()
    return "", ()
