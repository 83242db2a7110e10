"""Read the commands that supervisord, systemd, uWSGI, cron and Kubernetes run from their files. Never raises."""

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from types import MappingProxyType

from pytest_py312.repository.formats.start_commands import SHELLS, StartCommand, read_argv, read_command
from pytest_py312.repository.formats.text_positions import blank_jinja
from pytest_py312.repository.formats.yaml import (
    InvalidYaml,
    YamlMapping,
    YamlNode,
    YamlSequence,
    child_of,
    items_of,
    parse_documents,
    scalar_text,
)

MAX_COMMANDS = 200
MAX_LENGTH = 200_000
"""Characters of a file that are read."""
_NOT_CRONTAB = (".py", ".sh", ".yaml", ".yml", ".md", ".rst", ".json", ".toml", ".tf", ".service", ".timer", ".log")
_CRONTAB = re.compile(r"(?:.{0,80}[._-])?cron(?:tabs?|jobs?|s)?(?:[._-][\w-]{1,40}){0,3}", re.IGNORECASE | re.ASCII)
_CRON_FOLDER = re.compile(r"(?:^|/)(?:cron\.d|crontabs)/[^/]+$")
_SCHEDULE = re.compile(
    r"""[ \t]*(?:@(?:reboot|yearly|annually|monthly|weekly|daily|midnight|hourly)
    |(?:[\d*][\d*/,-]{0,40}[ \t]+){2}(?:[\w*/,?#-]{1,40}[ \t]+){2}[\w*/,?#-]{1,40})[ \t]+(?P<command>\S.*)""",
    re.ASCII | re.VERBOSE,
)
_SETTING = re.compile(r"^[ \t]*(?P<name>[A-Za-z_]\w*)[ \t]*=[ \t]*[\"']?(?P<value>[^\"'\n]*)", re.ASCII)
_USER = re.compile(r"(?P<name>[a-z_][\w-]{0,31})[ \t]+(?P<command>(?P<first>\S+).*)", re.ASCII)
_COMMAND_START = re.compile(
    r"/.*|\..*|\(.*|[A-Za-z_]\w*=.*|(?:.*/)?python[\d.]*|cd|test|\[|env|exec|flock|nice|sleep|timeout"
)
"""The first word of a command that no name of a user looks like."""
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


def is_crontab(path: str) -> bool:
    """Return whether it may be a table of cron by its path."""
    name = path.rpartition("/")[2]
    if name.lower().endswith(_NOT_CRONTAB):
        return False
    return _CRONTAB.fullmatch(name) is not None or _CRON_FOLDER.search(path) is not None


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
            read_command(line, is_script=True, variables={**variables, **own}) for line, own in _cron_lines(text)
        )
    elif "uwsgi" in path.rpartition("/")[2].lower():
        settings = _UWSGI_MODULE.finditer(text)
        commands = (read_argv(["uwsgi", f"--{found['key']}={found['value']}"], variables) for found in settings)
    else:
        pattern = _UNIT_COMMAND if path.endswith(".service") else _SUPERVISOR_COMMAND
        commands = _settings_commands(text, pattern, variables)
    return tuple(islice(commands, MAX_COMMANDS))


def cron_commands(text: str) -> str:
    """Return the text of a table of cron with its schedules replaced by blanks; empty if it has no schedule."""
    lines = [(line, _SCHEDULE.match(line)) for line in text[:MAX_LENGTH].split("\n")]
    if not any(schedule for _, schedule in lines):
        return ""
    return "\n".join(schedule["command"].rjust(len(line)) if schedule is not None else line for line, schedule in lines)


def _cron_lines(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the commands of a table, with the variables that are set above them."""
    variables: dict[str, str] = {}
    for line in text.splitlines():
        if schedule := _SCHEDULE.match(line):
            yield _without_user(schedule["command"]), dict(variables)
        elif setting := _SETTING.match(line):
            variables[setting["name"]] = setting["value"].strip()


def _without_user(command: str) -> str:
    """Return a command without the name of a user in front, which tables of the system have: ``root cd /app``."""
    match = _USER.fullmatch(command)
    if match is None or _COMMAND_START.fullmatch(match["name"]) or match["name"] in SHELLS:
        return command
    is_user = match["name"] == "root" or _COMMAND_START.fullmatch(match["first"]) or match["first"] in SHELLS
    return match["command"] if is_user else command


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
    """Yield the commands of the containers that objects of Kubernetes start, also those of a template of Helm."""
    if not (_MANIFEST.search(text) and _COMMAND_KEY.search(text)):
        return
    try:
        documents = parse_documents(blank_jinja(text) if "{{" in text else text)
    except InvalidYaml:
        return
    for container in (item for document in documents for item in _containers(document)):
        command, arguments = (
            [_REFERENCE.sub(r"${\1}", scalar_text(word)) for word in items_of(child_of(container, key))]
            for key in ("command", "args")
        )
        if command or arguments:
            pairs = ((child_of(item, "name"), child_of(item, "value")) for item in items_of(child_of(container, "env")))
            own = {scalar_text(name): scalar_text(value) for name, value in pairs if scalar_text(value)}
            yield read_argv([*command, *arguments], {**variables, **own})


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
