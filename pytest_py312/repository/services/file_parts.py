"""Find the parts of a YAML file that may be for different services: jobs, services, functions, documents."""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

_YAML_KEY = re.compile(
    r"(?m)^(?P<indent>[ ]{0,40})(?P<dash>-[ ]{1,8})?[\"']?(?P<key>[\w./-][\w. /-]{0,100}?)[\"']?[ ]{0,8}:(?=[ \r\n]|\Z)"
)
_INCLUDED = re.compile(
    r"(?m)^(?P<indent>[ ]{1,40})include:[ ]*\r?\n(?P<items>(?:(?P=indent)(?:[ ]|-[ ])[^\r\n]*(?:\r?\n|\Z)|[ ]*\r?\n)+)"
)
_COMBINATION = re.compile(r"(?m)^(?P<indent>[ ]{1,60})-[ ]")
_DOCUMENT_START = re.compile(r"(?m)^---(?:[ \t].*)?$")
_PART_CONTAINER_KEYS = frozenset({"jobs", "services", "tasks", "Resources"})
_GITLAB_NON_JOB_KEYS = frozenset(
    {"default", "variables", "include", "stages", "workflow", "image", "services", "cache", "pages"}
)


def yaml_parts(text: str, path: str) -> Iterator[tuple[int, int, str]]:
    """Yield (start, end, key) of each job, each service of a compose file, or each of several documents."""
    documents = [match.start() for match in _DOCUMENT_START.finditer(text)]
    if len(documents) > 1 or (documents and text[: documents[0]].strip()):
        bounds = [0, *(position for position in documents if position), len(text)]
        yield from ((start, end, "") for start, end in pairwise(bounds))
        return
    keys = list(_YAML_KEY.finditer(text))
    top = [match for match in keys if not match["indent"] and not match["dash"]]
    gitlab = "gitlab" in path.rpartition("/")[2] or "/.gitlab/" in f"/{path}"
    for number, match in enumerate(top):
        end = top[number + 1].start() if number + 1 < len(top) else len(text)
        if gitlab and match["key"] not in _GITLAB_NON_JOB_KEYS:
            yield match.start(), end, match["key"]
        elif _is_part_container(match["key"], path) and not gitlab:
            yield from _child_parts([key for key in keys if match.end() <= key.start() < end], end)


def matrix_combinations(text: str, jobs: Sequence[tuple[int, int, str]]) -> Iterator[tuple[int, int]]:
    """Yield (start, end) of each combination that a matrix of a job includes: each may be for another service."""
    for start, end, _ in jobs:
        for match in _INCLUDED.finditer(text, start, end):
            items = list(_COMBINATION.finditer(text, match.start("items"), match.end("items")))
            first = items[0]["indent"] if items else ""
            starts = [item.start() for item in items if item["indent"] == first]
            yield from pairwise((*starts, match.end("items")))


def _is_part_container(key: str, path: str) -> bool:
    is_serverless = path.rpartition("/")[2].startswith("serverless")
    return key in _PART_CONTAINER_KEYS or (key == "functions" and is_serverless)


def _child_parts(keys: list[re.Match[str]], end: int) -> Iterator[tuple[int, int, str]]:
    if not keys:
        return
    indent = len(keys[0]["indent"])
    siblings = [key for key in keys if len(key["indent"]) == indent and bool(key["dash"]) == bool(keys[0]["dash"])]
    for number, key in enumerate(siblings):
        yield (
            key.start(),
            siblings[number + 1].start() if number + 1 < len(siblings) else end,
            "" if key["dash"] else key["key"],
        )
