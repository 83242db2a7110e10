"""The tree becomes services: what each requires, how it is tested, what it is built into, and which files are its
own.
"""
