"""The tree as plain objects: no FUSE, no event loop, no inode table."""
