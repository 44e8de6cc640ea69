"""The btrfs driver: each layer a subvolume, a snapshot of its parent."""
