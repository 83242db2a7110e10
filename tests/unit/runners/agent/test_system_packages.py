"""What apt says, and what is tried next: packages that a distribution does not have, servers that do not answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.runners.agent.system_packages import describe_failure, install, unknown_packages

UNKNOWN = """\
Reading package lists...
E: Unable to locate package libfoo7
E: Package 'libbar-dev' has no installation candidate
E: Unable to locate package g++-4.9
E: Couldn't find any package by glob 'g++-4.9'
"""


class Apt:
    """Answers of apt-get, in turn; the arguments of each call are kept."""

    def __init__(self, *answers: tuple[int, str]) -> None:
        self.answers = list(answers)
        self.calls: list[list[str]] = []

    def __call__(self, arguments: list[str]) -> tuple[int, str]:
        self.calls.append(arguments)
        return self.answers.pop(0)


def test_packages_that_the_distribution_does_not_have_are_left_out() -> None:
    apt = Apt((0, ""), (100, UNKNOWN), (0, "Setting up gcc"))

    assert install(["gcc", "libfoo7", "libbar-dev", "g++-4.9"], False, apt) == (
        "",
        ["libfoo7", "libbar-dev", "g++-4.9"],
    )
    assert [call[call.index("--") + 1 :] for call in apt.calls[1:]] == [
        ["gcc", "libfoo7", "libbar-dev", "g++-4.9"],
        ["gcc"],
    ]
    assert "--no-install-recommends" in apt.calls[1]


def test_a_list_of_unknown_packages_is_a_failure() -> None:
    error, unknown = install(["libfoo7"], True, Apt((0, ""), (100, "E: Unable to locate package libfoo7\n")))

    assert (error, unknown) == ("the image's distribution does not have libfoo7", ["libfoo7"])


@pytest.mark.parametrize("code", [0, 100])
def test_servers_that_do_not_answer_are_named(code: int) -> None:
    """Older versions of apt end ``update`` with 0 although nothing was fetched."""
    apt = Apt((code, "W: Failed to fetch http://deb.debian.org/debian/dists/trixie/InRelease  Could not resolve\n"))

    error, _ = install(["gcc"], False, apt)

    assert error.startswith("apt's servers could not be reached: W: Failed to fetch http://deb.debian.org/")
    assert len(apt.calls) == 1


def test_another_failure_is_the_last_error() -> None:
    apt = Apt((0, ""), (100, "E: first\nE: Unmet dependencies\n"))

    assert install(["gcc"], False, apt)[0] == "apt-get failed: E: Unmet dependencies"
    assert len(apt.calls) == 2


@given(st.text())
def test_no_output_breaks_it(output: str) -> None:
    assert describe_failure(output)
    assert isinstance(unknown_packages(output), list)
