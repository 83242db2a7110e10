"""The fleet as it was found, before anything is run: a table, JSON, CSV and Markdown. See the model only."""

import csv
import io
import json
from collections.abc import Mapping
from typing import Any

from pytest_py312.core.model.fleet import Declaration, Fleet, RequirementSource, Service
from pytest_py312.core.model.plan import Plan, Suite
from pytest_py312.core.text import escaped, row, visible

SCHEMA = 1
"""Version of the JSON document; it grows when a name in it changes its meaning."""

_SHOWN = 4
"""Declarations of one service that the table and Markdown show; JSON and CSV hold all."""
_COLUMNS = (
    "name", "path", "stage", "baseline", "baseline_source", "declared", "requirements", "test_requirements",
    "further_requirements", "suite",
    "images", "distribution",
)  # fmt: skip
_WIDE = 110
"""Columns of a terminal from which on the table shows everything."""
_LEFT_OUT_WHEN_NARROW = ("Declared", "Distribution")
_HEADINGS = ("Service", "Stage", "Baseline", "Why", "Declared", "Requirements", "Suite", "Distribution")


def render_table(fleet: Fleet, plan: Plan, *, width: int, color: bool) -> str:
    """A table for a terminal of ``width`` columns, then the assumptions. Paths in it are relative to the service."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=_title(fleet, plan), title_justify="left", show_lines=True, expand=False)
    kept = [index for index, heading in enumerate(_HEADINGS) if width >= _WIDE or heading not in _LEFT_OUT_WHEN_NARROW]
    for heading in (_HEADINGS[index] for index in kept):
        table.add_column(heading, overflow="fold", justify="right" if heading in ("Stage", "Baseline") else "left")
    for service in fleet.services:
        cells = _row(service)
        table.add_row(*(Text(cells[index]) for index in kept))
    stream = io.StringIO()
    console = Console(
        file=stream,
        width=width,
        force_terminal=color,
        color_system="standard" if color else None,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )
    console.print(table)
    if width < _WIDE:
        console.print("A wider terminal also shows the declared versions and distributions; so do the other formats.")
    if fleet.assumptions:
        console.print("Assumed:")
        for assumption in fleet.assumptions:
            console.print(Text(f"- {visible(assumption)}"))
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"


def render_json(fleet: Fleet, plan: Plan) -> str:
    """Everything, for other tools: the same bytes for the same fleet. All paths are relative to the root."""
    document = {
        "schema": SCHEMA,
        "target": str(plan.target),
        "interpreters": [str(interpreter) for interpreter in sorted(plan.interpreters)],
        "services": [_service_document(service) for service in fleet.services],
        "assumptions": list(fleet.assumptions),
    }
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def render_csv(fleet: Fleet, plan: Plan) -> str:
    """One line for each service; several values in one field are separated by ``"; "``."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow((*_COLUMNS, "target"))
    for service in fleet.services:
        fields = (
            service.name,
            service.path,
            str(service.stage),
            str(service.baseline),
            service.baseline_source,
            "; ".join(_declared(found) for found in service.declarations),
            "; ".join(map(str, service.requirements)),
            "; ".join(map(str, service.test_requirements)),
            "; ".join(map(str, service.further)),
            _suite_words(service.suite),
            "; ".join(_declared(found) for found in service.images),
            _distribution_words(service),
        )
        writer.writerow([_no_formula(visible(field)) for field in (*fields, str(plan.target))])
    return stream.getvalue()


def render_markdown(fleet: Fleet, plan: Plan) -> str:
    """A table for a page or a pull request, then the assumptions."""
    lines = [f"# {_title(fleet, plan)}", "", row(_HEADINGS), row(["---"] * len(_HEADINGS))]
    lines += [row([escaped(cell) for cell in _row(service)]) for service in fleet.services]
    if fleet.assumptions:
        lines += ["", "## Assumed", "", *(f"- {escaped(assumption)}" for assumption in fleet.assumptions)]
    return "\n".join(lines) + "\n"


def _title(fleet: Fleet, plan: Plan) -> str:
    count = len(fleet.services)
    return f"{count} service{'' if count == 1 else 's'}, target Python {plan.target}"


def _row(service: Service) -> tuple[str, ...]:
    """The cells under ``_HEADINGS``, with paths relative to the service where they lie in it."""
    telling = (found for found in service.declarations if not found.text.startswith("Programming Language"))
    declared = list(dict.fromkeys(_inner(_declared(found), service) for found in telling))
    shown = declared[:_SHOWN]
    if len(declared) > _SHOWN:
        shown.append(f"and {len(declared) - _SHOWN} more")
    sources = [_inner(str(source), service) for source in service.requirements]
    sources += [f"{_inner(str(source), service)} (tests)" for source in service.test_requirements]
    sources += [f"{_inner(str(source), service)} (by itself)" for source in service.further]
    cells = (
        [service.name] if service.name == service.path else [service.name, service.path],
        [str(service.stage) + (" critical" if service.critical else "")],
        [str(service.baseline)],
        [_inner(service.baseline_source, service)],
        shown or ["nothing"],
        sources or ["none found"],
        [_suite_words(service.suite)],
        [_distribution_words(service)],
    )
    return tuple("\n".join(visible(line) for line in cell) for cell in cells)


def _inner(text: str, service: Service) -> str:
    return text.replace(f"{service.path}/", "") if service.path != "." else text


def _declared(found: Declaration) -> str:
    return f"{found.text} at {found.location}"


def _suite_words(suite: Suite | None) -> str:
    if suite is None:
        return "none"
    mode = f" --import-mode={suite.import_mode}" if suite.import_mode else ""
    return " ".join([suite.kind.value + mode, *suite.arguments])


def _distribution_words(service: Service) -> str:
    found = service.distribution
    if found is None:
        return "no"
    return f"{found.name or '(name unknown)'} {found.version or '(version told by a build)'}"


def _service_document(service: Service) -> Mapping[str, Any]:
    suite, distribution = service.suite, service.distribution
    return {
        "name": service.name,
        "path": service.path,
        "stage": service.stage,
        "critical": service.critical,
        "baseline": str(service.baseline),
        "baseline_source": service.baseline_source,
        "declarations": [_declaration_document(found) for found in service.declarations],
        "requirements": [_source_document(source) for source in service.requirements],
        "test_requirements": [_source_document(source) for source in service.test_requirements],
        "further_requirements": [_source_document(source) for source in service.further],
        "suite": suite
        and {"kind": suite.kind.value, "arguments": list(suite.arguments), "import_mode": suite.import_mode},
        "suite_skip_reason": service.settings.suite_skip_reason,
        "python_path": list(service.python_path),
        "distribution": distribution
        and {
            "name": distribution.name,
            "version": distribution.version,
            "static": distribution.static,
            "source_roots": list(distribution.source_roots),
            "scripts": dict(distribution.scripts),
        },
        "manifest": service.manifest,
    }


def _declaration_document(found: Declaration) -> Mapping[str, Any]:
    return {
        "kind": found.kind,
        "text": found.text,
        "path": found.location.path,
        "line": found.location.line,
        "column": found.location.column,
        "interpreter": str(found.interpreter) if found.interpreter else None,
    }


def _source_document(source: RequirementSource) -> Mapping[str, str]:
    return {"path": source.path, "table": source.table}


def _no_formula(field: str) -> str:
    """A spreadsheet must not calculate what a file name says."""
    return f"'{field}" if field.startswith(("=", "+", "-", "@")) else field
