"""The syntax tree of one file to facts. It is handed to other interpreters as it is, and imports nothing from
outside.
"""
