"""Estimate the download size of a lock from uv's cache, without network access."""

import tomllib
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.dependencies.resolution.lock import Pin
from pytest_py312.runners.runner import Runner


def download_size(pins: Sequence[Pin], build: InterpreterBuild, runner: Runner, temporary: Path) -> int:
    """Return the size of the wheels of ``pins`` in bytes; a wheel of unknown size counts as 0.

    :param temporary: a folder in the cache for temporary files.
    """
    wheels = [pin for pin in pins if not pin.from_source and pin.version]
    if not wheels:
        return 0
    folder = temporary / uuid.uuid4().hex
    folder.mkdir(parents=True)
    requirements, no_settings = folder / "requirements.in", folder / "uv.toml"
    try:
        no_settings.touch()
        options = dict.fromkeys(line for pin in wheels for line in pin.index.splitlines())
        lines = [*options, *(f"{pin.name}=={pin.version}" for pin in wheels)]
        requirements.write_text("\n".join(lines) + "\n", encoding="utf-8")
        argv = ["{uv}", "pip", "compile", "--quiet", "--offline", "--no-deps", "--format", "pylock.toml"]
        argv += ["--directory", runner.path_inside(folder), "--python", "{python}", "--only-binary", ":all:"]
        answer = runner.run_tool(build, [*argv, runner.path_inside(requirements)], time_limit=60)
    finally:
        requirements.unlink(missing_ok=True)
        no_settings.unlink(missing_ok=True)
        folder.rmdir()
    return total_wheel_size(answer.stdout) if answer.ok else 0


def total_wheel_size(lock: str) -> int:
    """Return the summed size of the smallest wheel of each package of a pylock.toml, in bytes. Never raises."""
    try:
        packages = tomllib.loads(lock).get("packages", [])
    except (tomllib.TOMLDecodeError, RecursionError):
        return 0
    sizes_by_package = (
        (_wheel_sizes(package) for package in packages if isinstance(package, dict))
        if isinstance(packages, list)
        else ()
    )
    return sum(min(sizes) for sizes in sizes_by_package if sizes)


def _wheel_sizes(package: dict[str, Any]) -> list[int]:
    wheels = package.get("wheels")
    files = [wheel for wheel in wheels if isinstance(wheel, dict)] if isinstance(wheels, list) else []
    return [size for wheel in files if isinstance(size := wheel.get("size"), int)]
