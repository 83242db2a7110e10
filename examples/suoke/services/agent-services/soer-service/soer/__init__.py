"""Soer plans the day: sleep, movement, water and food."""
