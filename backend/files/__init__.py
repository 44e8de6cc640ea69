"""The state of a store on disk: lock files, record files, data items, and where they are."""
