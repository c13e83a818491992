"""Checks for the exercises of the lessons, a file each: they say what is right or what is off, not the answer."""
