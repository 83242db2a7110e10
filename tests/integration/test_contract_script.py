"""The script that runs in a service's container, run by this machine's Python."""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pytest_py312.rollout.domain.contracts import ContractAnswer, parse_answer
from pytest_py312.rollout.domain.measurements import Result
from pytest_py312.rollout.execution.contract_runner import script_text
from tests.integration.prometheus_tools import free_port

APP = """
import os
class Session:
    pass
def good(): return {"user": 1}
def text(): return "abc"
def raw(): return b"\\x00raw"
def bad(*_): return False
def fails(value): raise KeyError(value["user"])
def takes(value): assert value == {"user": 1}, value
def session(): return Session()
def same(): return os.environ["USER_NAME"]
def noisy(url):
    print("url:", url)
"""


def run_script(folder: Path, variables: dict[str, str] | None = None, **request: Any) -> ContractAnswer:
    (folder / "app.py").write_text(APP)
    wanted = {"do": "call", "url": "", "command": [], "function": "", "format": "", "data": "", "limit": 5.0}
    argv = [sys.executable, "-c", script_text(), json.dumps({**wanted, **request})]
    done = subprocess.run(
        argv, cwd=folder, capture_output=True, text=True, check=False, env={**os.environ, **(variables or {})}
    )
    return parse_answer(done.stdout)


def write_and_read(folder: Path, *, write: str, read: str = "", kind: str = "") -> ContractAnswer:
    written = run_script(folder, do="write", function=write, format=kind)
    assert written.result is Result.SUCCESSFUL, written
    data = base64.b64encode(written.data).decode()
    return run_script(folder, do="read", function=read, format=kind, data=data)


@pytest.mark.parametrize("kind", ["pickle", "marshal", "json", "shelve"])
def test_what_one_side_writes_the_other_reads(tmp_path: Path, kind: str) -> None:
    assert write_and_read(tmp_path, write="app:good", read="app:takes", kind=kind).result is Result.SUCCESSFUL
    assert write_and_read(tmp_path, write="app:good", kind=kind).result is Result.SUCCESSFUL
    broken = write_and_read(tmp_path, write="app:good", read="app:fails", kind=kind)
    assert (broken.result, broken.detail.startswith("KeyError: 1 (")) == (Result.FAILED, True)


def test_bytes_and_text_are_not_changed(tmp_path: Path) -> None:
    assert run_script(tmp_path, do="write", function="app:text").data == b"abc"
    assert run_script(tmp_path, do="write", function="app:raw").data == b"\x00raw"
    assert run_script(tmp_path, do="write", command=["printf", "x"]).data == b"x"
    assert run_script(tmp_path, do="read", command=["grep", "-q", "x"], data="eA==").result is Result.SUCCESSFUL
    assert run_script(tmp_path, do="read", command=["grep", "-q", "y"], data="eA==").result is Result.FAILED


def test_a_class_that_the_reader_lacks_breaks_the_contract(tmp_path: Path) -> None:
    written = run_script(tmp_path, do="write", function="app:session", format="pickle")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    data = base64.b64encode(written.data.replace(b"Session", b"Nothing")).decode()
    assert run_script(elsewhere, do="read", format="pickle", data=data).result is Result.FAILED


def test_a_key_by_hash_needs_the_same_hash_on_both_sides(tmp_path: Path) -> None:
    def key(seed: str, **request: Any) -> ContractAnswer:
        return run_script(
            tmp_path, {"PYTHONHASHSEED": seed, "USER_NAME": "ada"}, function="app:same", format="hash", **request
        )

    data = base64.b64encode(key("0", do="write").data).decode()
    assert key("0", do="read", data=data).result is Result.SUCCESSFUL
    other = key("1", do="read", data=data)
    assert other.result is Result.FAILED
    assert "where it was written" in other.detail


def test_function_and_command_calls(tmp_path: Path) -> None:
    assert run_script(tmp_path, function="app:noisy", url="http://auth:80").result is Result.SUCCESSFUL
    assert run_script(tmp_path, function="app:bad").detail == "app:bad returned False"
    assert run_script(tmp_path, command=["sh", "-c", "echo no >&2; exit 3"]).detail == "exit code 3: no"
    assert run_script(tmp_path, command=["sleep", "9"], limit=0.2).detail == "did not finish within 0.2 s"
    refused = run_script(tmp_path, do="ask", url=f"http://127.0.0.1:{free_port()}/")
    assert (refused.result, "refused" in refused.detail) == (Result.FAILED, True)


@pytest.mark.parametrize(
    "request_", [{"function": "nothing:here"}, {"function": "app:nothing"}, {"command": ["no-such-program"]}]
)
def test_a_missing_function_or_program_is_an_error_and_no_failure(tmp_path: Path, request_: dict[str, Any]) -> None:
    assert run_script(tmp_path, **request_).result is Result.ERROR
