"""Resolve the expressions of pipelines, such as ``${{ matrix.python }}``, to the values that they refer to."""

import re
from collections.abc import Iterator

from pytest_py312.repository.declarations.declaration import ListItem
from pytest_py312.repository.declarations.yaml_walk import (
    YamlContext,
    combination_scalars,
    outside_combination,
    scalars_of,
    walk_pairs,
)
from pytest_py312.repository.formats.yaml import YamlMapping, YamlNode, YamlScalar, child_of

REFERENCE = re.compile(
    r"\$\{\{\s*(?:matrix|env|inputs|parameters|variables|vars|steps|needs|github)?"
    r"(?:\.?(?P<dotted>[\w.-]+)|\[\s*'(?P<bracket>[\w.-]+)'\s*\])\s*\}\}"
    r"|\$\((?P<azure>[\w.]+)\)"
    r"|<<\s*(?:parameters|matrix|pipeline\.parameters)\.(?P<circle>[\w-]+)\s*>>"
    r"|\$(?:\{(?P<braced>[A-Za-z_]\w*)\}|(?P<bare>[A-Za-z_]\w*))",
    re.ASCII,
)


def referenced_scalars(
    context: YamlContext, reference: re.Match[str]
) -> Iterator[tuple[YamlContext, YamlScalar, ListItem | None]]:
    """Yield the scalars that an expression refers to, resolved as the pipeline does."""
    name = next((value for value in reference.groupdict().values() if value), "")
    expression = reference[0]
    if "matrix" in expression or reference["azure"] or reference["circle"]:
        strategy = next(iter(context.nearest_values("strategy")), None)
        yield from _matrix_scalars(strategy, name)
    nearest_value = next(iter([*context.nearest_values("env", name), *context.nearest_values("variables", name)]), None)
    if nearest_value is not None:
        for scalar, item in scalars_of(nearest_value):
            yield outside_combination(context), scalar, item
    for table in ("inputs", "parameters"):
        for mapping in context.mappings:
            for holder in (mapping, child_of(mapping, "on")):
                yield from _default_scalars(context, holder, table, name)


def _matrix_scalars(strategy: YamlNode | None, name: str) -> Iterator[tuple[YamlContext, YamlScalar, ListItem | None]]:
    matrix = child_of(strategy, "matrix")
    if matrix is None or not isinstance(strategy, YamlMapping):
        return
    first, _, inner = name.partition(".")
    for pair_context, key, value in walk_pairs(matrix, YamlContext(mappings=(strategy,), keys=("matrix",))):
        if key == first:
            for scalar, item in combination_scalars(value, inner) if inner else scalars_of(value):
                yield pair_context, scalar, item


def is_empty_matrix_value(context: YamlContext, expression: str) -> bool:
    """Return whether a job of GitHub refers to a matrix that it does not have: ``${{ matrix.python-version }}``.

    GitHub evaluates a property that does not exist to an empty string.
    https://docs.github.com/en/actions/reference/workflows-and-actions/contexts
    """
    return (
        re.match(r"\$\{\{\s*matrix\.", expression) is not None
        and bool(list(context.nearest_values("runs-on")))
        and not list(context.nearest_values("strategy"))
    )


def _default_scalars(
    context: YamlContext, holder: YamlNode | None, table: str, name: str
) -> Iterator[tuple[YamlContext, YamlScalar, ListItem | None]]:
    for trigger_node in (holder, child_of(holder, "workflow_call"), child_of(holder, "workflow_dispatch")):
        default = child_of(child_of(child_of(trigger_node, table), name), "default")
        for scalar, item in scalars_of(default):
            yield outside_combination(context), scalar, item
