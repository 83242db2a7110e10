"""pytest's own ways to select items and to stop work with the gate's items as with others."""

import pytest

from tests.plugin.gate_helpers import IDS, Faked

SUITES = [nodeid for nodeid in IDS if nodeid.endswith("suite")]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["-k", "auth-service"], IDS[:4]),
        (["-k", "py3.12"], [*IDS[2:4], *IDS[8:]]),
        (["-k", "py3.1"], [*IDS[:4], *IDS[6:]]),
        (["-k", "suite"], SUITES),
        (["-k", "stage2 and dependencies"], [IDS[4], IDS[6], IDS[8]]),
        (["-k", "user-service-py3.9"], IDS[4:6]),
        (["-k", "not user-service"], IDS[:4]),
        (["-m", "py312_suite"], SUITES),
        (["-m", "py312_dependencies and not py312_suite"], [nodeid for nodeid in IDS if nodeid not in SUITES]),
        (["-m", "py312(stage=2)"], IDS[4:]),
        (["-m", "py312(service='auth-service', interpreter='3.12')"], IDS[2:4]),
        (["--deselect", "services/user-service"], IDS[:4]),
        (["--deselect", IDS[0], "--deselect", "services/user-service::py3.9"], [*IDS[1:4], *IDS[6:]]),
    ],
)
def test_what_is_deselected(faked: Faked, arguments: list[str], expected: list[str]) -> None:
    assert faked.ids(*arguments) == expected


def test_only_what_is_left_is_worked_ahead(faked: Faked) -> None:
    """Nothing is resolved, installed or run for items that ``-k`` has taken out."""
    faked.run("-k", "auth-service and suite")
    assert faked.gate.ahead == ["auth-service-py3.10-suite", "auth-service-py3.12-suite"]


@pytest.fixture
def failing(faked: Faked) -> Faked:
    """Two suites fail: one in the middle, one at the end."""
    for name in ("auth-service-py3.12-suite", "user-service-py3.12-suite"):
        faked.gate.answers[name] = ("failed", f"{name} is broken")
    return faked


def test_last_failed(failing: Faked) -> None:
    failing.run().assert_outcomes(passed=8, failed=2)
    failing.asked()
    failing.run("--lf").assert_outcomes(failed=2)
    assert failing.asked() == ["auth-service-py3.12-suite", "user-service-py3.12-suite"]


def test_failed_first(failing: Faked) -> None:
    failing.run()
    failing.asked()
    failing.run("--ff")
    assert failing.asked()[:2] == ["auth-service-py3.12-suite", "user-service-py3.12-suite"]


def test_stepwise_goes_on_where_it_stopped(failing: Faked) -> None:
    failing.run("--sw").assert_outcomes(passed=3, failed=1)
    failing.gate.answers.pop("auth-service-py3.12-suite")
    failing.asked()
    failing.run("--sw").assert_outcomes(passed=6, failed=1, deselected=3)
    assert failing.asked()[0] == "auth-service-py3.12-suite"


@pytest.mark.parametrize(("option", "asked"), [("-x", 4), ("--maxfail=1", 4), ("--maxfail=2", 10)])
def test_stops_after_so_many_failures(failing: Faked, option: str, asked: int) -> None:
    result = failing.run(option)
    assert len(failing.asked()) == asked
    assert result.ret in (pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED)


def test_a_run_that_was_cut_short_proves_nothing(failing: Faked) -> None:
    """The service that was not reached is reported, and never as ready."""
    result = failing.run("-x")
    result.stdout.fnmatch_lines(["Incomplete", "*user-service*", "not proven: *"])


def test_an_error_counts_as_a_failure_for_maxfail(faked: Faked) -> None:
    faked.gate.answers["auth-service-py3.10-suite"] = ("errored", "the engine went away")
    faked.run("-x").assert_outcomes(passed=1, errors=1)


def test_durations_are_those_of_the_items(faked: Faked) -> None:
    result = faked.run("--durations=0", "--durations-min=0", "-vv")
    result.stdout.fnmatch_lines(["*slowest durations*", "*s call *services/*::*"])


def test_it_can_be_switched_off(faked: Faked) -> None:
    """``-p no:py312`` leaves no option, no marker and no ini key behind."""
    faked.root.joinpath("test_of_the_repository.py").write_text("def test_a(): pass\n")
    faked.bare("-p", "no:py312", "test_of_the_repository.py").assert_outcomes(passed=1)
    result = faked.bare("-p", "no:py312", "--py312")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*unrecognized arguments: --py312"])


def test_items_of_a_service_are_of_one_group(faked: Faked) -> None:
    """``--dist loadgroup`` keeps a service on one worker, and needs no ``--strict-markers`` exception without xdist."""
    faked.root.joinpath("conftest.py").write_text(
        "def pytest_collection_modifyitems(items):  # for pytest_py312\n"
        "    for item in items:\n"
        "        item.session.groups = getattr(item.session, 'groups', set())\n"
        "def pytest_collection_finish(session):\n"
        "    print('groups', sorted({i.get_closest_marker('xdist_group').args[0] for i in session.items}))\n"
    )
    result = faked.run("-s", "--strict-markers", "--strict-config")
    result.stdout.fnmatch_lines(["groups ['auth-service', 'user-service']"])
