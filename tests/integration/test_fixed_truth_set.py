"""The truth set with all fixes applied: fixed snippets run on every interpreter as they did on the oldest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from pytest_py312.analysis.judging.replacements import apply_utc_choice, needs_trial
from pytest_py312.analysis.services.service_analysis import AnalysisResult, ServiceAnalyzer
from pytest_py312.core.model.findings import Interpreter, Outcome, SourceChange
from pytest_py312.core.model.fleet import Service
from pytest_py312.core.model.plan import Plan
from pytest_py312.gate.fixes.source_verification import verify_source
from pytest_py312.repository.edits.change_set import plan_changes
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
class FixedSnippets:
    """The fixed snippets, and how they ran before and after."""

    changed: Mapping[str, Sequence[str]]
    """Snippet -> its files that were changed."""
    open: frozenset[str]
    """Snippets in which a blocking finding is left."""
    refused: Mapping[str, str]
    before: Mapping[Version, Mapping[str, Run]]
    after: Mapping[Version, Mapping[str, Run]]


def service_of(snippet: Snippet) -> Service:
    return service(snippet.id, path=snippet.id, baseline=Interpreter(*BASELINE), python_path=())


@pytest.fixture(scope="module")
def fixed(tmp_path_factory: pytest.TempPathFactory, gate_cache: Path) -> FixedSnippets:
    folder = tmp_path_factory.mktemp("truth")
    runner = local_runner(gate_cache, folder)
    try:
        pythons = {version: Path(runner.find_interpreter(Interpreter(*version)).executable) for version in TOGETHER}
        return _fix_all(folder, gate_cache, runner, pythons)
    except CellUnavailable as reason:
        pytest.skip(str(reason))
    finally:
        runner.close()


def _fix_all(folder: Path, cache: Path, runner: LocalRunner, pythons: Mapping[Version, Path]) -> FixedSnippets:
    root = folder / "snippets"
    snippets = read_snippets()
    write_snippets(snippets, root)
    services = {snippet.id: service_of(snippet) for snippet in snippets}

    def analyze(files: Mapping[str, bytes], names: Sequence[str]) -> dict[str, AnalysisResult]:
        plan = Plan(root=root)
        analyzer = ServiceAnalyzer(plan=plan, cache=cache, runner=runner, processes=2, overrides=files)
        analyzer.register([services[name] for name in names])
        return {name: analyzer.analyze(cell_of("3.12", services[name]), NOTHING_LOCKED) for name in names}

    outcomes = [
        Outcome.from_findings(service=name, interpreter=None, check="source", findings=result.findings)
        for name, result in analyze({}, list(services)).items()
    ]
    changes = [
        chosen_change
        for outcome in outcomes
        for finding in outcome.findings
        if not needs_trial(finding)  # the suite of a service decides, and a snippet has none
        for change in finding.changes
        if isinstance(change, SourceChange) and (chosen_change := apply_utc_choice(change, "naive"))
    ]
    plan = verify_source(plan_changes(root, changes), outcomes, changes, analyze).plan
    files = {change.path: change.after for change in plan.changes}
    changed: dict[str, list[str]] = {}
    for path in files:
        changed.setdefault(next(name for name in services if path.startswith(f"{name}/")), []).append(path)
    chosen = tuple(snippet for snippet in snippets if snippet.id in changed)
    remaining = analyze(files, list(changed))
    runs_before = {version: record(python, chosen, root) for version, python in pythons.items()}
    for path, content in files.items():
        (root / path).write_bytes(content)
    return FixedSnippets(
        changed=changed,
        open=frozenset(name for name, result in remaining.items() if any(one.blocks for one in result.findings)),
        refused={refusal.edit.path: refusal.reason for refusal in plan.refusals},
        before=runs_before,
        after={version: record(python, chosen, root) for version, python in pythons.items()},
    )


def test_many_breaking_snippets_are_fixed(fixed: FixedSnippets) -> None:
    """Many removed names have a successor of the same meaning."""
    print(f"{len(fixed.changed)} snippets fixed, {len(fixed.open)} of them in part; refused: {fixed.refused}")
    assert len(fixed.changed) > 80


@pytest.mark.parametrize("version", TOGETHER, ids=str)
def test_fixed_snippets_run_as_on_the_baseline(fixed: FixedSnippets, version: Version) -> None:
    """On the baseline and on the target, unless another blocking finding is left."""
    wrong = {
        name: (run.error or run.output, fixed.before[BASELINE][name].error or fixed.before[BASELINE][name].output)
        for name, run in fixed.after[version].items()
        if (run.error, run.output) != (fixed.before[BASELINE][name].error, fixed.before[BASELINE][name].output)
        and not (version == TARGET and name in fixed.open)
    }
    assert wrong == {}
