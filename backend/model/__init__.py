"""Values of the store (pure): records, snapshots, digests, names. No I/O."""
