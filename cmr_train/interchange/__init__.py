"""Trained networks as files for other programs: nnU-Net, safetensors, ONNX, MONAI. Training does not belong here."""
