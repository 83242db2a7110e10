"""The words of the trade: herbs, points, signs and patterns."""
