"""Services of a fleet, and what was assumed about them."""

from pytest_py312.core.model.fleet import Fleet
from tests.support.fakes import service

ORDERS, WEB = service("orders"), service("web")


def test_only_what_was_assumed_about_chosen_services_or_all_is_shown() -> None:
    own, other, of_all = "orders is tested with -W error.", "web has no tests.", "Nothing says it for orders, web."
    fleet = Fleet(services=(ORDERS, WEB), assumptions=(own, other, of_all))
    assert fleet.assumptions_about(["orders"]) == (own, of_all)
    assert fleet.assumptions_about(["orders", "web"]) == fleet.assumptions
