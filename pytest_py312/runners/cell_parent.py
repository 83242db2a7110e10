"""The command that starts another one, and ends with all of its descendants, see :func:`.process.run`."""

import sys
from pathlib import Path

CELL_PARENT = (
    (sys.executable, "-E", "-S", str(Path(__file__).parent / "agent" / "cell_parent.py"))
    if sys.platform == "linux"
    else ()
)
"""The beginning of a command that ends with all of its descendants, and when this process is killed; empty where the
system cannot give it orphans."""
