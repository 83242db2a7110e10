"""Readers of what runs other programs: shell text, commands that install, Makefiles."""
