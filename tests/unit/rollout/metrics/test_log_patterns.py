"""Counting patterns in logs."""

import json
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.rollout.metrics import log_patterns
from pytest_py312.rollout.metrics.log_patterns import (
    OTHER_EXCEPTIONS,
    LogLevel,
    count_patterns,
    exception_fingerprint,
    parse_level,
)

TRACE = """\
Traceback (most recent call last):
  File "/usr/local/lib/python3.12/site-packages/flask/app.py", line 1473, in wsgi_app
    response = self.full_dispatch_request()
               ^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "/app/user/views.py", line 20, in profile
    return cache["user"]
           ~~~~~^^^^^^^^
  File "/usr/local/lib/python3.12/collections/__init__.py", line 1015, in __getitem__
    raise KeyError(key)
KeyError: 'user'
"""


def test_a_fingerprint_is_the_type_and_the_innermost_own_frame() -> None:
    found = count_patterns(["INFO: started", *TRACE.splitlines(), "INFO: goes on", *TRACE.splitlines()])
    assert found.exceptions == {"KeyError in user/views.py:profile": 2}


def test_one_exception_on_3_9_3_10_and_3_12_has_one_fingerprint() -> None:
    """Position marks came with 3.11, and library paths and line numbers differ."""
    without_marks = "\n".join(line for line in TRACE.splitlines() if "^^" not in line)
    logs = [
        without_marks.replace("3.12", "3.9").replace("line 20", "line 18"),
        without_marks.replace("3.12", "3.10"),
        TRACE,
    ]
    assert len({tuple(count_patterns(log.splitlines()).exceptions) for log in logs}) == 1


def test_each_exception_of_a_chain_counts() -> None:
    second = TRACE.replace("KeyError: 'user'", "app.errors.NotFound: no such user").replace("profile", "show")
    joined = f"{TRACE}\nDuring handling of the above exception, another exception occurred:\n\n{second}"
    assert count_patterns(joined.splitlines()).exceptions == {
        "KeyError in user/views.py:profile": 1,
        "NotFound in user/views.py:show": 1,
    }


def test_with_library_frames_only_the_innermost_counts() -> None:
    frames = [("/usr/lib/python3.12/asyncio/runners.py", "run"), ("/venv/site-packages/aio/pool.py", "acquire")]
    assert exception_fingerprint("asyncio.exceptions.TimeoutError", frames) == "TimeoutError in aio/pool.py:acquire"


def test_json_logs_have_level_and_traceback_in_keys() -> None:
    lines = [
        json.dumps({"level": "error", "message": "failed", "exc_info": TRACE}),
        json.dumps({"severity": "WARNING", "msg": "slow"}),
        json.dumps({"levelname": "INFO", "message": "an ERROR in talk is no error"}),
        json.dumps({"level": "warning", "message": "DeprecationWarning: utcnow() is deprecated"}),
    ]
    found = count_patterns(lines)
    assert (found.lines, found.errors, found.warnings, found.deprecations) == (4, 1, 2, 1)
    assert found.exceptions == {"KeyError in user/views.py:profile": 1}


def test_deprecations_are_counted() -> None:
    lines = [
        "/app/x.py:3: DeprecationWarning: datetime.datetime.utcnow() is deprecated",
        "/app/x.py:4: PendingDeprecationWarning: soon",
        "/app/x.py:5: UserWarning: no",
    ]
    assert count_patterns(lines).deprecations == 2


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ("2026-01-01 12:00:00 ERROR app: no", LogLevel.ERROR),
        ("CRITICAL:root:no", LogLevel.ERROR),
        ("[WARNING] slow", LogLevel.WARNING),
        ('time=1 level=error msg="no"', LogLevel.ERROR),
        ("level=info msg=ERROR", LogLevel.ERROR),
        ("no errors were found", LogLevel.NONE),
        ("TERROR", LogLevel.NONE),
        ("", LogLevel.NONE),
    ],
)
def test_the_level_of_a_line(line: str, level: LogLevel) -> None:
    assert parse_level(line) is level


def test_a_truncated_traceback_does_not_turn_log_lines_into_exceptions() -> None:
    cut = TRACE.splitlines()[:6]
    found = count_patterns([*cut, "ERROR: another one"])
    assert (found.exceptions, found.errors) == ({}, 1)


def test_a_log_beyond_the_limits_is_incomplete(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_patterns, "MAX_LINES", 30)
    monkeypatch.setattr(log_patterns, "MAX_FINGERPRINTS", 1)
    lines = [*TRACE.splitlines(), *TRACE.replace("KeyError", "ValueError").splitlines()]
    assert count_patterns(lines).exceptions == {"KeyError in user/views.py:profile": 1, OTHER_EXCEPTIONS: 1}
    assert not count_patterns(lines).is_incomplete
    assert count_patterns(lines, is_incomplete=True).is_incomplete
    assert count_patterns(lines * 3).is_incomplete


PIECES = st.sampled_from(
    [TRACE, "Traceback (most recent call last):\n", '  File "x.py", line 1, in f\n', "A.B: c\n", '{"level": "error"}\n',
     "ERROR\n", "{", '{"exc_info": "Traceback (most recent call last):\\n{\\n"}\n', "\x00\r\u2028"]
)  # fmt: skip


@given(st.lists(st.one_of(PIECES, st.text(max_size=40)), max_size=40))
def test_any_log_can_be_read(pieces: list[str]) -> None:
    lines = "".join(pieces).split("\n")
    found = count_patterns(lines)
    assert found.errors + found.warnings <= found.lines
    assert found.lines == sum(len(line.splitlines()) or 1 for line in lines)
    assert all(name.isprintable() and len(name) <= 200 for name in found.exceptions)


@given(st.text(string.ascii_letters, min_size=1), st.text(string.ascii_lowercase + "_", min_size=1), st.integers(1, 9))
def test_counts_of_parts_add_up(name: str, function: str, times: int) -> None:
    """So a later sample loses nothing."""
    trace = ["Traceback (most recent call last):", f'  File "/app/m.py", line 3, in {function}', f"{name}Error: x"]
    assert count_patterns(trace * times).exceptions == {f"{name}Error in app/m.py:{function}": times}
