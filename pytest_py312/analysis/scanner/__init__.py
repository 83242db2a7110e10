"""The scanner: turn the syntax tree of one file into facts.

This package is copied into other interpreters, so it imports the standard library only.
"""
