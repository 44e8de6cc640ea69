"""The verbs: what can be done to layers, images, containers and mounts."""
