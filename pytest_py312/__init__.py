"""pytest-py312: a pytest gate for moving a repository of Python services to a new Python.

Nothing is imported here: this file is read on every pytest run of every project that has the plugin installed.
"""

__version__ = "0.1.0"
