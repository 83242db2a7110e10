"""Acceptance tests that start no process: what they would find is prepared."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import quoteattr

from pytest_py312.core.process import Cancellation, CommandResult, ExitReason

NO_TESTS_COLLECTED = 5


def command_result(argv: Sequence[str], *, code: int | None = 0, output: str = "", reason: str = "") -> CommandResult:
    """Return a finished command; ``reason`` is the name of an :class:`ExitReason`."""
    exit_reason = ExitReason[reason] if reason else ExitReason.EXITED
    stderr = output if exit_reason is ExitReason.NOT_STARTED else ""
    return CommandResult(
        argv=tuple(argv), exit_reason=exit_reason, exit_code=code, stdout=output, stderr=stderr, seconds=0.1
    )


@dataclass
class FakeSuite:
    """Replaces the module :mod:`pytest_py312.core.process`. A command fails if any test does.

    ``failing`` and ``skipped`` are evaluated in each run; ``ending`` may replace its result, and may wait for the
    cancellation.
    """

    tests: tuple[str, ...] = ("test_login", "test_order", "test_pay")
    failing: Callable[[], Collection[str]] = lambda: ()
    skipped: Callable[[], Collection[str]] = lambda: ()
    ending: Callable[[Cancellation], CommandResult | None] = lambda cancelled: None
    calls: list[Sequence[str]] = field(default_factory=list)
    limits: list[float] = field(default_factory=list)
    """Seconds that each call had."""
    variables: Mapping[str, str] = field(default_factory=dict)
    folder: Path = Path()

    def run(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        cancelled: Cancellation,
        time_limit: float,
        **options: object,
    ) -> CommandResult:
        self.calls.append(argv)
        self.limits.append(time_limit)
        self.variables, self.folder = env, cwd
        if result := self.ending(cancelled):
            return result
        failing = set(self.failing())
        report = next((word.partition("=")[2] for word in argv if word.startswith("--junitxml=")), "")
        if report and self.tests:
            Path(report).write_text(self._junit(failing), encoding="utf-8")
        code = 1 if failing else 0 if self.tests or not report else NO_TESTS_COLLECTED
        return command_result(argv, code=code, output=f"{len(failing)} failed\n")

    def _junit(self, failing: Collection[str]) -> str:
        cases = []
        for test in self.tests:
            child = "<failure message='no'/>" if test in failing else "<skipped/>" if test in self.skipped() else ""
            cases.append(f'<testcase classname="tests.e2e.test_shop" name={quoteattr(test)}>{child}</testcase>')
        return f"<testsuites><testsuite>{''.join(cases)}</testsuite></testsuites>"
