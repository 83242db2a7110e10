"""Services are divided into stages: what others need first, few before many."""

from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.repository.first_plan.stages import divide

NAMES = [f"s{number}" for number in range(20)]
pairs = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)), max_size=40)


def test_services_without_needs_move_in_growing_numbers() -> None:
    stages = divide(NAMES, {}, ()).stages

    assert [len(stage) for stage in stages] == [2, 6, 12]
    assert [name for stage in stages for name in stage] == NAMES


def test_a_few_services_are_not_cut_into_many_stages() -> None:
    sizes = {number: [len(stage) for stage in divide(NAMES[:number], {}, ()).stages] for number in (1, 2, 3, 5)}

    assert sizes == {1: [1], 2: [2], 3: [1, 2], 5: [1, 4]}


def test_what_others_need_moves_first() -> None:
    division = divide(["gateway", "auth", "user"], {"gateway": ["auth", "user"], "user": ["auth"]}, ())

    assert division.stages == (("auth",), ("user",), ("gateway",))
    assert division.circles == ()


def test_a_circle_moves_together_and_is_reported() -> None:
    division = divide(["a", "b", "c"], {"a": ["b"], "b": ["a"], "c": ["a"]}, ())

    assert division.stages == (("a", "b"), ("c",))
    assert division.circles == (("a", "b"),)


def test_what_must_stay_together_is_no_circle() -> None:
    division = divide(["a", "b", "c"], {"c": ["b"]}, [("a", "c")])

    assert division.stages == (("b",), ("a", "c"))
    assert division.circles == ()


@given(names=st.lists(st.sampled_from(NAMES), unique=True, min_size=1), edges=pairs, together=pairs)
def test_each_service_is_in_one_stage_not_before_what_it_needs(
    names: list[str], edges: list[tuple[str, str]], together: list[tuple[str, str]]
) -> None:
    needs: dict[str, set[str]] = {}
    for name, other in edges:
        if name in names and other in names:
            needs.setdefault(name, set()).add(other)
    groups = [group for group in together if set(group) <= set(names)]

    stages = divide(names, needs, groups).stages

    number = {name: position for position, stage in enumerate(stages) for name in stage}
    assert sorted(name for stage in stages for name in stage) == sorted(names)
    assert all(number[other] <= number[name] for name, others in needs.items() for other in others)
    assert all(number[first] == number[second] for first, second in groups)
