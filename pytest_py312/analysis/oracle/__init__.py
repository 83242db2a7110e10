"""Interpreters, asked about their own library and compiler."""
