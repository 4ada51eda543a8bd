"""Devices, processes and random numbers. Images and networks do not belong here."""
