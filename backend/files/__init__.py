"""State on disk: lock files, record files, big data. No rules about what the records mean."""
