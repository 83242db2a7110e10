"""A fake tool runner that starts no interpreter, and the output of probes."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.process import CommandResult
from tests.support.fakes import command_run_of


@dataclass
class FakeToolRunner:
    """Answers each request with ``reply(request)``; the requests are recorded in ``requests``."""

    reply: Callable[[dict[str, Any]], CommandResult]
    requests: list[dict[str, Any]] = field(default_factory=list)

    def run_tool(
        self, build: InterpreterBuild, argv: Sequence[str], *, stdin: str = "", time_limit: float = 600.0
    ) -> CommandResult:
        assert argv[:3] == ["{python}", "-I", "-S"]
        self.requests.append(json.loads(stdin))
        return self.reply(self.requests[-1])

    def path_inside(self, path: Path) -> str:
        return str(path)


def printed(answers: Sequence[Any], *, end: bool = True, **changes: Any) -> CommandResult:
    lines = [json.dumps([number, answer]) for number, answer in enumerate(answers)]
    return command_run_of("\n".join([*lines, '["end"]'] if end else lines), **changes)


def crashed(answers: Sequence[Any] = ()) -> CommandResult:
    return printed(answers, end=False, exit_code=-11, stderr="Segmentation fault")
