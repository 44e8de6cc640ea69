"""Records and rules: which layers, images and containers exist, and what may happen next."""
