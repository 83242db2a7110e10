"""``py312 init``: write a first plan for a repository that has none."""

import argparse
from pathlib import Path

from pytest_py312.cli.common import existing_folder, log, write_file, write_result
from pytest_py312.core import clock
from pytest_py312.core.errors import OptionError
from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.text import pluralize
from pytest_py312.repository.first_plan.proposal import FirstPlan, propose_plan
from pytest_py312.repository.plan.loader import find_plan
from pytest_py312.repository.plan.plan_file import PLAN_NAME

_STANDARD_OUTPUT = "-"


def init(options: argparse.Namespace) -> int:
    """Write a first plan from what the files of the repository say, and report what they do not say."""
    root = existing_folder(options.path)
    target = _parse_target(options.target)
    file = None if options.output == _STANDARD_OUTPUT else Path(options.output or root / PLAN_NAME)
    if file is not None:
        _refuse_to_overwrite(root, file, force=options.force, is_default=not options.output)
    first_plan = propose_plan(root, target, today=clock.today())
    if file is None:
        write_result(first_plan.text)
    else:
        write_file(file, first_plan.text)
    log(_describe(first_plan, str(options.output or PLAN_NAME) if file is not None else "the plan"))
    return 0


def _parse_target(text: str) -> Interpreter:
    try:
        return Interpreter.parse(text)
    except ValueError as error:
        raise OptionError(f"--target: {error}") from None


def _refuse_to_overwrite(root: Path, file: Path, *, force: bool, is_default: bool) -> None:
    """Refuse to replace a file, or to add a second plan, unless the user asked for it."""
    existing = find_plan(root) if is_default else None
    if existing is not None and existing != file.resolve() and existing.parent == root:
        raise OptionError(
            f"{existing.name} has a plan already, in [tool.pytest-py312], and a second one is not allowed; "
            "--output=- prints the proposed one"
        )
    if force:
        return
    if file.exists():
        raise OptionError(f"{file.name} exists; --force replaces it, --output=- only prints what it would be")
    if existing is not None:
        raise OptionError(f"{existing} is the plan of this folder; --force writes another one to {root}")


def _describe(first_plan: FirstPlan, name: str) -> str:
    lines = [
        f"{name}: {pluralize(first_plan.services, 'service')} in {pluralize(first_plan.stages, 'stage')}.",
        "Not determined, please check:",
        *(f"  {question}" for question in first_plan.questions),
        "Next: `py312 inventory` shows what is known of each service, `pytest --py312 --py312-stage=1` checks a stage.",
    ]
    return "\n".join(lines)
