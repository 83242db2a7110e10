"""What an operator does around a rollout: ``py312 doctor``. Each returns the text to print and the exit code."""

import argparse
import json
from collections.abc import Callable, Sequence

from pytest_py312.codec import encode
from pytest_py312.rollout.commands import Ground


def run_command(options: argparse.Namespace, ground: Ground) -> tuple[str, int]:
    """
    :raises Py312Error: it was refused, or cannot be done here.
    """
    return _COMMANDS[options.command](options, ground)


# ---- doctor


def _doctor(options: argparse.Namespace, ground: Ground) -> tuple[str, int]:
    from pytest_py312.rollout.doctor import is_well
    from pytest_py312.rollout.examination import examined
    from pytest_py312.rollout.planning import stage_services

    if options.stage is not None:
        stage_services(ground.plan, ground.fleet(), options.stage)  # refuses a stage that is none
    rows = examined(ground, options.env, options.stage)
    code = 0 if is_well(rows) else 1
    if options.json:
        document = {"schema": 1, "environment": options.env, "well": code == 0, "rows": [encode(row) for row in rows]}
        return json.dumps(document, indent=2) + "\n", code
    lines = table([(row.health.value, row.area, row.what, row.detail) for row in rows])
    text = []
    for row, line in zip(rows, lines, strict=True):
        text.append(line if row.needed else f"{line} (not needed)")
        text += [f"    {row.remedy}"] if row.remedy else []
    text.append("all that is needed is well" if code == 0 else "not all that is needed is well")
    return "\n".join(text) + "\n", code


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Cells in columns, the last as wide as it is; each line harmless to a terminal."""
    from pytest_py312.reports.text import columns, padded, prose

    plain = [[prose(cell) for cell in row] for row in rows]
    widths = [max(columns(cell) for cell in column) for column in zip(*plain, strict=True)][:-1] if plain else []
    return [
        "".join(f"{padded(cell, width)}  " for cell, width in zip(row, widths, strict=False)) + row[-1] for row in plain
    ]


_COMMANDS: dict[str, Callable[[argparse.Namespace, Ground], tuple[str, int]]] = {
    "doctor": _doctor,
}
