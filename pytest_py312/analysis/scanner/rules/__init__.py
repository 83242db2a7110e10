"""Hand-written rules, for changes that a comparison of two standard libraries cannot show."""
