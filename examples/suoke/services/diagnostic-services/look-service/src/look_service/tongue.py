"""Colours of a tongue, from the pixels of a picture."""

import colorsys
import statistics
from collections import Counter


def colour(pixel):
    """The word for one pixel of a tongue: red, green and blue from 0 to 255."""
    hue, saturation, value = colorsys.rgb_to_hsv(*(channel / 255 for channel in pixel))
    if value < 0.25:
        return "dark"
    if saturation < 0.12:
        return "white"
    if 0.1 <= hue < 0.2:
        return "yellow"
    if 0.6 <= hue < 0.9:
        return "purple"
    return "red" if saturation > 0.5 else "pink" if saturation > 0.25 else "pale"


def shares(pixels):
    """Colour -> share of the pixels, the largest first."""
    counts = Counter(colour(pixel) for pixel in pixels)
    return {word: round(n / len(pixels), 3) for word, n in sorted(counts.items(), key=lambda item: (-item[1], item[0]))}


def evenly_lit(pixels, most=70):
    """Whether the light is even enough for a judgement: the brightness does not spread too far."""
    return len(pixels) > 1 and statistics.pstdev(max(pixel) for pixel in pixels) <= most


def signs(pixels):
    """Words for the tongue, sorted. White and yellow are its coating, the rest is its body."""
    found = shares(pixels)
    coating = {word: share for word, share in found.items() if word in ("white", "yellow")}
    body = [word for word in found if word not in coating]
    words = [body[0] + " tongue"] if body else []
    if sum(coating.values()) > 0.3:
        words.append(max(coating, key=coating.get) + " coating")
    return sorted(words)
