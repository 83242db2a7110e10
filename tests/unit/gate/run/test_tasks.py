"""The cells of a service, and the selection of services and cells."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.errors import OptionError
from pytest_py312.core.model.findings import Interpreter, Location
from pytest_py312.core.model.fleet import Declaration, Fleet, RequirementSource, Service, cells_of
from pytest_py312.core.model.plan import Plan, ServiceSettings, Stage
from pytest_py312.gate.run.tasks import select_cells, select_services, services_with_files
from tests.support import fakes

PY38, PY39, PY310, PY311, PY312, PY313 = (Interpreter(3, minor) for minor in range(8, 14))


def service(name: str, *, path: str = "", stage: int = 1, baseline: Interpreter = PY310) -> Service:
    return fakes.service(
        name, path=path or f"services/{name}", stage=stage, baseline=baseline, requirements=(), suite=None
    )


def plan(*interpreters: Interpreter, stages: tuple[int, ...] = (), target: Interpreter = PY312) -> Plan:
    return Plan(
        root=Path("/fleet"),
        target=target,
        interpreters=interpreters or (PY39, PY310, PY311, PY312),
        stages=tuple(Stage(number=number, services=("x",)) for number in stages),
    )


API = service("api-gateway", stage=1)
USER = service("user-service", stage=2)
LISTEN = service("listen-service", path="services/diagnostic-services/listen-service", stage=2)
FLEET = Fleet(services=(API, LISTEN, USER))
PLAN = plan(stages=(1, 2))


@pytest.mark.parametrize(
    ("baseline", "expected"),
    [
        (PY38, [PY38, PY39, PY310, PY311, PY312]),
        (PY39, [PY39, PY310, PY311, PY312]),
        (PY310, [PY310, PY311, PY312]),
        (PY311, [PY311, PY312]),
        (PY312, [PY312]),
        (PY313, [PY312]),
    ],
)
def test_cells_go_from_the_baseline_to_the_target(baseline: Interpreter, expected: list[Interpreter]) -> None:
    """Including both; on or after the target, only the target."""
    cells = cells_of(plan(), service("api", baseline=baseline))
    assert [cell.interpreter for cell in cells] == expected


def test_the_baseline_has_a_cell_even_if_the_plan_does_not_list_it() -> None:
    """Without it nothing can be compared."""
    cells = cells_of(plan(PY39, PY312), service("api", baseline=PY310))
    assert [cell.identifier for cell in cells] == ["api-py3.10", "api-py3.12"]
    assert [cell.is_baseline for cell in cells] == [True, False]


def test_interpreters_after_the_target_have_no_cells() -> None:
    """The plan may list them for the next migration."""
    cells = cells_of(plan(PY39, PY311, PY312, PY313, target=PY311), service("api", baseline=PY39))
    assert [cell.interpreter for cell in cells] == [PY39, PY311]


MINORS = st.integers(8, 14).map(lambda minor: Interpreter(3, minor))


@given(st.sets(MINORS), MINORS, MINORS)
def test_cells_are_sorted_end_with_the_target_and_include_the_baseline(
    listed: set[Interpreter], target: Interpreter, baseline: Interpreter
) -> None:
    """Whatever the plan lists."""
    cells = cells_of(plan(*sorted(listed | {target}), target=target), service("api", baseline=baseline))
    interpreters = [cell.interpreter for cell in cells]
    assert interpreters == sorted(set(interpreters))
    assert interpreters[-1] == target
    assert baseline >= target or interpreters[0] == baseline
    assert set(interpreters) <= listed | {target, baseline}


def test_without_options_all_services_are_selected() -> None:
    """In the order of the fleet."""
    assert select_services(FLEET, PLAN) == (API, LISTEN, USER)


def test_stages_and_patterns_select() -> None:
    """A stage, a name, the end of a path, a glob, and a stage with a glob."""
    assert select_services(FLEET, PLAN, stages=frozenset({2})) == (LISTEN, USER)
    assert select_services(FLEET, PLAN, stages=frozenset({1, 2})) == (API, LISTEN, USER)
    assert select_services(FLEET, PLAN, patterns=("user-service", "diagnostic-services/*")) == (LISTEN, USER)
    assert select_services(FLEET, PLAN, patterns=("services/*",)) == (API, USER)
    assert select_services(FLEET, PLAN, stages=frozenset({2}), patterns=("services/*",)) == (USER,)


def test_a_stage_that_does_not_exist() -> None:
    """The message lists the existing ones."""
    with pytest.raises(OptionError) as caught:
        select_services(FLEET, plan(stages=(1, 2, 3, 4)), stages=frozenset({2, 7}))
    assert str(caught.value) == "stage 7 does not exist; the plan has 1, 2, 3, 4"


def test_a_stage_without_stages_in_the_plan() -> None:
    """The message is different, because the remedy is."""
    with pytest.raises(OptionError, match=r"stage 2 does not exist; the plan has no \[\[stage\]\], .* stage 1$"):
        select_services(Fleet(services=(API,)), plan(), stages=frozenset({2}))
    assert select_services(Fleet(services=(API,)), plan(), stages=frozenset({1})) == (API,)


def test_a_pattern_that_matches_no_service() -> None:
    """Even if another one matches: fewer services than requested must not look like a proof."""
    with pytest.raises(OptionError) as caught:
        select_services(FLEET, PLAN, patterns=("api-gateway", "user-servise"))
    assert str(caught.value) == '"user-servise" matches no service, perhaps you meant "user-service"'


def test_a_stage_and_a_pattern_without_a_common_service() -> None:
    """An empty selection is an error, and the message has the stage of the service."""
    with pytest.raises(OptionError) as caught:
        select_services(FLEET, PLAN, stages=frozenset({2}), patterns=("api-*",))
    assert str(caught.value) == "no service is in stage 2 and matched by api-*: api-gateway is in stage 1"


def test_interpreters_select_cells() -> None:
    """No interpreter selects all of them."""
    cells = cells_of(PLAN, API) + cells_of(PLAN, service("old", baseline=PY39))
    assert select_cells(cells, frozenset()) == cells
    chosen = select_cells(cells, frozenset({PY39, PY312}))
    assert [cell.identifier for cell in chosen] == ["api-gateway-py3.12", "old-py3.9", "old-py3.12"]
    assert select_cells((), frozenset({PY39})) == ()


def test_an_interpreter_that_no_cell_has() -> None:
    """It is not ignored silently."""
    with pytest.raises(
        OptionError, match=r"no chosen service runs on Python 3\.13; their interpreters are 3\.10, 3\.11"
    ):
        select_cells(cells_of(PLAN, API), frozenset({PY312, PY313}))


def test_files_belong_to_services() -> None:
    shared = ServiceSettings(needs=("libs/common",))
    image = Declaration(kind="image", text="python:3.9", location=Location(path="docker/a.Dockerfile"))
    fleet = Fleet(
        services=(
            fakes.service("a", path="services/a", settings=shared, declarations=(image,), requirements=()),
            fakes.service(
                "inner", path="services/a/inner", requirements=(RequirementSource(path="requirements/all.txt"),)
            ),
            fakes.service("b", path="services/b", requirements=(RequirementSource(path="requirements/all.txt"),)),
        )
    )
    owners = {
        "services/a/x/y.py": ("a",),
        "services/a/inner/x.py": ("inner",),
        "services/ab/x.py": (),
        "libs/common/x.py": ("a",),
        "docker/a.Dockerfile": ("a",),
        "requirements/all.txt": ("inner", "b"),
        "README.md": (),
    }

    assert {file: services_with_files(fleet, [file]) for file in owners} == owners
    assert services_with_files(fleet, owners) == ("a", "inner", "b")


def test_all_files_belong_to_a_service_at_the_root() -> None:
    fleet = Fleet(services=(fakes.service("root", path="."), fakes.service("a", path="a")))

    assert services_with_files(fleet, ["README.md"]) == ("root",)
    assert services_with_files(fleet, ["a/x.py"]) == ("a",)
