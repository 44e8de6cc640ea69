"""The overlay driver: each layer a directory of differences, merged by the kernel's overlayfs."""
