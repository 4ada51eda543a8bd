"""Segmentations and reports as ``cmr-train predict --format seg`` writes them, without a network."""

from collections.abc import Mapping
from pathlib import Path

from cmr_planes.dicom_output.codes import Quantity
from cmr_planes.dicom_output.report import VentricleMeasures, make_report
from cmr_planes.dicom_output.segmentation import make_segmentations
from cmr_planes.views import Structure
from tests.helpers.dicom_objects import IDENTITY, NETWORK, VENTRICLES, heart_of, make_study, source_images

MEASURES = (VentricleMeasures(Structure.LV, {Quantity.END_DIASTOLIC_VOLUME: 123.4}), VentricleMeasures(Structure.RV, {}))
FILES_OF_A_STUDY = 7
"""Two phases of three slices, each a series, and the report."""


def write_results(folder: Path, sources: Path, *, n_studies: int = 1, identity: Mapping[str, object] = IDENTITY) -> list[Path]:
    """Write the results of small studies.

    Parameters
    ----------
    folder
        Gets the files of all studies.
    sources
        Gets a folder of images for each study.
    n_studies
        How many.
    identity
        Header values of all of them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for number in range(1, n_studies + 1):
        study = make_study(identity, name=f"SYN-{number:04d}")
        images = source_images(sources / f"SYN-{number:04d}", study)
        objects = make_segmentations(images, heart_of(images, study), VENTRICLES, NETWORK)
        objects.append(make_report(images, objects, MEASURES, NETWORK))
        for one in objects:
            path = folder / f"SYN-{number:04d}_{one.name}.dcm"
            path.write_bytes(one.encode())
            written.append(path)
    return written
