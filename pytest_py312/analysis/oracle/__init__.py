"""Ask interpreters about their standard library and their compiler."""
