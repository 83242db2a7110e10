"""The Prometheus programs of this machine, each on its own port and in its own folder."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml


def program(name: str) -> str:
    """Return the path of a program. Where it is not installed the test is skipped, or fails in CI."""
    path = shutil.which(name)
    if path is None and os.environ.get("CI") == "true":
        pytest.fail(f"CI=true, and {name} is not installed", pytrace=False)
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


def promtool(*arguments: str, text: str = "") -> "subprocess.CompletedProcess[str]":
    """Run promtool with ``text`` on its stdin."""
    argv = [program("promtool"), *arguments]
    return subprocess.run(argv, input=text, capture_output=True, text=True, timeout=60, check=False)


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


@contextmanager
def running(*argv: str, folder: Path) -> Iterator[None]:
    """Run a server until the end of the block."""
    with (folder / f"{Path(argv[0]).name}.log").open("wb") as log:
        process = subprocess.Popen(argv, cwd=folder, stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def prometheus(folder: Path, configuration: Mapping[str, Any]) -> Iterator[str]:
    """Run a Prometheus; yields its address."""
    (folder / "prometheus.yml").write_text(yaml.safe_dump(dict(configuration)))
    port = free_port()
    with running(
        program("prometheus"), "--config.file=prometheus.yml", "--storage.tsdb.path=data",
        f"--web.listen-address=127.0.0.1:{port}", folder=folder,
    ):  # fmt: skip
        yield f"http://127.0.0.1:{port}"


@contextmanager
def alertmanager(folder: Path, webhook: str) -> Iterator[str]:
    """Run an Alertmanager that sends all alerts to ``webhook`` at once; yields its host and port."""
    configuration = {
        "route": {"receiver": "here", "group_wait": "0s", "group_interval": "1s"},
        "receivers": [{"name": "here", "webhook_configs": [{"url": webhook}]}],
    }
    (folder / "alertmanager.yml").write_text(yaml.safe_dump(configuration))
    port = free_port()
    with running(
        program("prometheus-alertmanager"), "--config.file=alertmanager.yml", "--storage.path=alerts",
        f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=", folder=folder,
    ):  # fmt: skip
        yield f"127.0.0.1:{port}"
