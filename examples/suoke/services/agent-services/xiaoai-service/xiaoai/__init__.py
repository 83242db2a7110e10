"""Xiaoai leads through a consultation and weighs what the four examinations found."""
