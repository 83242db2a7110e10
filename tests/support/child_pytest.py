"""The command with which tests run pytest in a process of its own, as a user does."""

import sys

WITHOUT_SLOW_PLUGINS = ("-p", "no:hypothesispytest", "-p", "no:benchmark")
"""Without two plugins of this project's tests, which users need not have and which are slow: the summary of the one
imports hypothesis in every process (half of the time that a small run takes), the other asks git and the platform."""
PYTEST = (sys.executable, "-m", "pytest", *WITHOUT_SLOW_PLUGINS)
