"""Rules by hand, for what no difference of two libraries can show."""
