"""A trained network applied to images, and overlays of its label maps. Training and scores do not belong here."""
