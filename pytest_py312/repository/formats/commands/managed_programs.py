"""Read the commands that supervisord, systemd, uWSGI, cron and Kubernetes run from their files. Never raises."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from types import MappingProxyType

from pytest_py312.repository.formats.commands.crontab import cron_lines, is_crontab
from pytest_py312.repository.formats.start_commands import StartCommand, read_argv, read_command
from pytest_py312.repository.formats.text_positions import blank_jinja
from pytest_py312.repository.formats.yaml import (
    InvalidYaml,
    YamlMapping,
    YamlNode,
    YamlSequence,
    child_of,
    content_end,
    items_of,
    parse_documents,
    scalar_text,
)

MAX_COMMANDS = 200
MAX_LENGTH = 200_000
"""Characters of a file that are read."""
_SUPERVISOR_COMMAND = re.compile(r"^command[ \t]*[=:][ \t]*(?P<command>.+(?:\r?\n[ \t]+\S.*)*)", re.MULTILINE)
_SUPERVISOR_VARIABLE = re.compile(r"%\(ENV_([A-Za-z_]\w*)\)s", re.ASCII)
_UNIT_COMMAND = re.compile(
    r"^Exec(?:Start|StartPre|StartPost)[ \t]*=[ \t]*[-@:+!|]*(?P<command>.*(?:(?<=\\)\r?\n.*)*)", re.MULTILINE
)
_UWSGI_MODULE = re.compile(r"^[ \t]*(?P<key>module|wsgi|wsgi-file)[ \t]*=[ \t]*(?P<value>\S+)", re.MULTILINE)
_ENVIRONMENT = re.compile(r"^environment[ \t]*=(?P<pairs>.*(?:\r?\n[ \t]+\S.*)*)", re.MULTILINE | re.IGNORECASE)
_PAIR = re.compile(
    r"(?<!\w)(?P<name>[A-Za-z_]\w*)=(?:\"(?P<quoted>[^\"\n]*)\"|'(?P<single>[^'\n]*)'|(?P<plain>[^\s,\"']*))", re.ASCII
)
_MANIFEST = re.compile(r"^[ \t-]{0,100}(?:containers|initContainers):", re.MULTILINE)
_COMMAND_KEY = re.compile(r"^[ \t\"'-]{0,100}(?:command|args)[\"']?:", re.MULTILINE)
_REFERENCE = re.compile(r"\$\(([A-Za-z_]\w*)\)", re.ASCII)
"""How Kubernetes writes a variable in the words of a command."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ManifestContainer:
    """A container of a manifest: its image, its first and last line, the words of its command, and its variables."""

    image: str
    lines: tuple[int, int]
    words: tuple[str, ...]
    variables: Mapping[str, str]


def may_manage_programs(path: str) -> bool:
    """Return whether it may be a file of what starts programs, by its path."""
    is_settings = path.endswith((".conf", ".ini")) and re.search("supervis|uwsgi", path, re.IGNORECASE)
    return bool(is_settings) or path.endswith((".service", ".yaml", ".yml")) or is_crontab(path)


def read_managed_programs(
    text: str, path: str, variables: Mapping[str, str] = MappingProxyType({})
) -> tuple[StartCommand, ...]:
    """Return the commands of a file; nothing if it starts none.

    :param variables: those that the programs have in any case.
    """
    text = text[:MAX_LENGTH]
    if path.endswith((".yaml", ".yml")):
        commands = _manifest_commands(text, variables)
    elif is_crontab(path):
        commands = (
            read_command(line, is_script=True, variables={**variables, **own}) for line, own in cron_lines(text)
        )
    elif "uwsgi" in path.rpartition("/")[2].lower():
        settings = _UWSGI_MODULE.finditer(text)
        commands = (read_argv(["uwsgi", f"--{found['key']}={found['value']}"], variables) for found in settings)
    else:
        pattern = _UNIT_COMMAND if path.endswith(".service") else _SUPERVISOR_COMMAND
        commands = _settings_commands(text, pattern, variables)
    return tuple(islice(commands, MAX_COMMANDS))


def _settings_commands(text: str, pattern: re.Pattern[str], variables: Mapping[str, str]) -> Iterator[StartCommand]:
    own = dict(variables)
    for setting in _ENVIRONMENT.finditer(text):
        for pair in _PAIR.finditer(setting["pairs"]):
            own[pair["name"]] = pair["quoted"] or pair["single"] or pair["plain"] or ""
    for match in pattern.finditer(text):
        lines = (line.strip().removesuffix("\\") for line in match["command"].splitlines())
        command = _SUPERVISOR_VARIABLE.sub(r"${\1}", " ".join(lines))
        yield read_command(re.sub(r"[ \t];.*", "", command), is_script=True, variables=own)


def _manifest_commands(text: str, variables: Mapping[str, str]) -> Iterator[StartCommand]:
    """Yield the commands of the containers of manifests, if one has a command."""
    if _COMMAND_KEY.search(text):
        for container in read_containers(text):
            if container.words:
                yield read_argv(container.words, {**variables, **container.variables})


def read_containers(text: str) -> Iterator[ManifestContainer]:
    """Yield the containers that objects of Kubernetes start, also those of a template of Helm."""
    text = text[:MAX_LENGTH]
    if not _MANIFEST.search(text):
        return
    try:
        documents = parse_documents(blank_jinja(text) if "{{" in text else text)
    except InvalidYaml:
        return
    for container in (item for document in documents for item in _containers(document)):
        words = (word for key in ("command", "args") for word in items_of(child_of(container, key)))
        pairs = ((child_of(item, "name"), child_of(item, "value")) for item in items_of(child_of(container, "env")))
        yield ManifestContainer(
            image=scalar_text(child_of(container, "image")),
            lines=(text.count("\n", 0, container.start) + 1, text.count("\n", 0, content_end(container)) + 1),
            words=tuple(_REFERENCE.sub(r"${\1}", scalar_text(word)) for word in words),
            variables={scalar_text(name): scalar_text(value) for name, value in pairs if scalar_text(value)},
        )


def _containers(document: YamlNode) -> Iterator[YamlNode]:
    pending, seen = [document], set[int]()
    while pending:
        node = pending.pop()
        if id(node) in seen:  # an alias
            continue
        seen.add(id(node))
        if isinstance(node, YamlSequence):
            pending += reversed(node.items)
        elif isinstance(node, YamlMapping):
            for key in ("initContainers", "containers"):
                yield from items_of(child_of(node, key))
            pending += reversed([value for _, value in node.pairs])
