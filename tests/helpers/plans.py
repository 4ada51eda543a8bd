"""Plans of nnU-Net: small ones, as ``nnUNetv2_plan_experiment`` writes them."""

import json
from pathlib import Path
from typing import Any


def plan_json(**changes: Any) -> dict[str, Any]:
    """Return the content of an ``nnUNetPlans.json`` whose 2D network is small; ``changes`` are of its 2D configuration."""
    configuration = {
        "data_identifier": "nnUNetPlans_2d",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": 6,
        "patch_size": [48, 40],
        "median_image_size_in_voxels": [48.0, 48.0],
        "spacing": [7.0, 7.0],
        "normalization_schemes": ["ZScoreNormalization"],
        "use_mask_for_norm": [False],
        "resampling_fn_data": "resample_data_or_seg_to_shape",
        "resampling_fn_seg": "resample_data_or_seg_to_shape",
        "resampling_fn_data_kwargs": {"is_seg": False, "order": 3, "order_z": 0, "force_separate_z": None},
        "resampling_fn_seg_kwargs": {"is_seg": True, "order": 1, "order_z": 0, "force_separate_z": None},
        "resampling_fn_probabilities": "resample_data_or_seg_to_shape",
        "resampling_fn_probabilities_kwargs": {"is_seg": False, "order": 1, "order_z": 0, "force_separate_z": None},
        "architecture": architecture(),
        "batch_dice": True,
    }
    full = {"patch_size": [8, 48, 40], "spacing": [10.0, 7.0, 7.0], "normalization_schemes": ["ZScoreNormalization"]}
    return {
        "dataset_name": "Dataset501_Phantom",
        "plans_name": "nnUNetPlans",
        "original_median_spacing_after_transp": [10.0, 7.0, 7.0],
        "original_median_shape_after_transp": [8, 48, 48],
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "configurations": {"2d": configuration | changes, "3d_fullres": configuration | full},
        "experiment_planner_used": "ExperimentPlanner",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {},
    }


def architecture(network: str = "PlainConvUNet", **changes: Any) -> dict[str, Any]:
    """Return an architecture of three stages; ``changes`` are of its arguments."""
    per_stage = {"n_conv_per_stage": [2, 2, 2]} if network == "PlainConvUNet" else {"n_blocks_per_stage": [1, 2, 2]}
    return {
        "network_class_name": f"dynamic_network_architectures.architectures.unet.{network}",
        "arch_kwargs": {
            "n_stages": 3,
            "features_per_stage": [4, 8, 16],
            "conv_op": "torch.nn.modules.conv.Conv2d",
            "kernel_sizes": [[3, 3], [3, 3], [3, 3]],
            "strides": [[1, 1], [2, 2], [2, 2]],
            **per_stage,
            "n_conv_per_stage_decoder": [2, 2],
            "conv_bias": True,
            "norm_op": "torch.nn.modules.instancenorm.InstanceNorm2d",
            "norm_op_kwargs": {"eps": 1e-05, "affine": True},
            "dropout_op": None,
            "dropout_op_kwargs": None,
            "nonlin": "torch.nn.LeakyReLU",
            "nonlin_kwargs": {"inplace": True},
            **changes,
        },
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }


def write_plan(path: Path, **changes: Any) -> Path:
    """Write :func:`plan_json`."""
    path.write_text(json.dumps(plan_json(**changes)))
    return path
