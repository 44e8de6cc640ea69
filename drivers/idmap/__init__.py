"""Translation of user and group IDs between a container and the host."""
