"""The store as a mounted tree: what a person sees, and what happens when they write."""
