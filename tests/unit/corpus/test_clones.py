"""How long a kept run took."""

import pytest

from tests.corpus.clones import wall_time


@pytest.mark.parametrize(
    ("output", "seconds"),
    [
        ("== 1 passed in 2.00s ==\nwall time: 3.5 s\n", 3.5),
        ("== 1 passed in 2.00s ==\n\nreal\t1m2.500s\nuser\t0m1.0s\n", 62.5),
        ("suite in 1.00s\n== 3 failed, 1 passed in 72.25s (0:01:12) ==\n", 72.25),
        ("it was interrupted", None),
    ],
)
def test_the_time_in_kept_output(output: str, seconds: float | None) -> None:
    assert wall_time(output) == seconds
