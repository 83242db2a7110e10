"""The truth set mended, and run for real: what was mended does on every interpreter what it did on the oldest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from pytest_py312.analysis.judging.replacements import asked_for
from pytest_py312.analysis.services.service_analysis import Inspection, Inspector
from pytest_py312.core.model.findings import Interpreter, Outcome, SourceChange
from pytest_py312.core.model.fleet import Service
from pytest_py312.core.model.plan import Plan
from pytest_py312.gate.fixes.source_verification import proven
from pytest_py312.repository.edits.change_set import plan_edits
from pytest_py312.runners.local import LocalRunner
from pytest_py312.runners.runner import CellUnavailable
from tests.integration.local_runners import local_runner
from tests.support.fakes import cell_of, service
from tests.truth.cases import Snippet, Version, read_snippets, write_snippets
from tests.truth.verify import Run, record

BASELINE, TARGET = (3, 9), (3, 12)
TOGETHER: tuple[Version, ...] = (BASELINE, (3, 10), TARGET)
NOTHING_LOCKED: dict[str, str] = {}


@dataclass(frozen=True, kw_only=True, slots=True)
class Mended:
    """What was mended of which snippets, and how they ran before and after."""

    changed: Mapping[str, Sequence[str]]
    """Snippet -> its files that were changed."""
    open: frozenset[str]
    """Snippets in which something that blocks is left."""
    refused: Mapping[str, str]
    before: Mapping[Version, Mapping[str, Run]]
    after: Mapping[Version, Mapping[str, Run]]


def as_service(snippet: Snippet) -> Service:
    return service(snippet.id, path=snippet.id, baseline=Interpreter(*BASELINE), python_path=())


@pytest.fixture(scope="module")
def mended(tmp_path_factory: pytest.TempPathFactory) -> Mended:
    folder = tmp_path_factory.mktemp("truth")
    runner = local_runner(folder / "cache", folder)
    try:
        pythons = {one: Path(runner.find(Interpreter(*one)).executable) for one in TOGETHER}
        return _mended(folder, runner, pythons)
    except CellUnavailable as reason:
        pytest.skip(str(reason))
    finally:
        runner.close()


def _mended(folder: Path, runner: LocalRunner, pythons: Mapping[Version, Path]) -> Mended:
    root = folder / "snippets"
    snippets = read_snippets()
    write_snippets(snippets, root)
    services = {snippet.id: as_service(snippet) for snippet in snippets}

    def inspected(files: Mapping[str, bytes], names: Sequence[str]) -> dict[str, Inspection]:
        plan = Plan(root=root)
        inspector = Inspector(plan=plan, cache=folder / "cache", runner=runner, processes=2, instead=files)
        inspector.expect([services[name] for name in names])
        return {name: inspector.inspect(cell_of("3.12", services[name]), NOTHING_LOCKED) for name in names}

    outcomes = [
        Outcome.judged(service=name, interpreter=None, check="source", findings=found.findings)
        for name, found in inspected({}, list(services)).items()
    ]
    changes = [
        asked
        for outcome in outcomes
        for finding in outcome.findings
        for change in finding.changes
        if isinstance(change, SourceChange) and (asked := asked_for(change, "naive"))
    ]
    plan = proven(plan_edits(root, changes), outcomes, changes, inspected).plan
    files = {change.path: change.after for change in plan.changes}
    changed: dict[str, list[str]] = {}
    for path in files:
        changed.setdefault(next(name for name in services if path.startswith(f"{name}/")), []).append(path)
    chosen = tuple(snippet for snippet in snippets if snippet.id in changed)
    left = inspected(files, list(changed))
    before = {version: record(python, chosen, root) for version, python in pythons.items()}
    for path, content in files.items():
        (root / path).write_bytes(content)
    return Mended(
        changed=changed,
        open=frozenset(name for name, found in left.items() if any(one.blocks for one in found.findings)),
        refused={refusal.edit.path: refusal.reason for refusal in plan.refusals},
        before=before,
        after={version: record(python, chosen, root) for version, python in pythons.items()},
    )


def test_much_of_what_breaks_is_mended(mended: Mended) -> None:
    """Names that have a successor of the same meaning are a good part of all that is gone."""
    print(f"{len(mended.changed)} snippets mended, {len(mended.open)} of them in part; refused: {mended.refused}")
    assert len(mended.changed) > 80


@pytest.mark.parametrize("version", TOGETHER, ids=str)
def test_what_was_mended_does_what_it_did_on_the_baseline(mended: Mended, version: Version) -> None:
    """On the baseline it still does, and on the target it does again, wherever nothing else is in the way."""
    wrong = {
        name: (told.error or told.output, mended.before[BASELINE][name].error or mended.before[BASELINE][name].output)
        for name, told in mended.after[version].items()
        if (told.error, told.output) != (mended.before[BASELINE][name].error, mended.before[BASELINE][name].output)
        and not (version == TARGET and name in mended.open)
    }
    assert wrong == {}
