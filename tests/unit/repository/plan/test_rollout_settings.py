"""Names that a cluster takes."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.repository.plan.rollout_settings import dns_label, label_value

LABEL = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?")
DNS = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
DIGEST = re.compile(r"h\.[0-9a-f]{40}")


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
def test_a_label_is_of_one_name_or_is_a_digest(service: str) -> None:
    label = label_value(service)
    decoded = re.sub(rb"_([0-9A-F]{2})", lambda match: bytes.fromhex(match[1].decode()), label.encode())
    assert DIGEST.fullmatch(label) or decoded.decode("utf-8", "surrogatepass") == service


def test_long_names_do_not_become_the_same() -> None:
    one, other = "a" * 70 + "1", "a" * 70 + "2"
    assert dns_label(one) != dns_label(other)
    assert label_value(one) != label_value(other)
    assert DIGEST.fullmatch(label_value(one))
