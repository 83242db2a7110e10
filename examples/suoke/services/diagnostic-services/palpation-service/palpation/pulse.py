"""From a pressure wave to the words for a pulse."""

import statistics


def peaks(wave, least):
    """Indices of local maxima that are at least ``least`` high."""
    return [
        index
        for index in range(1, len(wave) - 1)
        if wave[index] >= least and wave[index - 1] < wave[index] >= wave[index + 1]
    ]


def intervals(wave, rate):
    """Seconds from beat to beat; a beat is a peak above two thirds of the highest."""
    found = peaks(wave, max(wave, default=0) * 2 / 3)
    return [(after - before) / rate for before, after in zip(found, found[1:])]


def beats_a_minute(gaps):
    return round(60 / statistics.fmean(gaps)) if gaps else 0


def irregular(gaps):
    """Whether the gaps differ by more than a tenth of their mean."""
    return len(gaps) > 1 and statistics.pstdev(gaps) > 0.1 * statistics.fmean(gaps)


def describe(wave, rate):
    """Words for the pulse, sorted. ``rate`` is samples a second, the wave's pressure between 0 and 1."""
    gaps = intervals(wave, rate)
    beats = beats_a_minute(gaps)
    found = {"irregular pulse"} if irregular(gaps) else set()
    if beats:
        found.add("slow pulse" if beats < 60 else "rapid pulse" if beats > 90 else "even pulse")
        found.add("weak pulse" if max(wave) < 0.3 else "strong pulse")
    return sorted(found)
