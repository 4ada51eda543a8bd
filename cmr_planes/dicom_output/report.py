"""Measures of the ventricles as a DICOM structured report: TID 1500 in a Comprehensive 3D SR.

References
----------
DICOM PS3.16: TID 1500 (Measurement Report), TID 1501 (Measurement and Qualitative Evaluation Group).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydicom.dataset import Dataset

from cmr_planes.dicom.quiet import quiet_pydicom
from cmr_planes.dicom.study_header import verbatim
from cmr_planes.dicom_output import codes
from cmr_planes.dicom_output.codes import Quantity
from cmr_planes.dicom_output.envelope import (
    MANUFACTURER,
    MODEL,
    empty_study,
    equipment,
    finish,
    instance_reference,
    series_references,
)
from cmr_planes.dicom_output.identifiers import derived_uid
from cmr_planes.dicom_output.model import DicomObject, Network, SourceImages
from cmr_planes.views import Structure

if TYPE_CHECKING:
    from highdicom.sr import MeasurementsAndQualitativeEvaluations

SERIES_NUMBER = 90_000
"""SeriesNumber of the report."""
DECIMALS = 2
"""Of the values."""


@dataclass(frozen=True, slots=True)
class VentricleMeasures:
    """What was measured of one ventricle."""

    structure: Structure
    """LV or RV."""
    values: Mapping[Quantity, float]
    """Volumes in ml, ejection fraction in %, mass in g; NaN where there is none."""
    remarks: Sequence[str] = field(default=())
    """Why values are missing: sentences that stand in the report."""


def make_report(
    images: SourceImages,
    segmentations: Sequence[DicomObject],
    ventricles: Sequence[VentricleMeasures],
    network: Network,
    *,
    anonymous: bool = False,
) -> DicomObject:
    """Make the report of one subject.

    Parameters
    ----------
    images
        What was measured.
    segmentations
        The segmentations of these images, made with the same ``anonymous``: evidence, as the images are.
    ventricles
        One group of measurements each.
    network
        What made the segmentations.
    anonymous
        Whether the report says nothing of patient, study and source.

    Returns
    -------
        The report: complete, preliminary and not verified. Values have :data:`DECIMALS` decimals; what is missing is left out. The
        same arguments give the same bytes.
    """
    from highdicom.sr import (
        CodedConcept,
        Comprehensive3DSR,
        DeviceObserverIdentifyingAttributes,
        MeasurementReport,
        ObservationContext,
        ObserverContext,
    )

    evidence = [one.dataset for one in segmentations]
    texts = [f"{group.structure.title} {list(_measured(group).items())} {list(group.remarks)}" for group in ventricles]
    uid = derived_uid("report", *network.names, *(str(one.SOPInstanceUID) for one in evidence), *texts)
    device = DeviceObserverIdentifyingAttributes(
        uid=derived_uid("device", *network.names),
        name=MODEL,
        manufacturer_name=MANUFACTURER,
        model_name=MODEL,
        serial_number=network.serial_number,
    )
    with quiet_pydicom():
        content = MeasurementReport(
            observation_context=ObservationContext(ObserverContext(CodedConcept.from_code(codes.DEVICE), device)),
            procedure_reported=codes.CARDIAC_MRI,
            imaging_measurements=[_group(group, uid, network) for group in ventricles],
            title=codes.IMAGING_MEASUREMENT_REPORT,
        )
        dataset = Comprehensive3DSR(
            evidence=[_stand_in(images, evidence[0])],
            content=content[0],
            series_instance_uid=derived_uid("report series", uid),
            series_number=SERIES_NUMBER,
            sop_instance_uid=uid,
            instance_number=1,
            is_complete=True,
            is_verified=False,
            series_description=f"{images.view.title} measures, {MODEL}",
            **equipment(network),
        )
        dataset.CurrentRequestedProcedureEvidenceSequence = [_evidence(images, evidence, anonymous=anonymous)]
        finish(dataset, images, anonymous=anonymous)
    return DicomObject(f"{images.view.value}_report", dataset)


def _stand_in(images: SourceImages, one: Dataset) -> Dataset:
    """Return an instance of the empty study, from which highdicom takes what all its objects have."""
    stand_in = empty_study(images)
    for keyword in ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID"):
        stand_in[keyword] = one[keyword]
    return stand_in


def _measured(group: VentricleMeasures) -> dict[Quantity, float]:
    """Return the values that there are, rounded."""
    return {quantity: round(value, DECIMALS) for quantity, value in group.values.items() if not math.isnan(value)}


def _group(group: VentricleMeasures, uid: str, network: Network) -> "MeasurementsAndQualitativeEvaluations":
    """Return the measurements of a ventricle."""
    from highdicom.sr import (
        AlgorithmIdentification,
        FindingSite,
        Measurement,
        MeasurementsAndQualitativeEvaluations,
        RelationshipTypeValues,
        TextContentItem,
        TrackingIdentifier,
    )

    found = MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(
            uid=derived_uid("group", uid, group.structure.title), identifier=group.structure.title
        ),
        algorithm_id=AlgorithmIdentification(
            name=MODEL, version=network.version, parameters=[f"{name}={value}" for name, value in network.parameters.items()]
        ),
        finding_sites=[FindingSite(codes.SEGMENT_TYPES[group.structure])],
        measurements=[
            Measurement(name=codes.MEASUREMENTS[group.structure, quantity], value=value, unit=codes.UNITS[quantity])
            for quantity, value in _measured(group).items()
        ],
    )
    for remark in group.remarks:
        found[0].ContentSequence.append(TextContentItem(codes.COMMENT, remark, RelationshipTypeValues.CONTAINS))
    return found


def _evidence(images: SourceImages, segmentations: Sequence[Dataset], *, anonymous: bool) -> Dataset:
    """Return what a report of one study rests on: segmentations, and the images unless nothing is to be said of them."""
    study_uid = str(segmentations[0].StudyInstanceUID)
    by_series: dict[str, list[Dataset]] = {}
    for one in segmentations:
        reference = instance_reference(str(one.SOPClassUID), str(one.SOPInstanceUID))
        by_series.setdefault(str(one.SeriesInstanceUID), []).append(reference)
    items = [] if anonymous else series_references(images.flat, "ReferencedSOPSequence")
    for series_uid, references in by_series.items():
        item = Dataset()
        item.SeriesInstanceUID = series_uid
        item.ReferencedSOPSequence = references
        items.append(item)
    study = Dataset()
    study.add(verbatim("StudyInstanceUID", study_uid))
    study.ReferencedSeriesSequence = items
    return study
