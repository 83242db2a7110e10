"""The interpreter that a service runs on today, from the most to the least telling of its files. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.model.fleet import Declaration
from pytest_py312.core.model.plan import Plan, ServiceSettings
from pytest_py312.repository.formats.dockerfile import Stage
from pytest_py312.repository.formats.version_ranges import lowest_minor
from pytest_py312.repository.services.service_files import ServiceFiles, is_production

OLDEST = Interpreter(3, 8)
"""The oldest that the probe runs on."""
_PINS = (".python-version", "runtime.txt", ".tool-versions", "Pipfile")
_METADATA = ("pyproject.toml", "setup.cfg", "setup.py")


@dataclass(frozen=True, kw_only=True, slots=True)
class Baseline:
    """``source`` says in words where it comes from; ``assumptions`` are clauses that follow the service's name."""

    interpreter: Interpreter
    source: str
    assumptions: tuple[str, ...] = ()


def find_baseline(files: ServiceFiles, settings: ServiceSettings, plan: Plan) -> Baseline:
    """The plan's word, else the images, pins, requires-python and workflows in this order, else the oldest planned.

    An image or a pin is believed even where the plan lists no interpreter that old: it is what runs today. One that
    is past the target counts as the target, and one that is older than what cells can be on as the oldest planned.
    """
    found = _stated(files, settings, plan) or _oldest(files, plan)
    if found.interpreter < OLDEST:
        taken = min((one for one in plan.interpreters if one >= OLDEST), default=plan.target)
        clause = f"is on {found.interpreter} ({found.source}), on which nothing is checked; {taken}, the oldest of the "
        clause += f"plan from {OLDEST} on, is taken as its baseline"
        return Baseline(interpreter=taken, source=found.source, assumptions=(*found.assumptions, clause))
    if found.interpreter <= plan.target:
        return found
    clause = f"is past the target already ({found.source}); {plan.target} is taken as its baseline"
    return Baseline(interpreter=plan.target, source=found.source, assumptions=(*found.assumptions, clause))


def _stated(files: ServiceFiles, settings: ServiceSettings, plan: Plan) -> Baseline | None:
    if settings.baseline:
        return Baseline(interpreter=settings.baseline, source=f"{plan.source or 'the plan'} says {settings.baseline}")
    return _of_images(files) or _of_pins(files) or _of_ranges(files, plan) or _of_workflows(files)


def _of_images(files: ServiceFiles) -> Baseline | None:
    """The oldest among the last Python stages of the Dockerfiles that serve production."""
    finals = [
        (stage.interpreter, dockerfile.path, stage)
        for dockerfile in files.dockerfiles
        if is_production(dockerfile.path, files.path)
        and (stage := dockerfile.final_python) is not None
        and stage.interpreter is not None
    ]
    if not finals:
        return None
    interpreter, path, stage = min(finals, key=lambda one: (one[0], one[1]))
    assumptions: tuple[str, ...] = ()
    if len({one[0] for one in finals}) > 1:
        listed = ", ".join(_says(place, other) for _, place, other in finals)
        assumptions = (f"has Dockerfiles that disagree ({listed}); the oldest, {interpreter}, is its baseline",)
    return Baseline(interpreter=interpreter, source=_says(path, stage), assumptions=assumptions)


def _says(path: str, stage: Stage) -> str:
    return f"{path}:{stage.image_line} says {stage.image}"


def _of_pins(files: ServiceFiles) -> Baseline | None:
    for name in _PINS:
        for pin in files.metadata[name].pins if name in files.metadata else ():
            if pin.interpreter:
                return _from(pin, pin.interpreter)
    return None


def _of_ranges(files: ServiceFiles, plan: Plan) -> Baseline | None:
    for declared in _ranges(files):
        lowest = lowest_minor(declared.text, plan.interpreters)
        if lowest is None:
            continue
        source = f"{declared.location} says {declared.text}"
        older = lowest_minor(declared.text, [Interpreter(3, minor) for minor in range(lowest.minor)])
        if older is not None:
            source += f", of which {lowest} is the oldest in the plan"
        return Baseline(interpreter=lowest, source=source)
    return None


def _ranges(files: ServiceFiles) -> Iterator[Declaration]:
    for name in _METADATA:
        if name in files.metadata:
            yield from files.metadata[name].requires_python


def _of_workflows(files: ServiceFiles) -> Baseline | None:
    literal = [
        (declared.interpreter, str(declared.location), declared)
        for workflow in files.workflows
        for declared in workflow.declarations
        if declared.interpreter
    ]
    if not literal:
        return None
    interpreter, _, declared = min(literal, key=lambda one: (one[0], one[1]))
    return _from(declared, interpreter)


def _from(declared: Declaration, interpreter: Interpreter) -> Baseline:
    return Baseline(interpreter=interpreter, source=f"{declared.location} says {declared.text}")


def _oldest(files: ServiceFiles, plan: Plan) -> Baseline:
    oldest = min(_usable(plan.interpreters, plan.target))
    unclear = [place for dockerfile in files.dockerfiles for place in dockerfile.declarations]
    hint = f" ({unclear[0].location} says only {unclear[0].text})" if unclear else ""
    clause = f"says nowhere which Python it runs on{hint}; {oldest}, the oldest of the plan, is taken as its baseline"
    return Baseline(interpreter=oldest, source="the oldest interpreter of the plan", assumptions=(clause,))


def _usable(interpreters: Sequence[Interpreter], target: Interpreter) -> Sequence[Interpreter]:
    return interpreters or (target,)
