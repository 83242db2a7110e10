"""Read the commands in tables of cron. Never raises. Imports little: discovery asks it about every file."""

import re
from collections.abc import Iterator

_MAX_LENGTH = 200_000
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
    r"/.*|\..*|\(.*|[A-Za-z_]\w*=.*|(?:.*/)?python[\d.]*|(?:ba|a|da)?sh|cd|test|\[|env|exec|flock|nice|sleep|timeout"
)
"""The first word of a command that no name of a user looks like."""


def is_crontab(path: str) -> bool:
    """Return whether it may be a table of cron by its path."""
    name = path.rpartition("/")[2]
    if name.lower().endswith(_NOT_CRONTAB):
        return False
    return _CRONTAB.fullmatch(name) is not None or _CRON_FOLDER.search(path) is not None


def cron_commands(text: str) -> str:
    """Return the text of a table of cron with its schedules replaced by blanks; empty if it has no schedule."""
    lines = [(line, _SCHEDULE.match(line)) for line in text[:_MAX_LENGTH].split("\n")]
    if not any(schedule for _, schedule in lines):
        return ""
    return "\n".join(schedule["command"].rjust(len(line)) if schedule is not None else line for line, schedule in lines)


def cron_lines(text: str) -> Iterator[tuple[str, dict[str, str]]]:
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
    if match is None or _COMMAND_START.fullmatch(match["name"]):
        return command
    is_user = match["name"] == "root" or _COMMAND_START.fullmatch(match["first"])
    return match["command"] if is_user else command
