"""What the tests stand on: capabilities, mounts, the Go tools, a real image, a mounted store.

Knows nothing of: the code under test. Only ``mounted`` starts it, as a child process.
"""
