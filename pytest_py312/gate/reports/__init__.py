"""Renderers. Each sees the Report (core/model) and nothing else of ours."""
