"""Render a finished run as terminal text, HTML, Markdown, JSON, SARIF and GitHub annotations.

These modules see ``core`` only: the report and the values in it.
"""
