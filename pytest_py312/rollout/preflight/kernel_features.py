"""Whether this machine's kernel can do something, read from what it and its distribution write down about it."""

import gzip
import os
import zlib
from pathlib import Path

SWARM_NEEDS = (("VXLAN", "vxlan"), ("IP_VS", "ip_vs"))
"""(option of the kernel's configuration, module): what networks over several nodes, and virtual addresses, stand on."""


def has_feature(option: str, module: str, *, root: Path = Path("/"), release: str | None = None) -> bool | None:
    """Whether the kernel has a feature, built in, loaded, or as a module that can be; ``None`` where nothing tells.

    :param release: of the kernel, by default the one that runs.
    """
    if (root / "sys/module" / module).exists():
        return True
    folder = root / "lib/modules" / (release if release is not None else os.uname().release)
    listed = [text for name in ("modules.builtin", "modules.dep") if (text := _text(folder / name)) is not None]
    if any(f"/{module}.ko" in text for text in listed):
        return True
    configured = _configured(option, root / "proc/config.gz")
    if configured == "y":
        return True
    if configured == "" or listed:
        return False
    return None


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def _configured(option: str, path: Path) -> str | None:
    """``y``, ``m``, or empty where the option is not set; ``None`` where the kernel does not tell."""
    try:
        text = gzip.decompress(path.read_bytes()).decode("utf-8", "replace")
    except (OSError, EOFError, zlib.error):
        return None
    for line in text.splitlines():
        name, _, value = line.partition("=")
        if name == f"CONFIG_{option}":
            return value.strip()
    return ""
