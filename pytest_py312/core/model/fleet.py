"""The nouns of a repository: services, what they require and run, and the cells that are asked about."""

from dataclasses import dataclass

from pytest_py312.core.model.findings import Interpreter, Location
from pytest_py312.core.model.plan import Plan, ServiceSettings, Suite

# ---- the fleet: what was found in the tree


@dataclass(frozen=True, kw_only=True, slots=True)
class Declaration:
    """A place where a service says or uses a Python version.

    ``kind`` is one of ``image``, ``workflow``, ``metadata``, ``tool``, ``pin``; ``text`` what stands there, in its own
    words (``python:3.10-slim``, ``>=3.9,<3.11``). ``interpreter`` is set where it names exactly one minor.
    """

    kind: str
    text: str
    location: Location
    interpreter: Interpreter | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class RequirementSource:
    """Where requirements stand: a requirements file, or a table of a pyproject (``table``), or both of setup.cfg."""

    path: str
    table: str = ""

    def __str__(self) -> str:
        return f"{self.path} [{self.table}]" if self.table else self.path


@dataclass(frozen=True, kw_only=True, slots=True)
class Distribution:
    """A service that is itself a distribution.

    ``name`` and ``version`` are empty where only a build can tell. ``static`` is true where the metadata stands in
    the file and the code is pure Python: then it is laid into a cell without running its build.
    ``source_roots`` are the folders, relative to the service, that hold its importable code.
    """

    name: str
    version: str
    static: bool
    source_roots: tuple[str, ...]
    scripts: tuple[tuple[str, str], ...] = ()
    """Console scripts: (name, ``module:function``)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Program:
    """What a start command runs: a console script, or a module (``python -m NAME``)."""

    name: str
    is_module: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """A folder that is deployed on its own, with what discovery read from it. No code of it was run."""

    name: str
    path: str
    stage: int
    critical: bool
    baseline: Interpreter
    baseline_source: str
    """In words: where the baseline comes from (``deploy/docker/Dockerfile:3 says python:3.10-slim``)."""
    requirements: tuple[RequirementSource, ...]
    test_requirements: tuple[RequirementSource, ...]
    suite: Suite | None
    """``None``: no tests were found, or the plan says ``suite = false``."""
    settings: ServiceSettings
    python_path: tuple[str, ...] = ()
    """Folders, relative to the service, put on the path of its suite."""
    distribution: Distribution | None = None
    declarations: tuple[Declaration, ...] = ()
    manifest: str = ""
    """The file that best stands for the service in an editor, relative to the root (may be empty)."""
    further: tuple[RequirementSource, ...] = ()
    """Requirements files that neither run time nor tests take: each is judged as a set of its own."""
    inner: tuple[str, ...] = ()
    """Folders of other services beneath it, relative to the root: what lies in them is theirs."""
    programs: tuple[Program, ...] = ()
    """What its start commands (of images, processes, compose files) run, as far as that may be Python."""

    @property
    def images(self) -> tuple[Declaration, ...]:
        """The base images of its Dockerfiles."""
        return tuple(found for found in self.declarations if found.kind == "image")


@dataclass(frozen=True, kw_only=True, slots=True)
class Fleet:
    """All services, ordered by stage, then by path; and what had to be assumed about them, in sentences."""

    services: tuple[Service, ...]
    assumptions: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Service:
        for service in self.services:
            if service.name == name:
                return service
        raise KeyError(name)


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """One service on one interpreter."""

    service: Service
    interpreter: Interpreter

    @property
    def identifier(self) -> str:
        """``user-service-py3.12``."""
        return f"{self.service.name}-{self.interpreter.label}"

    @property
    def is_baseline(self) -> bool:
        return self.interpreter == self.service.baseline


def cells_of(plan: Plan, service: Service) -> tuple[Cell, ...]:
    """One cell for each interpreter of the plan from the service's baseline up to the target, both included.

    The baseline has its cell even where the plan does not list it: nothing can be called a regression without it.
    A service that is on the target, or past it, has one cell, the target.
    """
    if service.baseline >= plan.target:
        return (Cell(service=service, interpreter=plan.target),)
    between = {found for found in plan.interpreters if service.baseline <= found <= plan.target}
    wanted = sorted(between | {service.baseline, plan.target})
    return tuple(Cell(service=service, interpreter=interpreter) for interpreter in wanted)
