r'''Read the manifests of the corpus: what was found by hand about one repository, before the gate was asked.

One TOML file for each repository in ``repositories/``, named ``OWNER+NAME.toml``. The keys:

    [repository]
    url = "https://github.com/OWNER/NAME"
    commit = "40 hex digits"       # the tree that is judged, before the move
    baseline = "3.11"              # the Python on which it ran there
    target = "3.12"
    moved-by = ["40 hex digits"]   # the maintainers' commits of the move, oldest first
    kinds = ["tox"]                # what makes it special, in free words
    folders = ["samples/page"]     # of a huge repository: only these folders, and the files of the root
    drop-old-versions = true       # their commits end the support of older Pythons, so the gate is asked for that too
    complete = true                # every service is listed: any other that the gate reports is invented
    plan = """                     # what the gate asks for; used by --with-plan only
    [service."services/worker"]
    suite = false
    reason = "it has no tests"
    """

    [[service]]
    path = "services/api"
    verdict = "ready"              # or broken, not-checkable; no-service: a folder that is none
    reason = "one sentence: what proves it, or why nothing proves anything on one machine"
    commands = ["what was run"]

    [[service.culprit]]            # of a broken service, in the order in which an engineer would fix them
    kind = "requirement"           # or source, version, suite, build, lock
    name = "greenlet==1.1.2"
    place = "services/api/requirements.txt:12"
    reason = "no wheel for 3.12, and its source does not compile"
    remedy = "greenlet>=3.0"

    [[upstream.out-of-reach]]      # a place that the maintainers changed and that no tool can know
    place = "path or path:line"
    reason = "..."

``[[upstream.unrelated]]`` has places that their commits changed for another reason than the Python, and
``[[upstream.right]]`` places that only the gate changes, and rightly so.
'''

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TypeVar

from pytest_py312.core.errors import PlanError
from pytest_py312.core.model.findings import Interpreter
from pytest_py312.repository.plan.plan_file import read_plan_file
from pytest_py312.repository.plan.plan_node import PlanNode, describe_value, read_table
from pytest_py312.repository.plan.values import choice, interpreter

REPOSITORIES = Path(__file__).parent / "repositories"
EXAMPLE_COMMIT = '"6dcb09b5b57875f334f61aebed695e2e4193db5e"'

T = TypeVar("T")


class ManifestError(Exception):
    """A manifest that cannot be used; ``str()`` names the file, the line and what to write instead."""


class TrueVerdict(Enum):
    """The state of a folder on the target, found by hand."""

    READY = "ready"
    BROKEN = "broken"
    NOT_CHECKABLE = "not-checkable"
    """Nothing can be proven on one machine without configuration."""
    NO_SERVICE = "no-service"
    """The folder is no service, and must not be reported as one."""


class CulpritKind(Enum):
    """What a service breaks by."""

    REQUIREMENT = "requirement"
    SOURCE = "source"
    VERSION = "version"
    SUITE = "suite"
    BUILD = "build"
    LOCK = "lock"


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """A file, or a line of it. ``path`` may be a glob where a place is excused; empty if there is no single place."""

    path: str
    line: int | None = None

    def __str__(self) -> str:
        return f"{self.path}:{self.line}" if self.line else self.path

    def covers(self, path: str, *lines: int) -> bool:
        """Return whether a line of ``path`` (under one of its numbers, such as before and after) is meant."""
        return fnmatchcase(path, self.path) and (self.line is None or self.line in lines)


@dataclass(frozen=True, kw_only=True, slots=True)
class Culprit:
    """A cause for which a service breaks on the target. ``remedy`` is the smallest fix; empty if it is unknown."""

    kind: CulpritKind
    name: str
    place: Place
    reason: str
    remedy: str = ""

    def __str__(self) -> str:
        place = f" ({self.place})" if self.place.path else ""
        return f"{self.kind.value} {self.name}{place}"


@dataclass(frozen=True, kw_only=True, slots=True)
class TrueService:
    """The truth about one folder. ``path`` is relative to the root, which is ``.``."""

    path: str
    verdict: TrueVerdict
    reason: str
    commands: tuple[str, ...] = ()
    culprits: tuple[Culprit, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class ExcusedPlace:
    """A changed place that does not count in the comparison with the maintainers, and why."""

    place: Place
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """What is known of one repository."""

    name: str
    """``OWNER+NAME``, which is the name of its file and of its clone."""
    url: str
    commit: str
    baseline: Interpreter
    target: Interpreter
    moved_by: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    """The folders that are checked out, beside the files of the root; all if empty."""
    drop_old_versions: bool = False
    complete: bool = False
    plan: str = ""
    """Text of the plan for a run with one, without its target."""
    services: tuple[TrueService, ...] = ()
    out_of_reach: tuple[ExcusedPlace, ...] = ()
    unrelated: tuple[ExcusedPlace, ...] = ()
    right: tuple[ExcusedPlace, ...] = ()

    @property
    def label(self) -> str:
        """``OWNER/NAME``."""
        return self.name.replace("+", "/", 1)


def read_manifests(folder: Path = REPOSITORIES, only: str = "") -> Iterator[Manifest | ManifestError]:
    """Yield the manifests in ``folder`` by name; an error in place of one that cannot be used.

    :param only: a part of the name (``OWNER/NAME`` or ``OWNER+NAME``); all if empty.
    """
    for path in sorted(folder.glob("*.toml")):
        if only.replace("/", "+").lower() in path.stem.lower():
            try:
                yield read_manifest(path)
            except ManifestError as error:
                yield error


def read_manifest(path: Path) -> Manifest:
    """Read one manifest.

    :raises ManifestError: it cannot be used.
    """
    try:
        file = read_plan_file(path)
        top = read_table(
            PlanNode(file=file, key=(), value=file.table), ("repository", "service", "upstream"), "the file"
        )
        manifest = _read_repository(path.stem, top)
    except PlanError as error:
        raise ManifestError(str(error)) from None
    expected = manifest.url.removeprefix("https://github.com/").replace("/", "+")
    if manifest.url.startswith("https://github.com/") and expected != path.stem:
        raise ManifestError(f"{path.name}: is about {manifest.url}; name it {expected}.toml")
    return manifest


def _read_repository(name: str, top: dict[str, PlanNode]) -> Manifest:
    if "repository" not in top:
        raise PlanError(f"{name}.toml", "", "has no table [repository]")
    keys = (
        "url", "commit", "baseline", "target", "moved-by", "kinds", "folders", "drop-old-versions", "complete", "plan",
    )  # fmt: skip
    table = read_table(top["repository"], keys, "repository")
    required = _require(top["repository"], table, ("url", "commit", "baseline", "target"))
    baseline, target = interpreter(required["baseline"]), interpreter(required["target"])
    if target <= baseline:
        raise required["target"].error(f"is not newer than the baseline {baseline}")
    upstream_keys = ("out-of-reach", "unrelated", "right")
    upstream = read_table(top["upstream"], upstream_keys, "upstream") if "upstream" in top else {}
    excused = {key: _optional_list(upstream, key, _read_excused_place) for key in upstream_keys}
    services = _optional_list(top, "service", _read_service)
    paths = [service.path for service in services]
    for path in paths:
        if paths.count(path) > 1:
            raise top["service"].error(f'the service "{path}" stands here twice; remove one')
    return Manifest(
        name=name,
        url=required["url"].text('"https://github.com/OWNER/NAME"').removesuffix(".git").rstrip("/"),
        commit=_read_commit(required["commit"]),
        baseline=baseline,
        target=target,
        moved_by=_optional_list(table, "moved-by", _read_commit),
        kinds=_optional_list(table, "kinds", _read_text),
        folders=_optional_list(table, "folders", _read_path),
        drop_old_versions=table["drop-old-versions"].flag() if "drop-old-versions" in table else False,
        complete=table["complete"].flag() if "complete" in table else False,
        plan=table["plan"].text('"[service.api]"') if "plan" in table else "",
        services=services,
        out_of_reach=excused["out-of-reach"],
        unrelated=excused["unrelated"],
        right=excused["right"],
    )


def _read_service(node: PlanNode) -> TrueService:
    table = read_table(node, ("path", "verdict", "reason", "commands", "culprit"), "service")
    required = _require(node, table, ("path", "verdict", "reason"))
    verdict = TrueVerdict(choice(required["verdict"], [item.value for item in TrueVerdict]))
    culprits = _optional_list(table, "culprit", _read_culprit)
    if verdict is TrueVerdict.BROKEN and not culprits:
        raise required["verdict"].error("is broken and has no culprit; add a [[service.culprit]]")
    if verdict in (TrueVerdict.READY, TrueVerdict.NO_SERVICE) and culprits:
        raise table["culprit"].error(f"is about a service that is {verdict.value}; remove it, or write broken")
    return TrueService(
        path=_read_path(required["path"]),
        verdict=verdict,
        reason=_read_text(required["reason"]),
        commands=_optional_list(table, "commands", _read_text),
        culprits=culprits,
    )


def _read_culprit(node: PlanNode) -> Culprit:
    table = read_table(node, ("kind", "name", "place", "reason", "remedy"), "culprit")
    required = _require(node, table, ("kind", "name", "reason"))
    return Culprit(
        kind=CulpritKind(choice(required["kind"], [item.value for item in CulpritKind])),
        name=_read_text(required["name"]),
        place=_read_place(table["place"]) if "place" in table else Place(path=""),
        reason=_read_text(required["reason"]),
        remedy=_read_text(table["remedy"]) if table.get("remedy") and table["remedy"].value != "" else "",
    )


def _read_excused_place(node: PlanNode) -> ExcusedPlace:
    table = _require(node, read_table(node, ("place", "reason"), "place"), ("place", "reason"))
    return ExcusedPlace(place=_read_place(table["place"]), reason=_read_text(table["reason"]))


def _read_place(node: PlanNode) -> Place:
    text = node.text('"services/api/requirements.txt:12"')
    match = re.fullmatch(r"(?:\./)?(?P<path>.+?)(?::(?P<line>[1-9][0-9]{0,6}))?", text)
    if match is None:
        raise node.error(f'{describe_value(text)} is no place; write it such as "services/api/requirements.txt:12"')
    path = match["path"]
    if path.startswith("/") or ".." in path.split("/"):
        raise node.error(f"{describe_value(text)} leads out of the repository; write a path below its root")
    return Place(path=path, line=int(match["line"]) if match["line"] else None)


def _read_path(node: PlanNode) -> str:
    return _read_place(node).path.rstrip("/") or "."


def _read_commit(node: PlanNode) -> str:
    text = node.text(EXAMPLE_COMMIT)
    if not re.fullmatch("[0-9a-f]{40}", text):
        raise node.unexpected("the 40 hex digits of a commit", EXAMPLE_COMMIT)
    return text


def _read_text(node: PlanNode) -> str:
    return node.text('"a sentence"').strip()


def _optional_list(table: dict[str, PlanNode], key: str, read: Callable[[PlanNode], T]) -> tuple[T, ...]:
    """Read a list that may be missing or empty."""
    node = table.get(key)
    if node is None or node.value == []:
        return ()
    return tuple(read(item) for item in node.items("[...]"))


def _require(node: PlanNode, table: dict[str, PlanNode], keys: tuple[str, ...]) -> dict[str, PlanNode]:
    for key in keys:
        if key not in table:
            raise node.error(f"has no `{key}`; its value is found by hand")
    return table
