"""The division of items into parts."""

import random
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.gate.sharding.packing import WeighedItem, divide, loads_of

NAMES = ("versions", "source", "py3.9::suite", "py3.12::suite")


@st.composite
def fleets(draw: st.DrawFn) -> list[WeighedItem]:
    """Draw the items of up to 12 services."""
    return [
        WeighedItem(service=f"service-{number}", name=name, weight=draw(st.integers(1, 100_000)))
        for number in range(draw(st.integers(0, 12)))
        for name in draw(st.lists(st.sampled_from(NAMES), unique=True))
    ]


@given(fleets(), st.integers(1, 9))
def test_each_item_is_in_one_part(items: list[WeighedItem], parts: int) -> None:
    assigned = divide(items, parts)

    assert set(assigned) == {item.key for item in items}
    assert all(1 <= part <= parts for part in assigned.values())


@given(fleets(), st.integers(1, 9), st.randoms(use_true_random=False))
def test_the_order_of_the_items_has_no_influence(
    items: list[WeighedItem], parts: int, generator: random.Random
) -> None:
    shuffled = generator.sample(items, len(items))

    assert divide(shuffled, parts) == divide(items, parts)


@given(fleets(), st.integers(1, 9))
def test_no_part_is_longer_than_a_fair_share_and_one_service(items: list[WeighedItem], parts: int) -> None:
    """The bound of any list schedule."""
    weights: dict[str, int] = {}
    for item in items:
        weights[item.service] = weights.get(item.service, 0) + item.weight
    total, longest = sum(weights.values()), max(weights.values(), default=0)

    assert parts * max(loads_of(items, divide(items, parts), parts)) <= total + longest * (parts - 1)


@given(fleets(), st.integers(1, 9))
def test_a_service_stays_together(items: list[WeighedItem], parts: int) -> None:
    """Also one that is longer than a fair share: its outcomes depend on what is installed for it."""
    assigned = divide(items, parts)

    assert len({(item.service, assigned[item.key]) for item in items}) == len({item.service for item in items})


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_equal_weights_are_divided_by_name(order: tuple[int, ...]) -> None:
    items = [WeighedItem(service="abc"[index], name="source", weight=5) for index in order]

    assert divide(items, 3) == {("a", "source"): 1, ("b", "source"): 2, ("c", "source"): 3}


def test_there_may_be_more_parts_than_services() -> None:
    assert divide([WeighedItem(service="a", name="source", weight=5)], 4) == {("a", "source"): 1}
    assert divide([], 4) == {}


def test_durations_as_real_fleets_have_them_are_packed_closely() -> None:
    """300 fleets with many short services and few long ones, within 1.1 times of what cannot be undercut."""
    generator = random.Random(17)
    ratios = []
    for _ in range(300):
        services, parts = generator.randint(40, 400), generator.choice((4, 8, 16))
        items = [
            WeighedItem(service=f"s{number}", name="suite", weight=round(1000 * generator.lognormvariate(3.5, 1)) + 1)
            for number in range(services)
        ]
        total, longest = sum(item.weight for item in items), max(item.weight for item in items)
        ratios.append(max(loads_of(items, divide(items, parts), parts)) / max(total / parts, longest))
    assert max(ratios) <= 1.1
