"""A door behind which no interpreter is, and what probes print."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.process import CommandRun
from tests.support.fakes import command_run_of


@dataclass
class FakeDoor:
    """Answers with what ``says`` makes of a request; what was asked is in ``requests``."""

    says: Callable[[dict[str, Any]], CommandRun]
    requests: list[dict[str, Any]] = field(default_factory=list)

    def tool(
        self, build: InterpreterBuild, argv: Sequence[str], *, stdin: str = "", time_limit: float = 600.0
    ) -> CommandRun:
        assert argv[:3] == ["{python}", "-I", "-S"]
        self.requests.append(json.loads(stdin))
        return self.says(self.requests[-1])

    def inside(self, path: Path) -> str:
        return str(path)


def printed(answers: Sequence[Any], *, end: bool = True, **changes: Any) -> CommandRun:
    lines = [json.dumps([number, answer]) for number, answer in enumerate(answers)]
    return command_run_of("\n".join([*lines, '["end"]'] if end else lines), **changes)


def crashed(answers: Sequence[Any] = ()) -> CommandRun:
    return printed(answers, end=False, exit_code=-11, stderr="Segmentation fault")
