"""Detect features of this machine's kernel from ``/sys``, ``/lib/modules`` and ``/proc/config.gz``."""

import gzip
import os
import zlib
from pathlib import Path

SWARM_NEEDS = (("VXLAN", "vxlan"), ("IP_VS", "ip_vs"))
"""(configuration option, module) that networks over several nodes and virtual addresses need."""


def has_feature(option: str, module: str, *, root: Path = Path("/"), release: str | None = None) -> bool | None:
    """Return whether the kernel has a feature built in, loaded, or as a loadable module; ``None`` if that is unknown.

    :param release: of the kernel; by default that of the running one.
    """
    if (root / "sys/module" / module).exists():
        return True
    folder = root / "lib/modules" / (release if release is not None else os.uname().release)
    module_lists = [
        text for name in ("modules.builtin", "modules.dep") if (text := _read_text(folder / name)) is not None
    ]
    if any(f"/{module}.ko" in text for text in module_lists):
        return True
    setting = _kernel_setting(option, root / "proc/config.gz")
    if setting == "y":
        return True
    if setting == "" or module_lists:
        return False
    return None


def _read_text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def _kernel_setting(option: str, path: Path) -> str | None:
    """Return ``y``, ``m``, or empty if the option is not set; ``None`` if the configuration cannot be read."""
    try:
        text = gzip.decompress(path.read_bytes()).decode("utf-8", "replace")
    except (OSError, EOFError, zlib.error):
        return None
    for line in text.splitlines():
        name, _, value = line.partition("=")
        if name == f"CONFIG_{option}":
            return value.strip()
    return ""
