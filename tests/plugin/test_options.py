"""Options and their ini settings, in ``pytest.ini`` and in native TOML; and clean under the strict modes."""

import pytest

from tests.plugin.gate_helpers import IDS, Faked

INI_SETTINGS = {
    "py312": "true",
    "py312_stage": "2",
    "py312_python": "3.9 3.12",
    "py312_runner": "local",
    "py312_isolation": "interpreter",
    "py312_jobs": "3",
    "py312_no_cache": "true",
}
CHOSEN = [*IDS[4:6], *IDS[8:]]


def listed(faked: Faked, *arguments: str) -> list[str]:
    """Return what is collected without ``--py312`` on the command line."""
    return [line for line in faked.bare("--collect-only", "-q", *arguments).outlines if "::" in line]


@pytest.mark.parametrize("strict", [[], ["--strict-config", "--strict-markers"]])
def test_options_in_pytest_ini(faked: Faked, strict: list[str]) -> None:
    lines = "\n".join(f"{name} = {value}" for name, value in INI_SETTINGS.items())
    faked.root.joinpath("pytest.ini").write_text(f"[pytest]\n{lines}\n")
    assert listed(faked, *strict) == CHOSEN
    _are_in_the_settings(faked)


@pytest.mark.parametrize("strict", [[], ["--strict-config", "--strict-markers"]])
def test_options_in_native_toml(faked: Faked, strict: list[str]) -> None:
    faked.root.joinpath("pyproject.toml").write_text(
        "[tool.pytest]\n"
        'py312 = true\npy312_stage = ["2"]\npy312_python = ["3.9", "3.12"]\npy312_runner = "local"\n'
        'py312_isolation = "interpreter"\npy312_jobs = "3"\npy312_no_cache = true\n'
    )
    assert listed(faked, *strict) == CHOSEN
    _are_in_the_settings(faked)


def _are_in_the_settings(faked: Faked) -> None:
    (settings,) = faked.settings
    assert (settings.runner, settings.isolation, settings.jobs, settings.reuse_outcomes) == (
        "local",
        "interpreter",
        3,
        False,
    )


def test_an_option_overrides_its_ini_setting(faked: Faked) -> None:
    faked.root.joinpath("pytest.ini").write_text("[pytest]\npy312 = true\npy312_stage = 2\npy312_runner = local\n")
    assert listed(faked, "--py312-stage=1", "--py312-runner=auto") == IDS[:4]
    assert faked.settings[0].runner == "auto"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--py312"], IDS),
        (["--py312-stage=1"], IDS[:4]),
        (["--py312-services=user-service"], IDS[4:]),
        (["--py312-python=3.9"], IDS[4:6]),
        (["--py312-plan=py312.toml"], IDS),
    ],
)
def test_any_choice_asks_for_the_gate(faked: Faked, options: list[str], expected: list[str]) -> None:
    assert listed(faked, *options) == expected


def test_several_values_in_one_option_and_in_several(faked: Faked) -> None:
    assert faked.ids("--py312-python=3.9", "--py312-python=3.10") == faked.ids("--py312-python=3.9,3.10")


def test_markers_are_registered(faked: Faked) -> None:
    """Also without a gate in the run, so that ``--strict-markers`` and ``--markers`` know them."""
    result = faked.bare("--markers")
    result.stdout.fnmatch_lines(["@pytest.mark.py312(service, interpreter, stage, check):*"])
    result.stdout.fnmatch_lines(["@pytest.mark.py312_suite:*"])


def test_help_has_one_group(faked: Faked) -> None:
    text = faked.bare("--help").stdout.str()
    group = text.split("migration of services to a new Python:")[1].split("\n\n")[0]
    for option in ("--py312", "--py312-stage", "--py312-services", "--py312-runner", "--py312-report"):
        assert option in group
