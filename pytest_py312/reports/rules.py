"""What each code stands for, in one sentence, and what helps: for reports that have a catalogue of rules."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """``title`` says what is wrong, ``help`` what to do."""

    title: str
    help: str


def rule_of(code: str) -> Rule:
    """The rule of ``code``: its own, else its family's, else (of a check from elsewhere) a bare one."""
    bare = Rule(title=f"Finding {code}", help="See the message of the finding.")
    return RULES.get(code) or next((rule for start, rule in _FAMILIES if code.startswith(start)), bare)


_REPLACE = "Write what the message names instead, in a way that the baseline knows as well."
_FAMILIES = (
    ("PY24", Rule(title="An installed distribution breaks on the target", help="Require a version that runs there.")),
    ("PY3", Rule(title="A declared Python version does not fit the move", help="Declare the version that is meant.")),
)

RULES: Mapping[str, Rule] = {
    code: Rule(title=title, help=text)
    for code, title, text in (
        ("PY101", "Requirements clash", "Loosen one of the requirements that are named."),
        ("PY102", "A project is not on the index, or no version of it fits", "Correct the name or the version."),
        ("PY103", "A distribution's Requires-Python shuts the target out", "Require a version that allows it."),
        ("PY104", "A distribution has no wheel for the target and does not build", "Require one that has a wheel."),
        ("PY105", "A distribution dies when it is imported on the target", "Require a version that runs there."),
        ("PY106", "A folder of the repository does not build", "Mend its setup."),
        ("PY107", "A line of a requirements file that pip refuses", "Correct or remove the line."),
        ("PY110", "A distribution was built from source", "None needed; a wheel is quicker."),
        ("PY111", "The baseline could not be checked", "See why in the message."),
        ("PY112", "Noticed in a set that something else blocks", "Remove what blocks, and it is tried."),
        ("PY113", "What else blocks could not be told to the end", "See why in the message."),
        ("PY114", "No required hash is that of the file for the target", "Make the requirements file anew."),
        ("PY115", "A version that a lock file holds cannot be had", "Make the lock file anew."),
        ("PY116", "A lock file does not fit its requirements", "Make the lock file anew."),
        ("PY120", "A module is imported that nothing installs", "Require the project that has it."),
        ("PY121", "A module comes in by chance, through another project", "Require the project that has it."),
        ("PY201", "A module was removed from the standard library", _REPLACE),
        ("PY202", "A name was removed from a standard module", _REPLACE),
        ("PY203", "A method or attribute was removed from a standard class", _REPLACE),
        ("PY204", "A parameter is no longer taken", _REPLACE),
        ("PY205", "Syntax that the target refuses", _REPLACE),
        ("PY206", "A value or use that fails on the target", _REPLACE),
        ("PY207", "A hook that the target no longer calls", "Implement the hook that took its place."),
        ("PY208", "A module of the service has the name of a new standard one", "Rename the module."),
        ("PY209", "distutils or pkg_resources is used and not there", "Require setuptools, or use what replaced it."),
        ("PY210", "Too new for the baseline", "Write it in a way that both know, until nobody goes back any more."),
        ("PY220", "Deprecated on the target", _REPLACE),
        ("PY221", "The target's compiler warns of it", _REPLACE),
        ("PY230", "It means something else on the target", "Say what is meant, so that both do the same."),
        ("PY240", "A distribution dies when it is imported", "Try a newer version, or replace the project."),
        ("PY241", "A distribution may fail when it is used", "Try a newer version."),
        ("PY242", "A module that nothing imports cannot be imported", "None, as long as nothing imports it."),
        ("PY243", "A distribution needs setuptools, and there is none", "Require setuptools, or try a newer version."),
        ("PY250", "A deprecation warning while the suite ran", _REPLACE),
        ("PY290", "A file that no interpreter can read", "Mend or remove it; it is no worse than before."),
        ("PY291", "A comment that accepts nothing", "Name the codes, and why they are acceptable."),
        ("PY292", "A comment that nothing needs", "Take it out."),
        ("PY299", "The source could not be checked", "See why in the message."),
        ("PY401", "Tests fail on the target and not on the baseline", "What the exception asks for."),
        ("PY402", "Tests of the baseline prove nothing on the target", "Let them run there as well."),
        ("PY403", "Flaky tests", "Make them independent of what changes from run to run."),
        ("PY404", "Tests fail on the baseline as well", "None for the move."),
        ("PY405", "Tests fail on the baseline of something too new for it", "Write it in a way that both know."),
        ("PY901", "A waiver that nothing needs any more", "Remove it from the plan."),
    )
}
