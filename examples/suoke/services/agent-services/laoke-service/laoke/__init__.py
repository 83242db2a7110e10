"""Laoke tells stories: what one learns about health while being entertained."""
