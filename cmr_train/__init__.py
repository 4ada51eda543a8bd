"""Pretraining on anatomical positions and transfer to segmentation."""
