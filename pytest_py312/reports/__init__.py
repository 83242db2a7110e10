"""Renderers. Each sees the Report (model.py) and nothing else of ours."""
