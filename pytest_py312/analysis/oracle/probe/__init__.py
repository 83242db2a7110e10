"""Code that runs inside the queried interpreter: standard library only, Python 3.8 and later."""
