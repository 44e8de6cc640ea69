"""The vfs driver: each layer a full copy of its parent, for file systems without overlay."""
