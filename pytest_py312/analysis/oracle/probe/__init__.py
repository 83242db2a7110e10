"""What runs inside the interpreter that is asked: the standard library only, Python 3.8 and later."""
