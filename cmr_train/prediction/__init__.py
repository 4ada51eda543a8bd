"""A trained network on images, and the files and pictures that come of it."""
