"""Devices, processes and random numbers. Nothing here knows an image or a network."""
