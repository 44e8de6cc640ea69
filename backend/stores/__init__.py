"""One store for each kind of record; none imports another."""
