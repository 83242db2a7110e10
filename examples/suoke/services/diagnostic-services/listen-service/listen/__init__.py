"""Listening: voice, breath and cough."""
