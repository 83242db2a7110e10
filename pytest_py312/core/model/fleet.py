"""Services, their requirements, and the cells to be checked."""

import re
from collections.abc import Collection
from dataclasses import dataclass, field

from pytest_py312.core.model.findings import Interpreter, Location
from pytest_py312.core.model.plan import FurtherTest, Plan, ServiceSettings, Suite

AWS_LAMBDA = "AWS Lambda"
GOOGLE_FUNCTIONS = "Google Cloud Functions"
PLATFORMS = (AWS_LAMBDA, GOOGLE_FUNCTIONS)
"""What runs functions, and has packages of its own: in place of the tool of an install step."""
DJANGO_COMMANDS = ".management.commands."
"""What is in the name of a module with a command of Django, which needs its settings."""
_SITE_FOLDER = re.compile(r"/lib/python3[.]?\d*/(?:site|dist)-packages/?$")

# ---- the fleet: what discovery has read from the repository


@dataclass(frozen=True, kw_only=True, slots=True)
class Declaration:
    """A place where a service declares or uses a Python version.

    ``kind`` is one of ``image``, ``workflow``, ``metadata``, ``tool``, ``pin``; ``text`` is the declaration as written
    (``python:3.10-slim``, ``>=3.9,<3.11``). ``interpreter`` is set if it names exactly one minor version.
    """

    kind: str
    text: str
    location: Location
    interpreter: Interpreter | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class InstallSettings:
    """The options of a command that hold for everything that it installs.

    ``options`` are those that a requirements file could have (``--index-url``, ``--pre``, ``--no-binary``), with their
    values; a folder in them is relative to the root. ``by_uv``: uv and not pip chooses among several indexes.
    ``upgrade``: what it names is upgraded, also if an environment comes with an older version. ``provided``: the
    platform has it installed, and what the service installs is kept beside it.
    """

    no_deps: bool = False
    options: tuple[tuple[str, str], ...] = ()
    by_uv: bool = False
    upgrade: bool = False
    provided: bool = False
    image_folders: tuple[tuple[str, str], ...] = field(default=(), compare=False)
    """Absolute paths of the image in which the command runs, and the folders of the repository that lie there."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RequirementSource:
    """A source of requirements: a requirements file, a lock file (of a service that has only that), a ``table`` (of a
    ``pyproject.toml``, ``setup.cfg``, ``setup.py`` or ``Pipfile``), or a command.

    A command has its ``arguments`` and ``line``. ``folder`` is where pip is run, relative to the root: local paths in
    a requirements file start there. ``None``: it is not known. ``constraints``: the file only restricts versions.
    ``settings`` are those of the command that installs it, if it is known. ``uninstalled``: nothing is known to install
    it where the service or its tests run. ``unlocked``: it is installed without the lock file beside it: by pip, or
    where the image has none.
    """

    path: str
    table: str = ""
    arguments: tuple[str, ...] = ()
    line: int | None = None
    folder: str | None = None
    constraints: bool = False
    settings: InstallSettings = InstallSettings()
    step: int = 0
    """The position, from 1, of the command among those that install; 0: no command is known."""
    uninstalled: bool = False
    unlocked: bool = False
    assumed: bool = False
    """Nothing requires it: tests use it, so it is installed for them."""

    def __str__(self) -> str:
        if self.settings.provided:
            return f"{self.path}:{self.line} (provided)"
        if self.arguments:
            return f"{self.path}:{self.line} ({' '.join(self.arguments)})"
        return f"{self.path} [{self.table}]" if self.table else self.path


@dataclass(frozen=True, kw_only=True, slots=True)
class LocalProject:
    """A folder or archive of the repository that is installed; ``path`` is relative to the root."""

    path: str
    extras: tuple[str, ...] = ()
    editable: bool = False
    by_own_setuptools: bool = False
    """Whether the setuptools of the environment builds it: ``--no-build-isolation``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class InstallStep:
    """One command that installs: what it installs, and the place that says so.

    ``tool`` is pip, ``uv pip``, pip-sync, uv, poetry, pdm, pipenv, hatch, conda, ``setup.py``, one for packages of the
    system (apt, apk, dnf, yum), or the platform of a function, which provides the ``arguments``. Files, constraints,
    ``folder`` (where it runs) and ``project`` (whose dependencies it installs) are paths relative to the root;
    ``folder`` is ``None`` outside of the repository.
    """

    tool: str
    location: Location
    folder: str | None = None
    files: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    """Requirements on the command line."""
    projects: tuple[LocalProject, ...] = ()
    project: str | None = None
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    """Groups that are left out."""
    only: tuple[str, ...] = ()
    """If not empty, only these groups are installed."""
    all_extras: bool = False
    all_groups: bool = False
    default_groups: bool = True
    """Whether the groups are installed that the tool installs by default."""
    flags: tuple[str, ...] = ()
    """Options that change what is installed: ``--no-deps``, ``--require-hashes``."""
    target: str = ""
    """The folder of ``--target``, in the image or on the machine."""
    prefix: str = ""
    """The folder of ``--prefix`` or ``--root``."""
    indexes: tuple[tuple[str, str], ...] = ()
    """Options for indexes, and their values."""
    system_packages: tuple[str, ...] = ()
    installers: tuple[str, ...] = ()
    """Programs that install others, with limits of their versions (``pip==20.3.4``), or that bring setuptools along.

    They are no requirements.
    """
    environment: str = ""
    """The virtual environment whose program is named by its path; empty: the one that is active."""
    conditional: bool = False
    """Whether it runs under a condition that cannot be evaluated."""
    exported: bool = False
    """Whether it only writes the file from which another installer installs."""
    without_project: bool = False
    """Whether only what the project requires is installed, and not the project."""
    unlocked: bool = False
    """Whether the lock file of the project is not where it runs, so that the newest versions are installed."""
    image_folders: tuple[tuple[str, str], ...] = field(default=(), compare=False)
    """Absolute paths where it runs, and the folders of the repository that lie there."""
    unresolved: tuple[str, ...] = ()
    """What of it could not be determined: files that are not in the repository, variables without a value."""
    left_out: tuple[str, ...] = ()
    """Options that cannot be followed, such as an index whose address has an unknown part."""
    unknown_program: str = ""
    """What installs it, if that is a program of which nothing is known, such as a script of the repository."""

    @property
    def is_for_python(self) -> bool:
        """Whether it installs Python distributions, and not only packages of the system."""
        return bool(self.files or self.arguments or self.projects or self.project is not None or self.unresolved)


@dataclass(frozen=True, kw_only=True, slots=True)
class CodeGeneration:
    """A command that writes modules into a service which the repository does not have, such as those of protoc.

    Its ``words`` and ``outputs`` (folders that it writes to) are relative to the service, the ``folders`` that it reads
    to the root.
    """

    words: tuple[str, ...]
    outputs: tuple[str, ...]
    folders: tuple[str, ...]
    location: Location


@dataclass(frozen=True, kw_only=True, slots=True)
class InstallRecipe:
    """What installs a service, as ordered steps. ``source`` is the file that they start in.

    ``limits`` are sentences about what could not be followed: then the recipe may be incomplete.
    """

    source: str
    line: int = 0
    """A line of ``source`` in the job or target that it is the recipe of; 0 if there is none."""
    steps: tuple[InstallStep, ...] = ()
    limits: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    """The variables that it sets for the tests, or the platform for the service, as far as their values are literal."""
    prepare: tuple[tuple[str, ...], ...] = ()
    """Commands, in the service's folder, that make folders and copy templates for the tests."""
    generations: tuple[CodeGeneration, ...] = ()
    """Commands that write modules of the service before it is used."""
    is_closed: bool = False
    """Whether its image, as far as it shows, has no Python modules but those of its steps and of the repository."""
    build_programs: tuple["Program", ...] = ()
    """What is run while the image is built, except for installers, and has to succeed."""
    ignored_tests: tuple[str, ...] = ()
    """Folders or files, relative to the service, that the run of the tests leaves out: they need what is running."""
    deselected_tests: tuple[str, ...] = ()
    """Files, relative to the service, of whose tests that run selects none by their markers: they need what is running.

    A cell runs them; if none of their tests passes, that is no gap of the proof.
    """
    further_paths: tuple[str, ...] = ()
    """Files or folders with tests, relative to the service: those that other runs of pytest of the same job name, and
    the files that a run of unittest loads."""
    warning_options: tuple[str, ...] = ()
    """The values of ``-W`` of the interpreter that runs the tests."""
    runs_pytest: bool = False
    """Whether pytest runs the tests, as far as their command says it."""
    pytest_warnings: tuple[str, ...] = ()
    """The values of ``-W`` of pytest in the run of the tests."""
    further_tests: tuple[FurtherTest, ...] = ()
    """Commands beside that run which test the service as well."""
    image_variables: tuple[tuple[str, str], ...] = ()
    """The variables that ``ENV`` sets in the image, with paths of the repository relative to the service."""
    python_path: tuple[str, ...] = ()
    """The folders of ``PYTHONPATH`` in the image."""
    packages: tuple[str, ...] = ()
    """Folders of the repository that lie under their own name in a folder on the path of the image."""
    code_folders: tuple[str, ...] = ()
    """The folders of the repository that are on the path for imports in the image: its working folder, PYTHONPATH."""

    @property
    def files(self) -> tuple[str, ...]:
        """The files that say what it installs: where it starts, and the places of its steps."""
        return tuple(dict.fromkeys(filter(None, (self.source, *(step.location.path for step in self.steps)))))

    @property
    def folder_without_pth(self) -> Location | None:
        """Where it installs into a folder that is no site-packages of an interpreter: only these process .pth files.

        https://docs.python.org/3/library/site.html
        """
        for step in self.steps:
            is_on_path = bool(step.prefix) and any(
                folder == step.prefix or folder.startswith(f"{step.prefix.rstrip('/')}/") for folder in self.python_path
            )
            is_target = bool(step.target) and not _SITE_FOLDER.search(step.target)
            if step.is_for_python and (is_target or is_on_path):
                return step.location
        return None

    @property
    def is_complete(self) -> bool:
        """Whether everything that it installs for Python is known."""
        return not self.limits and not any(step.unresolved for step in self.steps)


@dataclass(frozen=True, kw_only=True, slots=True)
class Distribution:
    """A service that is itself a distribution.

    ``name`` and ``version`` are empty if only a build can determine them. ``static`` is true if the metadata is
    literal and the code is pure Python: then it is installed into a cell without running its build. ``source_roots``
    are the folders, relative to the service, that contain its importable code.
    """

    name: str
    version: str
    static: bool
    source_roots: tuple[str, ...]
    scripts: tuple[tuple[str, str], ...] = ()
    """Console scripts: (name, ``module:function``)."""
    plugins: tuple[tuple[str, str, str], ...] = ()
    """Other entry points: (group, name, target), sorted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Program:
    """A program of a start command: a console script, or a module (``python -m NAME``).

    ``is_application``: a server imports the module (``uvicorn NAME:app``). ``is_option``: an option of its command
    says so (``gunicorn -k gevent``). ``is_script``: the module is run as a file (``python FOLDER/NAME.py``), in a
    ``folder`` below the working folder of the command if that says it; without ``is_module`` the file has no suffix.
    ``is_additional``: something else than the service's own start command runs it, such as cron: what fails in the same
    way on the baseline says nothing of it.
    """

    name: str
    is_module: bool = False
    is_application: bool = False
    is_option: bool = False
    is_script: bool = False
    is_additional: bool = False
    folder: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class InterpreterVariable:
    """A variable for the interpreter that production sets, and where. Values of ``-W`` are those of PYTHONWARNINGS."""

    name: str
    value: str
    location: Location


@dataclass(frozen=True, kw_only=True, slots=True)
class FileLines:
    """Lines of a file of the repository, from ``first`` to ``last``, which count from 1."""

    path: str
    first: int
    last: int


@dataclass(frozen=True, kw_only=True, slots=True)
class StartModule:
    """A module that the service is started with; ``folder``, relative to the service, is where imports begin.

    ``is_program``: it is run with ``python -m``, or as a file if ``is_script``. Otherwise a server imports it.
    ``is_own``: it is a module of the service. Otherwise an option of the server names it (``gunicorn -k gevent``).
    ``is_additional``: only what fails on the target and not on the baseline counts.
    """

    name: str
    folder: str = "."
    is_program: bool = False
    is_own: bool = True
    is_script: bool = False
    is_additional: bool = False
    imported_at: Location | None = field(default=None, compare=False)
    """The first place in the code of the service that imports it, where that is what makes it a module to try."""

    @property
    def kind(self) -> str:
        """How a cell imports it: a ``file`` is executed, of a ``script`` what runs when it is imported."""
        if self.is_script:
            return "script" if self.is_program else "file"
        return "command" if DJANGO_COMMANDS in self.name else "program" if self.is_program else "module"


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """A folder that is deployed on its own, with what discovery has read from it. None of its code was run."""

    name: str
    path: str
    stage: int
    critical: bool
    baseline: Interpreter
    baseline_source: str
    """Where the baseline comes from: ``deploy/docker/Dockerfile:3 says python:3.10-slim``."""
    baseline_is_declared: bool = True
    """Whether a file or the plan says it; otherwise it is assumed."""
    requirements: tuple[RequirementSource, ...]
    test_requirements: tuple[RequirementSource, ...]
    suite: Suite | None
    """``None``: there are no tests, or the plan sets ``suite = false``."""
    settings: ServiceSettings
    python_path: tuple[str, ...] = ()
    """Folders, relative to the service, that are added to the path of its suite."""
    appended_path: tuple[str, ...] = ()
    """Folders, relative to the service, that come after what is installed on the path of its suite."""
    distribution: Distribution | None = None
    declarations: tuple[Declaration, ...] = ()
    manifest: str = ""
    """The file that an editor opens for the service's items, relative to the root (may be empty)."""
    additional_requirements: tuple[RequirementSource, ...] = ()
    """Requirements files that are used neither at run time nor by tests: each is checked as a separate set."""
    nested_folders: tuple[str, ...] = ()
    """Folders of other services inside this one, relative to the root; their files belong to those services."""
    programs: tuple[Program, ...] = ()
    """Programs of its start commands (of images, processes, compose files) that may be Python."""
    started_above: tuple[FileLines, ...] = ()
    """Where compose files in folders above it start it."""
    recipe: InstallRecipe | None = None
    """What installs it for production, if a file says so."""
    test_recipe: InstallRecipe | None = None
    """What installs it for its tests, if a file says so."""
    start_modules: tuple[StartModule, ...] = ()
    """Its own modules among its programs."""
    test_variables: tuple[tuple[str, str], ...] = ()
    """The variables of the container in which a compose file runs its tests."""
    declared_variables: tuple[tuple[str, str], ...] = ()
    """Variables that compose files and templates of ``.env`` files declare: values for what its program lacks."""
    interpreter_variables: tuple[InterpreterVariable, ...] = ()
    """Variables for the interpreter that runs it, by its images, compose files and start commands."""
    separate_tests: bool = False
    """Whether its tests run with other versions than production has, in an environment without what production
    installs."""
    owners: tuple[str, ...] = ()
    """Teams or people that are responsible for it."""
    owners_source: str = ""
    """What names them: ``.github/CODEOWNERS:12``, or the plan."""
    unread: str = ""
    """Why nothing is known of it but its name and folder: an error of this package. Then nothing of it is checked."""

    @property
    def generations(self) -> tuple[CodeGeneration, ...]:
        """What writes modules of the service before it runs: for production, then for its tests."""
        recipes = (self.recipe, self.test_recipe)
        commands = (each for recipe in recipes if recipe is not None for each in recipe.generations)
        return tuple({each.words: each for each in commands}.values())

    @property
    def runs_without_pth(self) -> Location | None:
        """What installs it into a folder whose ``.pth`` files no Python processes; ``None`` if nothing does."""
        return self.recipe.folder_without_pth if self.recipe is not None else None

    @property
    def images(self) -> tuple[Declaration, ...]:
        """The base images of its Dockerfiles."""
        return tuple(declaration for declaration in self.declarations if declaration.kind == "image")


@dataclass(frozen=True, kw_only=True, slots=True)
class Fleet:
    """All services, ordered by stage, then by path; and the assumptions made about them, as sentences."""

    services: tuple[Service, ...]
    assumptions: tuple[str, ...] = ()

    def assumptions_about(self, names: Collection[str]) -> tuple[str, ...]:
        """Return the assumptions about services ``names`` and about the whole repository: none about another one."""
        others = {service.name for service in self.services}.difference(names)
        return tuple(text for text in self.assumptions if text.partition(" ")[0] not in others)

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
    def title(self) -> str:
        """``user-service 3.12``, for people."""
        return f"{self.service.name} {self.interpreter}"

    @property
    def is_baseline(self) -> bool:
        return self.interpreter == self.service.baseline

    @property
    def baseline_cell(self) -> "Cell":
        """The same service on its baseline."""
        return Cell(service=self.service, interpreter=self.service.baseline)


def cells_of(plan: Plan, service: Service) -> tuple[Cell, ...]:
    """Return one cell for each interpreter of the plan from the service's baseline up to the target, both included.

    The baseline has a cell even if the plan does not list it: without it, nothing can be called a regression. A service
    that is already on the target, or on a newer Python, has one cell: the target.
    """
    if service.baseline >= plan.target:
        return (Cell(service=service, interpreter=plan.target),)
    between = {planned for planned in plan.interpreters if service.baseline <= planned <= plan.target}
    interpreters = sorted(between | {service.baseline, plan.target})
    return tuple(Cell(service=service, interpreter=interpreter) for interpreter in interpreters)
