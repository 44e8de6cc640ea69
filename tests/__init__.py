"""The tests of storagefs; architecture.md section 6 says what stands in which folder."""
