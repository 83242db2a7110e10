"""Read a CODEOWNERS file of GitHub or GitLab. Pure; no text makes it raise.

https://docs.github.com/en/repositories/managing-your-repositorys-settings-and-features/customizing-your-repository/about-code-owners
and https://docs.gitlab.com/user/project/codeowners/reference/: the last matching line counts, in each section.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

SIZE_LIMIT = 3 * 1024 * 1024
"""GitHub's limit: it ignores a larger file."""
MAX_RULES = 10_000
_PATTERN_LENGTH = 500
_MAX_WILDCARDS = 8
"""Wildcards in one pattern: each multiplies the time that a match may take."""
_SECTION = re.compile(r"\^?\[(?P<name>[^\]]+)\](?:\[\d+\])?(?P<owners>(?:[ \t].*)?)", re.ASCII)
_WORDS = re.compile(r"(?:\\.|[^\s\\])+")
_COMMENT = re.compile(r"(?:^|(?<=\s))#.*")


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnerRule:
    """A line: what it matches, who owns that (nobody, if empty), and the section that it is in."""

    pattern: re.Pattern[str]
    owners: tuple[str, ...]
    line: int
    section: str


def read_codeowners(text: str) -> tuple[OwnerRule, ...]:
    """Return the rules of a file in their order."""
    rules: list[OwnerRule] = []
    section, default_owners = "", ()
    for number, raw_line in enumerate(text.splitlines()[: 10 * MAX_RULES], start=1):
        line = _COMMENT.sub("", raw_line).strip()
        heading = _SECTION.fullmatch(line)
        if heading is not None:
            section, default_owners = heading["name"].strip().lower(), tuple(heading["owners"].split())
            continue
        words = _WORDS.findall(line)
        if not words or not _is_usable(words[0]) or len(rules) >= MAX_RULES:
            continue
        owners = tuple(words[1:]) or default_owners
        rules.append(OwnerRule(pattern=_compile(words[0]), owners=owners, line=number, section=section))
    return tuple(rules)


def owning_rules(rules: Sequence[OwnerRule], path: str) -> tuple[OwnerRule, ...]:
    """Return the rule of each section that decides who owns a file; those that name nobody are left out."""
    last = {rule.section: rule for rule in rules if rule.pattern.fullmatch(path)}
    return tuple(rule for rule in last.values() if rule.owners)


def _is_usable(pattern: str) -> bool:
    wildcards = len(re.findall(r"\*+", pattern))
    return not pattern.startswith("!") and len(pattern) <= _PATTERN_LENGTH and wildcards <= _MAX_WILDCARDS


def _compile(pattern: str) -> re.Pattern[str]:
    """Translate a pattern, which is one of gitignore with two exceptions: no ``!`` and no ``[...]``.

    A pattern that ends in ``/*`` matches files in that folder, and not those below.
    """
    pattern = re.sub(r"\\(.)", r"\1", pattern)
    body = pattern.strip("/")
    anchored = pattern.startswith("/") or "/" in body
    parts = body.split("/") if body else []
    text = "" if anchored else "(?:.+/)?"
    for index, part in enumerate(parts):
        is_last = index == len(parts) - 1
        if part == "**":
            text += ".*" if is_last else "(?:.+/)?"
        else:
            text += "".join(
                {"*": "[^/]*", "?": "[^/]"}.get(char, re.escape(char)) for char in re.sub(r"\*+", "*", part)
            )
            text += "" if is_last else "/"
    if pattern.endswith("/") and body:
        return re.compile(f"{text}/.*", re.DOTALL)
    return re.compile(text if anchored and parts[-1:] in (["*"], ["**"]) else f"{text}(?:/.*)?", re.DOTALL)
