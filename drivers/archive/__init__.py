"""Layers as tar archives: reading, unpacking, writing, and putting back together.

Used by: the drivers, backend.api. Knows nothing of: stores, records, which driver asks.
"""
