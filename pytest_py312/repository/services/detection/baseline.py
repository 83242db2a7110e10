"""Determine the interpreter that a service runs on today, from the most to the least reliable of its files."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.model.fleet import Declaration
from pytest_py312.core.model.plan import Plan, ServiceSettings
from pytest_py312.repository.declarations.declaration import DeclarationRole, VersionDeclaration, service_declarations
from pytest_py312.repository.declarations.reader import read_declarations
from pytest_py312.repository.formats.dockerfile import BuildStage
from pytest_py312.repository.formats.version_ranges import oldest_included
from pytest_py312.repository.services.detection.service_files import ServiceFiles, is_production_dockerfile
from pytest_py312.repository.tree import join_path

OLDEST_SUPPORTED = Interpreter(3, 8)
"""The oldest interpreter that the probe supports."""
MIN_SEQUENCE = 3
"""Number of interpreters that a workflow sets up one after another to be taken for a matrix."""
FALLBACK_SOURCE = "the oldest interpreter of the plan"
"""The source of a baseline that no file of the service declares."""
_PIN_FILES = (".python-version", "runtime.txt", ".tool-versions", "Pipfile", "environment.yml", "environment.yaml")
_METADATA_FILES = ("pyproject.toml", "setup.cfg", "setup.py")


@dataclass(frozen=True, kw_only=True, slots=True)
class Baseline:
    """The baseline interpreter, a description of its ``source``, and assumptions: clauses that follow the service's
    name.
    """

    interpreter: Interpreter
    source: str
    assumptions: tuple[str, ...] = ()
    is_declared: bool = True


def find_baseline(
    files: ServiceFiles,
    settings: ServiceSettings,
    plan: Plan,
    runtime: Callable[[], VersionDeclaration | None],
    with_test_job: Callable[[ServiceFiles], ServiceFiles],
) -> Baseline:
    """Return the baseline that plan, images, pins, matrices of tests, requires-python, workflows or tox.ini declare.

    The ``runtime`` of a platform comes after images and their packages; ``with_test_job`` adds the Pythons of the job
    outside of the service that runs its tests. Both read further files, so they are asked only where nothing before
    them decides.

    They are asked in this order. Of a matrix it is the newest interpreter before the target: the code is known to work
    there, and what differs from it is due to the target and not to requirements that have newer releases for newer
    interpreters. Without any of them it is the oldest interpreter of the plan. An image or a pin may be older than all
    interpreters of the plan. A baseline after the target is replaced by the target, one before
    :data:`OLDEST_SUPPORTED` by the oldest supported one of the plan.
    """
    baseline = _declared_baseline(files, settings, plan, runtime, with_test_job) or _fallback_baseline(plan)
    if baseline.interpreter < OLDEST_SUPPORTED:
        replacement = min(
            (candidate for candidate in plan.interpreters if candidate >= OLDEST_SUPPORTED), default=plan.target
        )
        clause = f"is on {baseline.interpreter} ({baseline.source}), on which nothing is checked; "
        clause += f"{replacement}, the oldest of the plan from {OLDEST_SUPPORTED} on, is taken as its baseline"
        return Baseline(interpreter=replacement, source=baseline.source, assumptions=(*baseline.assumptions, clause))
    if baseline.interpreter <= plan.target:
        return baseline
    clause = f"is past the target already ({baseline.source}); {plan.target} is taken as its baseline"
    return Baseline(interpreter=plan.target, source=baseline.source, assumptions=(*baseline.assumptions, clause))


def _declared_baseline(
    files: ServiceFiles,
    settings: ServiceSettings,
    plan: Plan,
    runtime: Callable[[], VersionDeclaration | None],
    with_test_job: Callable[[ServiceFiles], ServiceFiles],
) -> Baseline | None:
    if settings.baseline:
        return Baseline(interpreter=settings.baseline, source=f"{plan.source or 'the plan'} says {settings.baseline}")
    certain = (
        _baseline_of_images(files)
        or _baseline_of_packages(files)
        or _baseline_of_runtime(runtime())
        or _baseline_of_pins(files)
    )
    if certain is not None:
        return certain
    files = with_test_job(files)
    return (
        _baseline_of_matrix(files, plan)
        or _baseline_of_ranges(files, plan)
        or _baseline_of_workflows(files)
        or _baseline_of_tox(files)
    )


def _baseline_of_images(files: ServiceFiles) -> Baseline | None:
    """Return the oldest among the final Python stages of the production Dockerfiles, and of those they build on."""
    own = (each for each in files.dockerfiles if is_production_dockerfile(each.path, files.path))
    finals = [
        (stage.interpreter, dockerfile.path, stage)
        for dockerfile in (*own, *files.base_images)
        if (stage := dockerfile.final_python_stage) is not None and stage.interpreter is not None
    ]
    if not finals:
        return None
    interpreter, path, stage = min(finals, key=lambda one: (one[0], one[1]))
    assumptions: tuple[str, ...] = ()
    if len({one[0] for one in finals}) > 1:
        listed = ", ".join(_describe_stage(dockerfile_path, other_stage) for _, dockerfile_path, other_stage in finals)
        assumptions = (f"has Dockerfiles that disagree ({listed}); the oldest, {interpreter}, is its baseline",)
    return Baseline(interpreter=interpreter, source=_describe_stage(path, stage), assumptions=assumptions)


def _baseline_of_packages(files: ServiceFiles) -> Baseline | None:
    """Return the oldest Python that production Dockerfiles install from a distribution of Linux."""
    own = [each for each in files.dockerfiles if is_production_dockerfile(each.path, files.path)]
    installed = [(found, each.path) for each in own if (found := each.system_python) is not None]
    if not installed:
        return None
    (interpreter, line, package), path = min(installed)
    return Baseline(interpreter=interpreter, source=f"{path}:{line} installs {package}")


def _baseline_of_runtime(runtime: VersionDeclaration | None) -> Baseline | None:
    version = runtime.version if runtime is not None else None
    return _baseline_from(runtime.as_service_declaration, version) if runtime is not None and version else None


def _describe_stage(path: str, stage: BuildStage) -> str:
    return f"{path}:{stage.image_line} says {stage.image}"


def _baseline_of_pins(files: ServiceFiles) -> Baseline | None:
    """Return the version of the service's pin file, else that of a file which its workflows hand to setup-python."""
    own = (pin for name in _PIN_FILES if name in files.metadata for pin in files.metadata[name].pins)
    for pin in (*own, *files.workflow_pins):
        if pin.interpreter:
            return _baseline_from(pin, pin.interpreter)
    return None


def _baseline_of_matrix(files: ServiceFiles, plan: Plan) -> Baseline | None:
    """Return the newest interpreter before the target on which its tests are run: by its own workflows, the job of the
    repository that tests it, or its tox.ini.
    """
    tested = [
        declaration
        for declarations in _declarations_of_tests(files)
        for declaration in _side_by_side(declarations)
        if declaration.version and OLDEST_SUPPORTED <= declaration.version < plan.target
    ]
    if not tested:
        return None
    newest = max(tested, key=lambda one: (one.version, -one.start))
    version = newest.version or plan.target
    return Baseline(interpreter=version, source=f"{newest.location} says {newest.text[:80]}")


def _declarations_of_tests(files: ServiceFiles) -> Iterator[Sequence[VersionDeclaration]]:
    yield from files.workflows
    if "tox.ini" in files.texts:
        yield read_declarations(files.texts["tox.ini"], join_path(files.path, "tox.ini"))


def _side_by_side(declarations: Sequence[VersionDeclaration]) -> Sequence[VersionDeclaration]:
    """Return the versions that a file uses side by side: those in lists, or many that are set up one after another."""
    listed = [declaration for declaration in declarations if declaration.role is DeclarationRole.LIST_ITEM]
    set_up = [declaration for declaration in declarations if declaration.role is DeclarationRole.EXACT]
    in_sequence = len({declaration.version for declaration in set_up}) >= MIN_SEQUENCE
    return listed or (set_up if in_sequence else [])


def _baseline_of_ranges(files: ServiceFiles, plan: Plan) -> Baseline | None:
    for declaration in _declared_ranges(files):
        lowest = oldest_included(declaration.text, plan.interpreters)
        if lowest is None:
            continue
        source = f"{declaration.location} says {declaration.text}"
        older = oldest_included(declaration.text, [Interpreter(3, minor) for minor in range(lowest.minor)])
        if older is None:
            return Baseline(interpreter=lowest, source=source)
        checkable = [Interpreter(3, minor) for minor in range(OLDEST_SUPPORTED.minor, lowest.minor)]
        raised_from = oldest_included(declaration.text, checkable)
        source += f", of which {lowest} is the oldest in the plan"
        clause = f"allows {raised_from} as well, which is not in the plan; {lowest} is taken as its baseline ({source})"
        return Baseline(interpreter=lowest, source=source, assumptions=(clause,) if raised_from else ())
    return None


def _declared_ranges(files: ServiceFiles) -> Iterator[Declaration]:
    for name in _METADATA_FILES:
        if name in files.metadata:
            yield from files.metadata[name].requires_python


def _baseline_of_workflows(files: ServiceFiles) -> Baseline | None:
    literal = [
        (declaration.interpreter, str(declaration.location), declaration)
        for workflow in files.workflows
        for declaration in service_declarations(workflow)
        if declaration.interpreter
    ]
    if not literal:
        return None
    interpreter, _, declaration = min(literal, key=lambda one: (one[0], one[1]))
    return _baseline_from(declaration, interpreter)


def _baseline_of_tox(files: ServiceFiles) -> Baseline | None:
    """Return the oldest Python for which the service's own tox.ini has an environment or builds an image."""
    text = files.texts.get("tox.ini")
    declarations = read_declarations(text, join_path(files.path, "tox.ini")) if text else ()
    running = [
        (declaration.version, declaration)
        for declaration in declarations
        if declaration.version and declaration.role in (DeclarationRole.LIST_ITEM, DeclarationRole.EXACT)
        and declaration.version >= OLDEST_SUPPORTED
    ]  # fmt: skip
    if not running:
        return None
    version, declaration = min(running, key=lambda one: (one[0], one[1].start))
    return Baseline(interpreter=version, source=f"{declaration.location} says {declaration.text[:80]}")


def _baseline_from(declaration: Declaration, interpreter: Interpreter) -> Baseline:
    return Baseline(interpreter=interpreter, source=f"{declaration.location} says {declaration.text}")


def _fallback_baseline(plan: Plan) -> Baseline:
    oldest = min(plan.interpreters or (plan.target,))
    return Baseline(interpreter=oldest, source=FALLBACK_SOURCE, is_declared=False)
