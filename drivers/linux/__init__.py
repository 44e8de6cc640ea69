"""The kernel's calls that Python's standard library lacks, and how we use those it has.

The only place with ctypes and fcntl. Everything raises OSError with errno and path.
"""
