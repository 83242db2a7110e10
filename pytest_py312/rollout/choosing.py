"""Which deployed services a command line means: by name, by path, or by a glob of either."""

from collections.abc import Callable, Mapping, Sequence

from pytest_py312.errors import OptionError
from pytest_py312.patterns import matches
from pytest_py312.rollout.model import StageRun

Paths = Callable[[], Mapping[str, str]]
"""Service -> its path. Asked only where a name does not do: a way back must not hang on a tree that can be read."""


def stage_with(patterns: Sequence[str], known: Sequence[StageRun], paths: Paths) -> int:
    """The one stage that services of these names were deployed with.

    :raises OptionError: none, or several.
    """
    services = set(chosen(patterns, known, paths))
    stages = sorted({run.stage for run in known if services & set(run.services)})
    if len(stages) != 1:
        raise OptionError("name what is meant: --stage N, or --services of one stage")
    return stages[0]


def chosen(patterns: Sequence[str], known: Sequence[StageRun], paths: Paths) -> tuple[str, ...]:
    """The deployed services that the patterns fit; a comma parts patterns as well.

    :raises OptionError: a pattern fits none.
    """
    words = [word for pattern in patterns for word in pattern.split(",") if word]
    deployed = [service for run in known for service in run.services]
    found = {word: [one for one in deployed if matches(word, one, one)] for word in words}
    missed = [word for word, services in found.items() if not services]
    if missed:
        places = paths()
        found |= {word: [one for one in deployed if matches(word, one, places.get(one, one))] for word in missed}
    for word, services in found.items():
        if not services:
            raise OptionError(
                f"--services {word}: no such service was deployed; there are {', '.join(deployed) or 'none'}"
            )
    wanted = {service for services in found.values() for service in services}
    return tuple(service for service in deployed if service in wanted)
