"""How much would have to be downloaded for a lock, as far as uv's cache knows: nothing is asked of the network."""

import tomllib
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.dependencies.resolution.lock import Pin
from pytest_py312.runners.runner import Runner


def download_size(pins: Sequence[Pin], build: InterpreterBuild, runner: Runner, temporary: Path) -> int:
    """Bytes of the wheels of ``pins``; what is not known counts as nothing. ``temporary`` is a folder of the cache."""
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
        argv += ["--directory", runner.inside(folder), "--python", "{python}", "--only-binary", ":all:"]
        answer = runner.tool(build, [*argv, runner.inside(requirements)], time_limit=60)
    finally:
        requirements.unlink(missing_ok=True)
        no_settings.unlink(missing_ok=True)
        folder.rmdir()
    return size_of(answer.stdout) if answer.ok else 0


def size_of(lock: str) -> int:
    """The bytes that the smallest fitting wheel of each package of a pylock.toml takes, together. Never raises."""
    try:
        packages = tomllib.loads(lock).get("packages", [])
    except (tomllib.TOMLDecodeError, RecursionError):
        return 0
    found = (_sizes(package) for package in packages if isinstance(package, dict)) if isinstance(packages, list) else ()
    return sum(min(sizes) for sizes in found if sizes)


def _sizes(package: dict[str, Any]) -> list[int]:
    wheels = package.get("wheels")
    files = [wheel for wheel in wheels if isinstance(wheel, dict)] if isinstance(wheels, list) else []
    return [size for wheel in files if isinstance(size := wheel.get("size"), int)]
