"""Xiaoke finds the doctor, the room and the hour."""
