"""What is installed for the suite's tools alone: that it runs on the target, the suite proves by running. Pure."""

import re
from collections.abc import Collection, Iterable, Mapping

from packaging.utils import canonicalize_name

from pytest_py312.demands import TOOLS
from pytest_py312.distributions import Entry
from pytest_py312.locks import NAME


def only_for_tools(entries: Iterable[Entry], required: Collection[str]) -> frozenset[str]:
    """The names of ``entries`` that pytest and its kin bring, and nothing else that is ``required``.

    Whether a requirement applies is not asked: rather too much counts as required by others.
    """
    asked = {entry.name: {found for line in entry.requires if (found := _name(line))} for entry in entries}
    others = {name: names for name, names in asked.items() if name not in TOOLS}  # a plugin requires its tool
    return frozenset(closure(TOOLS, asked) - closure(required, others))


def closure(start: Iterable[str], asked: Mapping[str, Collection[str]]) -> set[str]:
    """``start`` and all that it asks for, and so on, as far as they are among ``asked`` (project to projects)."""
    found: set[str] = set()
    pending = list(start)
    while pending:
        name = pending.pop()
        if name in asked and name not in found:
            found.add(name)
            pending += asked[name]
    return found


def _name(line: str) -> str:
    found = re.match(NAME, line)
    return canonicalize_name(found[1]) if found else ""
