"""What a shard holds: the values that go in, and the names under which they are stored.

This module is the single truth of the format; ``docs/catalogue.md`` explains it to readers in any language.
"""

import hashlib
from collections.abc import Mapping
from enum import StrEnum

from cmr_planes.system.json_text import JSON, canonical_json

SCHEMA_VERSION = 1
"""Version of the format. A reader refuses a newer one."""


class FileKind(StrEnum):
    """What a file of ours is: the root attribute ``format``."""

    CATALOGUE = "cmr-planes catalogue"
    """The file that users open: tables and links."""
    SHARD = "cmr-planes shard"
    """Images and positions of one batch of subjects, and the tables about them."""
    LABELS = "cmr-planes labels"
    """Manual labels on the images of one shard."""


class Codec(StrEnum):
    """How images and masks are compressed, without loss."""

    BITSHUFFLE_LZ4 = "bitshuffle-lz4"
    """Bitshuffle and LZ4 (HDF5 filter 32008, of hdf5plugin): about ten times as fast as gzip."""
    GZIP = "gzip"
    """Byte shuffle and deflate, level 4: for readers without the plugin."""


class RootAttribute:
    """Attributes of the root group of a shard and of a catalogue."""

    FORMAT = "format"
    """A :class:`FileKind`."""
    SCHEMA_VERSION = "schema_version"
    """:data:`SCHEMA_VERSION`."""
    CONFIGURATION = "configuration"
    """The configuration of the run as JSON."""
    CONFIGURATION_SHA256 = "configuration_sha256"
    """Checksum of that JSON text."""
    VERSIONS = "versions"
    """Versions of the software that wrote the file, as JSON."""
    CODEC = "codec"
    """A :class:`Codec` (shards only)."""


class Group:
    """Groups under the root."""

    DATA = "data"
    """``/data/<subject>/<view>``."""
    LABELS = "labels"
    """``/labels/<subject>/<view>``, where there are manual labels."""


class Dataset:
    """Datasets of a view's group. Those with a phase axis are datasets, whatever their size, for they grow with the frames."""

    IMAGE = "image"
    """(phase, slice, row, column) uint16, one chunk a 2D image."""
    POSITIONS = "positions"
    """(phase, slice, row, column) uint8, classes 0 to 9; absent where the view has no positions."""
    LABELS = "labels"
    """(phase, slice, row, column) uint8, values of :class:`cmr_planes.views.Structure`; in label files."""
    PHASES = "phases"
    """(phase,) names."""
    FRAME_NUMBERS = "frame_numbers"
    """(phase, slice) int32, from 1."""
    TRIGGER_TIME_MS = "trigger_time_ms"
    """(phase, slice) float64, NaN where not known."""
    RESCALE = "rescale"
    """(phase, slice, 2) float64: each image's stored intensities times the first, plus the second, are the scanner's values."""
    INSTANCE_NUMBERS = "instance_numbers"
    """(phase, slice) int32, InstanceNumber, 0 where not known; absent where the images are not DICOM."""
    INSTANCE_DIGESTS = "instance_digests"
    """(phase, slice) 16 hexadecimal digits, :func:`instance_digest`, empty where not known; absent in the same cases."""


class Attribute:
    """Attributes of a view's group."""

    VIEW = "view"
    """``sax``, ``2ch``, ``3ch`` or ``4ch``."""
    AFFINE_LPS_MM = "affine_lps_mm"
    """(slice, 4, 4): (column, row, 0, 1) to LPS coordinates in mm."""
    SPACING_MM = "spacing_mm"
    """(slice, 2): distance between rows, distance between columns."""
    RESCALE_SLOPE = "rescale_slope"
    """The slope that all images of the view share, NaN where they differ: :attr:`Dataset.RESCALE` has each one's."""
    RESCALE_INTERCEPT = "rescale_intercept"
    """The intercept in the same form."""
    MANUFACTURER = "manufacturer"
    """One of nine vendor names in lower case, such as ``siemens`` or ``united imaging``; empty for any other, or if not given."""
    FIELD_STRENGTH_T = "field_strength_t"
    """Tesla, NaN if not known."""
    SLICE_THICKNESS_MM = "slice_thickness_mm"
    """(slice,): SliceThickness, NaN where not known; absent where no slice's is known."""
    HAS_DIRECTIONS = "has_directions"
    """Bool: whether the source says where anterior, left and head are; absent where it does."""
    SOURCE_ORDER = "source_order"
    """(slice,) int32: index of each slice in the source's own order, from 0; absent where the source is not one volume."""
    SOURCE_HEADER = "source_header"
    """(348,) uint8: a NIfTI-1 header with size and place of the source's voxels and nothing else; absent in the same cases."""
    LINE_VIEWS = "line_views"
    """(2,): the views whose planes leave the line of classes 2 to 5 and that of classes 6 to 9."""
    POSITION_CLASSES = "position_classes"
    """(10,): names of the classes in this view's words."""
    BOX_CENTRES_PX = "box_centres_px"
    """(slice, 9, 2): exact centres as (column, row), integers at pixel centres."""
    BOX_CENTRES_LPS_MM = "box_centres_lps_mm"
    """(slice, 9, 3): the same points in the patient."""
    BOXES_PX = "boxes_px"
    """(slice, 9, 4) int32: first row, row past the last, first column, column past the last; before clipping."""
    ALIGNMENT = "alignment"
    """(slice, 2): absolute cosine of each line with the patient axis that tells its ends apart."""
    LINE_ANGLE_DEG = "line_angle_deg"
    """(slice,): angle between the two lines in the image, 0 to 90."""
    CONDITION_NUMBER = "condition_number"
    """(slice,): condition number of the three planes, 1 if perpendicular."""
    LINE_AGREEMENT = "line_agreement"
    """(slice, 2): correlation of the two images along each line at ED, NaN where too short."""
    SHIFT_MM = "shift_mm"
    """(slice, 3), LPS: with it added to the slices' positions, the images agree best along their lines; relative to the long-axis
    views, NaN where not known. Absent where too few views have images."""
    SHIFT_SD_MM = "shift_sd_mm"
    """(slice, 2): standard deviation of the shift in the slice's plane, where it is larger, and through it."""
    SHIFT_AGREEMENT = "shift_agreement"
    """(slice, 2): mean correlation along the slice's lines as the headers have them, and with all slices shifted."""
    PLANE_SOURCE = "plane_source"
    """:data:`STATED_PLANES` where a table states a plane that leaves a line; absent where the files hold both."""
    BOX_SIZE = "box_size"
    """Edge of a box, in ``box_units``."""
    BOX_GAP = "box_gap"
    """Distance of adjacent boxes along the line, in ``box_units``."""
    BOX_UNITS = "box_units"
    """``px`` or ``mm``."""
    BOX_CLIP = "box_clip"
    """:data:`CLIP_POLICY`."""
    CLASSES = "classes"
    """Label files: (6,) names of the structures, in the order of their values."""
    ANNOTATED = "annotated"
    """Label files: (phase, slice) bool, which images have labels."""
    STRUCTURES = "structures"
    """Label files: (phase, slice, 6) bool, which structures were drawn on an image."""
    SOURCE = "source"
    """Label files: the format that the labels came in."""


STATED_PLANES = "table"
"""Value of :attr:`Attribute.PLANE_SOURCE`: such positions are only as good as the table."""

CLIP_POLICY = "border"
"""Boxes are cut at the image's border."""

INSTANCE_DIGEST_LENGTH = 16
"""Hexadecimal digits of an instance's digest."""


DAMAGED_SUFFIX = ".damaged"
"""Added to the name of a damaged file that is set aside so that it is rebuilt."""


def check_subject_key(key: str) -> None:
    """Raise ``ValueError`` unless ``key`` can name a subject in HDF5: not empty, no ``/``, no leading dot, no control character."""
    if not key or key.startswith(".") or "/" in key or not key.isprintable():
        raise ValueError(
            f"subject key {key!r} cannot name a group in HDF5: it must not be empty, start with a dot, or hold '/' or control "
            "characters"
        )


def configuration_digest(configuration: Mapping[str, JSON]) -> str:
    """Return the SHA-256 of a configuration's canonical JSON, 64 hexadecimal digits."""
    return hashlib.sha256(canonical_json(configuration).encode()).hexdigest()


def instance_digest(sop_instance_uid: str, frame_number: int, salt: str) -> str:
    """Return what stands for a SOP instance in a shard, so that annotations find their image and the UID itself is not stored.

    Parameters
    ----------
    sop_instance_uid
        The UID; an empty one gives an empty digest.
    frame_number
        The frame in a multi-frame instance, from 1; 0 for the only frame of another.
    salt
        The :func:`configuration_digest` of the run; with pseudonyms, a secret that depends on the key file.

    Returns
    -------
        :data:`INSTANCE_DIGEST_LENGTH` hexadecimal digits. Who has the DICOM files, and the key file if there is
        one, can compute them too; who has not cannot go back.
    """
    if not sop_instance_uid:
        return ""
    text = f"{salt} {sop_instance_uid} {frame_number}"
    return hashlib.sha256(text.encode()).hexdigest()[:INSTANCE_DIGEST_LENGTH]
