"""Names that a cluster takes."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.repository.plan.rollout_settings import dns_label, label_value, service_from_label

LABEL = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?")
DNS = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


@pytest.mark.parametrize(
    ("service", "name", "label"),
    [
        ("user-service", "user-service", "user-service"),
        ("agent-services/laoke-service", "agent-services-laoke-service", "agent-services_2Flaoke-service"),
        ("Billing_v2", "billing-v2", "Billing_5Fv2"),
    ],
)
def test_names_stay_readable(service: str, name: str, label: str) -> None:
    assert (dns_label(service), label_value(service)) == (name, label)


@given(st.text(min_size=1))
def test_whatever_a_service_is_called_a_cluster_takes_it(service: str) -> None:
    assert DNS.fullmatch(dns_label(service))
    assert LABEL.fullmatch(label_value(service))


@given(st.text(alphabet="ab-_./%~F2é\\ud800", min_size=1, max_size=20))
def test_a_label_is_read_again_or_is_a_digest(service: str) -> None:
    assert service_from_label(label_value(service)) in (service, None)


def test_long_names_do_not_become_the_same() -> None:
    one, other = "a" * 70 + "1", "a" * 70 + "2"
    assert dns_label(one) != dns_label(other)
    assert label_value(one) != label_value(other)
    assert service_from_label(label_value(one)) is None
