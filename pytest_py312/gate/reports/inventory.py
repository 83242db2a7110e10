"""Render the discovered fleet, before any check runs, as a table, JSON, CSV or Markdown."""

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pytest_py312.core.model.fleet import (
    Declaration,
    Fleet,
    InstallRecipe,
    InstallStep,
    LocalProject,
    RequirementSource,
    Service,
)
from pytest_py312.core.model.plan import Plan, Suite
from pytest_py312.core.text import escape_control, escape_markdown, markdown_table

SCHEMA = 1
"""Version of the JSON document. It is increased when a name in the document changes its meaning."""

_MAX_DECLARATIONS = 4
"""Declarations shown per service in the table and in Markdown. JSON and CSV contain all of them."""
_COLUMNS = (
    "name", "path", "stage", "baseline", "baseline_source", "declared", "requirements", "test_requirements",
    "further_requirements", "suite",
    "images", "distribution", "owners",
)  # fmt: skip
_WIDE_TERMINAL = 110
"""Width of a terminal, in columns, from which on the table has all columns."""
_WIDE_ONLY_HEADINGS = ("Declared", "Distribution")
_HEADINGS = ("Service", "Stage", "Baseline", "Source", "Declared", "Requirements", "Suite", "Distribution")


def render_table(fleet: Fleet, plan: Plan, *, width: int, color: bool) -> str:
    """Return a table for a terminal of ``width`` columns, followed by the assumptions. Paths are relative to the
    service.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=_title(fleet, plan), title_justify="left", show_lines=True, expand=False)
    visible_columns = [
        index
        for index, heading in enumerate(_HEADINGS)
        if width >= _WIDE_TERMINAL or heading not in _WIDE_ONLY_HEADINGS
    ]
    for heading in (_HEADINGS[index] for index in visible_columns):
        table.add_column(heading, overflow="fold", justify="right" if heading in ("Stage", "Baseline") else "left")
    for service in fleet.services:
        cells = _table_row(service)
        table.add_row(*(Text(cells[index]) for index in visible_columns))
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
    if width < _WIDE_TERMINAL:
        console.print("A wider terminal and the other formats also show declared versions and distributions.")
    steps = [line for service in fleet.services for line in _recipe_lines(service)]
    if steps:
        console.print("Installed by:")
        for line in steps:
            console.print(Text(f"  {escape_control(line)}"))
    if fleet.assumptions:
        console.print("Assumptions:")
        for assumption in fleet.assumptions:
            console.print(Text(f"- {escape_control(assumption)}"))
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"


def render_json(fleet: Fleet, plan: Plan) -> str:
    """Return the fleet as JSON for other tools.

    The same fleet gives the same bytes. All paths are relative to the root.
    """
    document = {
        "schema": SCHEMA,
        "target": str(plan.target),
        "interpreters": [str(interpreter) for interpreter in sorted(plan.interpreters)],
        "services": [_service_document(service) for service in fleet.services],
        "assumptions": list(fleet.assumptions),
    }
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def render_csv(fleet: Fleet, plan: Plan) -> str:
    """Return one line per service. Several values in one field are separated by ``"; "``."""
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
            "; ".join(_format_declaration(declaration) for declaration in service.declarations),
            "; ".join(map(str, service.requirements)),
            "; ".join(map(str, service.test_requirements)),
            "; ".join(map(str, service.additional_requirements)),
            _describe_suite(service.suite),
            "; ".join(_format_declaration(declaration) for declaration in service.images),
            _describe_distribution(service),
            "; ".join(service.owners),
        )
        writer.writerow([_escape_formula(escape_control(field)) for field in (*fields, str(plan.target))])
    return stream.getvalue()


def render_markdown(fleet: Fleet, plan: Plan) -> str:
    """Return a Markdown table for a page or a pull request, followed by the assumptions."""
    rows = [[escape_markdown(cell) for cell in _table_row(service)] for service in fleet.services]
    lines = [f"# {_title(fleet, plan)}", "", *markdown_table(_HEADINGS, rows)]
    steps = [line for service in fleet.services for line in _recipe_lines(service)]
    if steps:
        lines += ["", "## Installed by", ""]
        lines += [f"{'  ' if line.startswith(' ') else ''}- {escape_markdown(line.strip())}" for line in steps]
    if fleet.assumptions:
        lines += ["", "## Assumptions", "", *(f"- {escape_markdown(assumption)}" for assumption in fleet.assumptions)]
    return "\n".join(lines) + "\n"


def _title(fleet: Fleet, plan: Plan) -> str:
    count = len(fleet.services)
    return f"{count} service{'' if count == 1 else 's'}, target Python {plan.target}"


def _table_row(service: Service) -> tuple[str, ...]:
    """Return the cells below ``_HEADINGS``. Paths inside of the service are relative to it."""
    declarations = (
        declaration for declaration in service.declarations if not declaration.text.startswith("Programming Language")
    )
    declared = list(
        dict.fromkeys(_relative_to_service(_format_declaration(declaration), service) for declaration in declarations)
    )
    shown = declared[:_MAX_DECLARATIONS]
    if len(declared) > _MAX_DECLARATIONS:
        shown.append(f"and {len(declared) - _MAX_DECLARATIONS} more")
    sources = [_relative_to_service(str(source), service) for source in service.requirements]
    sources += [f"{_relative_to_service(str(source), service)} (tests)" for source in service.test_requirements]
    sources += [
        f"{_relative_to_service(str(source), service)} (separate)" for source in service.additional_requirements
    ]
    title = [service.name] if service.name == service.path else [service.name, service.path]
    cells = (
        [*title, *service.owners],
        [str(service.stage) + (" critical" if service.critical else "")],
        [str(service.baseline)],
        [_relative_to_service(service.baseline_source, service)],
        shown or ["nothing"],
        sources or ["none found"],
        [_describe_suite(service.suite)],
        [_describe_distribution(service)],
    )
    return tuple("\n".join(escape_control(line) for line in cell) for cell in cells)


def _relative_to_service(text: str, service: Service) -> str:
    """Return a text with the paths in the service's folder relative to it."""
    return re.sub(rf"(?<![\w./-]){re.escape(service.path)}/", "", text) if service.path != "." else text


def _format_declaration(declaration: Declaration) -> str:
    return f"{declaration.text} at {declaration.location}"


def _describe_suite(suite: Suite | None) -> str:
    if suite is None:
        return "none"
    mode = f" --import-mode={suite.import_mode}" if suite.import_mode else ""
    folder = f" (in {suite.folder})" if suite.folder else ""
    return " ".join([suite.kind.value + mode, *suite.arguments]) + folder


def _describe_distribution(service: Service) -> str:
    distribution = service.distribution
    if distribution is None:
        return "no"
    return f"{distribution.name or '(name unknown)'} {distribution.version or '(version set by the build)'}"


def _service_document(service: Service) -> Mapping[str, Any]:
    suite, distribution = service.suite, service.distribution
    return {
        "name": service.name,
        "path": service.path,
        "stage": service.stage,
        "critical": service.critical,
        "baseline": str(service.baseline),
        "baseline_source": service.baseline_source,
        "owners": list(service.owners),
        "owners_source": service.owners_source,
        "declarations": [_declaration_document(declaration) for declaration in service.declarations],
        "requirements": [_source_document(source) for source in service.requirements],
        "test_requirements": [_source_document(source) for source in service.test_requirements],
        "further_requirements": [_source_document(source) for source in service.additional_requirements],
        "suite": suite
        and {
            "kind": suite.kind.value,
            "arguments": list(suite.arguments),
            "import_mode": suite.import_mode,
            "folder": suite.folder,
        },
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
        "recipe": _recipe_document(service.recipe),
        "test_recipe": _recipe_document(service.test_recipe),
    }


def _declaration_document(declaration: Declaration) -> Mapping[str, Any]:
    return {
        "kind": declaration.kind,
        "text": declaration.text,
        "path": declaration.location.path,
        "line": declaration.location.line,
        "column": declaration.location.column,
        "interpreter": str(declaration.interpreter) if declaration.interpreter else None,
    }


def _source_document(source: RequirementSource) -> Mapping[str, Any]:
    document: dict[str, Any] = {"path": source.path, "table": source.table}
    if source.arguments:
        document |= {"arguments": list(source.arguments), "line": source.line}
    if source.constraints:
        document["constraints"] = True
    return document


def _escape_formula(field: str) -> str:
    """Prevent spreadsheets from evaluating a field, such as a file name, as a formula."""
    return f"'{field}" if field.startswith(("=", "+", "-", "@")) else field


# ---- the recipes


def _recipe_lines(service: Service) -> Iterator[str]:
    """Yield the recipes of a service: a heading for each, and its steps with their places, indented."""
    for purpose, recipe in (("production", service.recipe), ("tests", service.test_recipe)):
        if recipe is None:
            continue
        yield f"{service.name}, {purpose}: {recipe.source}"
        for step in recipe.steps:
            yield f"  {step.location}  {_describe_step(step)}"
        for limit in recipe.limits:
            yield f"  not followed: {limit}"


def _describe_step(step: InstallStep) -> str:
    """Return what a step installs, similar to its command. Paths are relative to the root."""
    words = [step.tool]
    words += [f"-r {path}" for path in step.files]
    words += [f"-c {path}" for path in step.constraints]
    words += step.arguments
    words += [_describe_project(project) for project in step.projects]
    if step.project is not None:
        words.append(f"project {step.project}")
    words += [f"--extra {name}" for name in step.extras] + ["--all-extras"] * step.all_extras
    words += [f"--group {name}" for name in step.groups] + ["--all-groups"] * step.all_groups
    words += [f"--without {name}" for name in step.without]
    words += [f"--only {name}" for name in step.only]
    if step.project is not None and not step.default_groups:
        words.append("without default groups")
    words += step.flags
    words += [f"{option} {_without_password(value)}" for option, value in step.indexes]
    words += [f"--target {step.target}"] * bool(step.target) + [f"--prefix {step.prefix}"] * bool(step.prefix)
    words += [f"into {step.environment}"] * bool(step.environment)
    words += (*step.system_packages, *step.installers)
    notes = ["under a condition"] * step.conditional
    notes += [f"cannot be determined: {', '.join(step.unresolved)}"] * bool(step.unresolved)
    notes += [f"not used: {', '.join(step.left_out)}"] * bool(step.left_out)
    return " ".join(words) + (f" ({'; '.join(notes)})" if notes else "")


def _recipe_document(recipe: InstallRecipe | None) -> Mapping[str, Any] | None:
    """Return the recipe for a JSON document."""
    if recipe is None:
        return None
    return {
        "source": recipe.source,
        "steps": [_step_document(step) for step in recipe.steps],
        "limits": list(recipe.limits),
    }


def _step_document(step: InstallStep) -> Mapping[str, Any]:
    return {
        "tool": step.tool,
        "path": step.location.path,
        "line": step.location.line,
        "folder": step.folder,
        "files": list(step.files),
        "constraints": list(step.constraints),
        "arguments": list(step.arguments),
        "projects": [
            {"path": project.path, "extras": list(project.extras), "editable": project.editable}
            for project in step.projects
        ],
        "project": step.project,
        "extras": list(step.extras),
        "groups": list(step.groups),
        "without": list(step.without),
        "only": list(step.only),
        "all_extras": step.all_extras,
        "all_groups": step.all_groups,
        "default_groups": step.default_groups,
        "flags": list(step.flags),
        "installers": list(step.installers),
        "target": step.target,
        "prefix": step.prefix,
        "indexes": [[option, _without_password(value)] for option, value in step.indexes],
        "system_packages": list(step.system_packages),
        "environment": step.environment,
        "conditional": step.conditional,
        "unresolved": list(step.unresolved),
        "left_out": list(step.left_out),
    }


def _describe_project(project: LocalProject) -> str:
    extras = f"[{','.join(project.extras)}]" if project.extras else ""
    return ("-e " if project.editable else "") + (f"./{project.path}{extras}" if project.path != "." else f".{extras}")


def _without_password(url: str) -> str:
    """Return an address without what stands in front of ``@`` in it."""
    scheme, separator, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path}" if separator else url
