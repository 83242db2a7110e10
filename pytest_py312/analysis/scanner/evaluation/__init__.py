"""Static evaluation: values of names, conditions of tests, and guards around code."""
