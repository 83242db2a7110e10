"""The address of a cluster."""

import pytest

from pytest_py312.core.errors import OptionError
from pytest_py312.gate.cluster.address import parse_cluster


@pytest.mark.parametrize(
    ("text", "warns"),
    [
        ("tcp://scheduler:8786", True),
        ("tcp://10.0.0.7:8786", True),
        ("tcp://[2001:db8::1]:8786", True),
        ("tls://scheduler:8786", False),
        ("tcp://127.0.0.1:8786", False),
        ("tcp://[::1]:8786", False),
        ("tcp://localhost:8786", False),
        ("local:4", False),
    ],
)
def test_a_scheduler_elsewhere_without_tls_gets_a_warning(text: str, warns: bool) -> None:
    assert ("without TLS" in parse_cluster(text).warning) is warns


def test_a_cluster_for_a_try_has_a_number_of_workers() -> None:
    assert parse_cluster("local:4").workers == 4
    assert parse_cluster("tcp://scheduler:8786").workers == 0


@pytest.mark.parametrize(
    "text", ["scheduler:8786", "tcp://scheduler", "http://scheduler:80", "local:0", "local:9999", "local:", "tcp://a:b"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match="--py312-cluster=") as refused:
        parse_cluster(text)
    assert "local:4" in str(refused.value) or "from 1 to 256 workers" in str(refused.value)
