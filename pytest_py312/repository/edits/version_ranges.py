"""A range of Python versions that takes in the target, with as few characters changed as that takes. Pure text."""

import re

from packaging.version import InvalidVersion, Version

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.text_edits import EditRefused, Splice, spliced
from pytest_py312.repository.edits.specifiers import Clause, clauses_of
from pytest_py312.repository.formats.version_ranges import allows

_ONE = re.compile(r"(?P<operator>\^|~(?!=)|~=|===?|=)?(?P<space>\s*)(?P<version>3\.\d{1,2}(?:\.[\d*x]+)?)", re.ASCII)


def moved_range(text: str, *, baseline: Interpreter, target: Interpreter, close: bool = False) -> str:
    """``text`` with ``target`` in it; with ``close``, without what is older than it.

    The same text comes back where it says so already. PEP 440 and Poetry's words are both kept.

    :raises EditRefused: it cannot be said with the same words.
    """
    found = text if allows(text, target) else _widened(text, baseline, target, close=close)
    if close:
        found = _raised(found, target)
    kept = close or allows(found, baseline) or not allows(text, baseline)
    if not allows(found, target) or not kept:
        raise EditRefused(f'"{text[:80]}" shuts out {target}, and how to write what is meant instead is open.')
    return found


def _widened(text: str, baseline: Interpreter, target: Interpreter, *, close: bool) -> str:
    beyond = f"{target.major}.{target.minor + 1}"
    single = _ONE.fullmatch(text.strip())
    if single:
        return _of_one(text, single, baseline, target, close=close)
    clauses = clauses_of(text)
    if "|" in text or not clauses:
        raise EditRefused(f'"{text[:80]}" shuts out {target}; write by hand what is meant.')
    splices: list[Splice] = []
    for clause in clauses:
        past = clause.operator in ("<", "<=") and not _newer(clause, target)
        if past:
            splices.append(Splice(start=clause.operator_at[0], end=clause.operator_at[1], text="<"))
            splices.append(Splice(start=clause.version_at[0], end=clause.version_at[1], text=beyond))
    return spliced(text, splices)


def _of_one(text: str, single: re.Match[str], baseline: Interpreter, target: Interpreter, *, close: bool) -> str:
    """``~3.10``, ``3.10.*``, ``==3.10.*``: one minor, and with the target there are several."""
    lead = len(text) - len(text.lstrip())
    start, end = lead + single.start(), lead + single.end()
    if close:
        tail = re.sub(r"^3\.\d{1,2}", "", single["version"])
        new = (single["operator"] or "") + single["space"] + str(target) + (tail if tail in (".*", ".x") else "")
    else:
        oldest = min(baseline, Interpreter.parse(re.sub(r"\.[*x]$", "", single["version"])))
        new = f">={oldest},<{target.major}.{target.minor + 1}"
    return text[:start] + new + text[end:]


def _newer(clause: Clause, target: Interpreter) -> bool:
    """Whether an upper bound lies beyond all of the target."""
    try:
        release = Version(clause.version.removesuffix(".*")).release
    except InvalidVersion:
        return True
    return release[:2] > (target.major, target.minor)


def _raised(text: str, target: Interpreter) -> str:
    """Lower bounds below the target become the target."""

    def raised(match: re.Match[str]) -> str:
        older = int(match["minor"]) < target.minor
        return match["head"] + str(target) if older else match[0]

    return re.sub(
        r"(?P<head>(?:>=|\^|~=|~(?!=))\s*)3\.(?P<minor>\d{1,2})(?:\.\d+)?(?![\d.*])", raised, text, flags=re.ASCII
    )
