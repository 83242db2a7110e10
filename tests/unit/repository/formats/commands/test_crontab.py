"""Tables of cron, by their path and their schedules. What they start: see the programs that are managed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.repository.formats.commands.crontab import cron_commands, cron_lines, is_crontab


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("crontab", True), ("deploy/shop.crontab", True), ("crontab.txt", True), ("cronjobs", True), ("my-cron", True),
        ("cron.d/purge", True), ("etc/crontabs/root", True), ("crontab.py", False), ("cron.yaml", False),
        ("cronometer", False), ("cron.daily/purge", False), ("purge", False), ("app.conf", False),
    ],
)  # fmt: skip
def test_a_table_of_cron_is_known_by_its_path(path: str, expected: bool) -> None:
    assert is_crontab(path) is expected


def test_the_commands_of_a_table_of_cron_stay_at_their_places() -> None:
    assert cron_commands("A=b\n0 3 * * * root x\n") == "A=b\n          root x\n"
    assert cron_commands("no schedule\n") == ""


@given(st.text(alphabet="python -mc.;=*@daily\\\n0 5", max_size=200))
def test_no_text_makes_it_raise(text: str) -> None:
    assert cron_commands(text).count("\n") in (0, text.count("\n"))
    assert all(command for command, _ in cron_lines(text))
