"""Find the layers that stacks of CloudFormation hand on to the templates of nested ones. Pure.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-nested-stacks.html
"""

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pytest_py312.repository.formats.functions.serverless import FunctionLayer, code_folder, read_layer
from pytest_py312.repository.formats.yaml import (
    YamlMapping,
    YamlNode,
    YamlSequence,
    child_of,
    first_document,
    pairs_of,
    scalar_text,
)

MAX_DEPTH = 20
"""Levels of a value in which outputs are searched."""
_LOCATIONS = {"AWS::CloudFormation::Stack": "TemplateURL", "AWS::Serverless::Application": "Location"}
"""Types of nested stacks, and their keys with the template."""
_OUTPUT = re.compile(r"(?P<stack>\w{1,200})\.Outputs\.(?P<output>\w{1,200})", re.ASCII)

LayersByParameter = Mapping[str, tuple[FunctionLayer, ...]]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Stack:
    """A nested stack: its template, a path relative to the root, and what it gets."""

    template: str
    parameters: YamlNode | None


def layers_of_parameters(texts: Mapping[str, str]) -> dict[str, LayersByParameter]:
    """Return the layers that the parameters of templates stand for, by the paths of these, then by parameter.

    A stack hands on its own layers (``!Ref Common``) and the outputs of another one
    (``!GetAtt LayersStack.Outputs.Common``), also in a list or a join.
    """
    layers_by_template: dict[str, LayersByParameter] = {}
    for path, text in texts.items():
        if "Parameters" not in text or not any(name in text for name in _LOCATIONS):
            continue
        stacks = dict(_stacks(text, path))
        for stack in stacks.values():
            layers = {
                scalar_text(name): (*_own_layers(value, text, path), *_layers_in(value, stacks, texts))
                for name, value in pairs_of(stack.parameters)
            }
            named = {name: of_parameter for name, of_parameter in layers.items() if of_parameter}
            if named:
                layers_by_template[stack.template] = {**layers_by_template.get(stack.template, {}), **named}
    return layers_by_template


def layers_by_name(texts: Mapping[str, str]) -> LayersByParameter:
    """Return the layers of all templates by their names, and by those under which a template exports them.

    A function of another stack names a layer by its ARN (``arn:aws:lambda:...:layer:NAME:1``) or by ``!ImportValue``.
    """
    layers: dict[str, tuple[FunctionLayer, ...]] = {}
    for path, text in texts.items():
        if "LayerVersion" not in text:
            continue
        root = first_document(text)
        own = {
            scalar_text(name): (resource, layer)
            for name, resource in pairs_of(child_of(root, "Resources"))
            if scalar_text(child_of(resource, "Type")).endswith("LayerVersion")
            and (layer := read_layer(resource, text, posixpath.dirname(path), path)) is not None
        }
        for resource, layer in own.values():
            layers[scalar_text(child_of(child_of(resource, "Properties"), "LayerName"))] = (layer,)
        for _, output in pairs_of(child_of(root, "Outputs")):
            exported = own.get(scalar_text(child_of(output, "Value")))
            if exported is not None:
                layers[scalar_text(child_of(child_of(output, "Export"), "Name"))] = (exported[1],)
    layers.pop("", None)
    return layers


def _stacks(text: str, path: str) -> Iterator[tuple[str, _Stack]]:
    for name, resource in pairs_of(child_of(first_document(text), "Resources")):
        key = _LOCATIONS.get(scalar_text(child_of(resource, "Type")), "")
        properties = child_of(resource, "Properties")
        template = code_folder(scalar_text(child_of(properties, key)), posixpath.dirname(path)) if key else ""
        if template:
            yield scalar_text(name), _Stack(template=template, parameters=child_of(properties, "Parameters"))


def _own_layers(value: YamlNode, text: str, path: str) -> Iterator[FunctionLayer]:
    """Yield the layers of the template itself that a value names."""
    resources = child_of(first_document(text), "Resources")
    for name in _scalars(value):
        resource = child_of(resources, name)
        layer = read_layer(resource, text, posixpath.dirname(path), path) if resource is not None else None
        if layer is not None:
            yield layer


def _layers_in(value: YamlNode, stacks: Mapping[str, _Stack], texts: Mapping[str, str]) -> Iterator[FunctionLayer]:
    for text in _scalars(value):
        match = _OUTPUT.fullmatch(text)
        stack = stacks.get(match["stack"]) if match else None
        if match is None or stack is None:
            continue
        template = texts.get(stack.template, "")
        root = first_document(template)
        output = scalar_text(child_of(child_of(child_of(root, "Outputs"), match["output"]), "Value"))
        resource = child_of(child_of(root, "Resources"), output)
        folder = posixpath.dirname(stack.template)
        if resource is not None and (layer := read_layer(resource, template, folder, stack.template)) is not None:
            yield layer


def _scalars(node: YamlNode, depth: int = 0) -> Iterator[str]:
    if isinstance(node, YamlSequence | YamlMapping):
        children = node.items if isinstance(node, YamlSequence) else [value for _, value in node.pairs]
        for child in children if depth < MAX_DEPTH else ():
            yield from _scalars(child, depth + 1)
    else:
        yield node.value
