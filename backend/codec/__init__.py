"""Bytes to values and back (pure): what the files of a store look like, byte by byte."""
