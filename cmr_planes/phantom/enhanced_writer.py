"""Cine series as one Enhanced MR Image Storage instance (multi-frame), as Philips and Siemens XA write them."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from cmr_planes.dicom.tags import ENHANCED_MR_IMAGE_STORAGE
from cmr_planes.phantom.dicom_model import CineSeries, DicomFile, DicomStudy, TransferSyntax, make_uid
from cmr_planes.phantom.dicom_writer import apply_overrides, clock, decimal, decimals, encode, general_dataset, pixel_values

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


def write_enhanced(
    study: DicomStudy,
    parts: Sequence[CineSeries],
    *,
    transfer_syntax: TransferSyntax = TransferSyntax.EXPLICIT_LITTLE,
    cycle_positions: Mapping[int, str] | None = None,
) -> DicomFile:
    """Encode planes of one matrix size as a single Enhanced MR instance.

    Parameters
    ----------
    study
        The examination.
    parts
        One or more planes; description, number and overrides are those of the first. The frames follow one another part by
        part, phase by phase; overrides apply to the top level of the instance.
    transfer_syntax
        How to encode the instance.
    cycle_positions
        CardiacCyclePosition by phase index: ``END_DIASTOLE`` or ``END_SYSTOLE``. Other frames get ``UNDETERMINED``; None writes
        the attribute nowhere.

    Returns
    -------
        The instance.

    Raises
    ------
    ValueError
        No part, or parts of different matrix sizes.
    """
    if not parts or len({part.frames.shape[1:] for part in parts}) != 1:
        raise ValueError("an Enhanced MR instance needs one or more planes of one matrix size")
    first = parts[0]
    series_uid = first.uid_in(study)
    dataset = general_dataset(study, first)
    uid = make_uid(study.name, "enhanced instance", series_uid)
    del dataset.AcquisitionDate, dataset.AcquisitionTime  # AcquisitionDateTime takes their place
    _set_all(dataset, _top_level(study, first, uid))
    dataset.NumberOfFrames = str(sum(len(part.frames) for part in parts))
    dataset.SharedFunctionalGroupsSequence = [_shared_groups(study, first)]
    dataset.PerFrameFunctionalGroupsSequence = [
        _frame_groups(study, part, stack_position, index, cycle_positions)
        for stack_position, part in enumerate(parts, start=1)
        for index in range(len(part.frames))
    ]
    dimension_uid = make_uid(study.name, "dimension organization", series_uid)
    dataset.DimensionOrganizationSequence = [_item(DimensionOrganizationUID=dimension_uid)]
    dataset.DimensionIndexSequence = [
        _item(DimensionOrganizationUID=dimension_uid, DimensionIndexPointer=pointer, FunctionalGroupPointer=0x00209111)
        for pointer in (0x00209056, 0x00209057, 0x00209128)
    ]
    frames = np.concatenate([part.frames for part in parts])
    dataset.PixelData = frames.astype("<u2").tobytes()
    written = apply_overrides(dataset, {**study.overrides, **first.overrides}, 0)
    return DicomFile(uid, 1, encode(written, transfer_syntax), series_uid, first.description)


def _top_level(study: DicomStudy, series: CineSeries, uid: str) -> dict[str, object]:
    profile = study.vendor.value
    return {
        "SOPClassUID": ENHANCED_MR_IMAGE_STORAGE,
        "SOPInstanceUID": uid,
        "InstanceNumber": "1",
        "ImageType": ["ORIGINAL", "PRIMARY", "CARDIAC", "NONE"],
        "AcquisitionDateTime": study.date + clock(study.start_minute + series.number),
        "AcquisitionDuration": 10.0 * series.interval_ms / 1000,
        "AcquisitionContrast": "UNKNOWN",
        "ContentQualification": "RESEARCH",
        "PixelPresentation": "MONOCHROME",
        "VolumetricProperties": "VOLUME",
        "VolumeBasedCalculationTechnique": "NONE",
        "ComplexImageComponent": "MAGNITUDE",
        "BurnedInAnnotation": "NO",
        "LossyImageCompression": "00",
        "PresentationLUTShape": "IDENTITY",
        "ResonantNucleus": "1H",
        "MagneticFieldStrength": study.field_strength_t,
        "KSpaceFiltering": "NONE",
        "ApplicableSafetyStandardAgency": "IEC",
        "AcquisitionContextSequence": [],
        "PulseSequenceName": profile.sequence_name or "cine",
        "MRAcquisitionType": "2D",
        "EchoPulseSequence": "GRADIENT",
        "MultiPlanarExcitation": "NO",
        "PhaseContrast": "NO",
        "TimeOfFlightContrast": "NO",
        "SteadyStatePulseSequence": "FREE_PRECESSION",
        "EchoPlanarPulseSequence": "NO",
        "SaturationRecovery": "NO",
        "SpectrallySelectedSuppression": "NONE",
        "OversamplingPhase": "NONE",
        "GeometryOfKSpaceTraversal": "RECTILINEAR",
        "RectilinearPhaseEncodeReordering": "LINEAR",
        "SegmentedKSpaceTraversal": "PARTIAL",
        "NumberOfKSpaceTrajectories": 1,
        "CardiacSynchronizationTechnique": "RETROSPECTIVE",
        "CardiacSignalSource": "ECG",
        "CardiacRRIntervalSpecified": series.interval_ms,
        "CardiacBeatRejectionTechnique": "NONE",
        "LowRRValue": str(round(series.interval_ms * 0.9)),
        "HighRRValue": str(round(series.interval_ms * 1.1)),
        "IntervalsAcquired": "10",
        "IntervalsRejected": "0",
        **{key: value for key, value in pixel_values(series).items() if not key.startswith("Window")},
    }


def _shared_groups(study: DicomStudy, series: CineSeries) -> "Dataset":
    profile = study.vendor.value
    rows, columns = series.plane.rows, series.plane.columns
    sar = _item(SpecificAbsorptionRateDefinition="IEC_WHOLE_BODY", SpecificAbsorptionRateValue=1.0)
    return _item(
        PixelMeasuresSequence=[
            _item(
                PixelSpacing=decimals([series.plane.row_spacing_mm, series.plane.column_spacing_mm]),
                SliceThickness=decimal(series.slice_thickness_mm),
            )
        ],
        FrameAnatomySequence=[_item(FrameLaterality="U", AnatomicRegionSequence=[_code("80891009", "SCT", "Heart")])],
        PixelValueTransformationSequence=[_item(RescaleIntercept="0", RescaleSlope="1", RescaleType="US")],
        FrameVOILUTSequence=[
            _item(**{key: value for key, value in pixel_values(series).items() if key.startswith("Window")}),
        ],
        MRImageFrameTypeSequence=[
            _item(
                FrameType=["ORIGINAL", "PRIMARY", "CARDIAC", "NONE"],
                PixelPresentation="MONOCHROME",
                VolumetricProperties="VOLUME",
                VolumeBasedCalculationTechnique="NONE",
                ComplexImageComponent="MAGNITUDE",
                AcquisitionContrast="UNKNOWN",
            )
        ],
        MRTimingAndRelatedParametersSequence=[
            _item(
                RepetitionTime=decimal(profile.repetition_time_ms),
                FlipAngle=decimal(profile.flip_angle_deg),
                EchoTrainLength="1",
                RFEchoTrainLength=0,
                GradientEchoTrainLength=1,
                SpecificAbsorptionRateSequence=[sar],
                GradientOutputType="DB_DT",
                GradientOutput=0.0,
                OperatingModeSequence=[_item(OperatingModeType="STATIC FIELD", OperatingMode="IEC_NORMAL")],
            )
        ],
        MREchoSequence=[_item(EffectiveEchoTime=profile.echo_time_ms)],
        MRModifierSequence=[
            _item(
                InversionRecovery="NO",
                FlowCompensation="NONE",
                Spoiling="NONE",
                T2Preparation="NO",
                SpectrallySelectedExcitation="NONE",
                SpatialPresaturation="NONE",
                PartialFourier="NO",
                ParallelAcquisition="NO",
            )
        ],
        MRImagingModifierSequence=[
            _item(
                MagnetizationTransfer="NONE",
                BloodSignalNulling="NO",
                Tagging="NONE",
                TransmitterFrequency=42.577 * study.field_strength_t,
                PixelBandwidth="900",
            )
        ],
        MRFOVGeometrySequence=[
            _item(
                InPlanePhaseEncodingDirection="ROW",
                MRAcquisitionFrequencyEncodingSteps=rows,
                MRAcquisitionPhaseEncodingStepsInPlane=columns,
                PercentSampling="100",
                PercentPhaseFieldOfView="100",
            )
        ],
        MRReceiveCoilSequence=[
            _item(ReceiveCoilName="BODY", ReceiveCoilManufacturerName="", ReceiveCoilType="BODY", QuadratureReceiveCoil="YES")
        ],
        MRTransmitCoilSequence=[_item(TransmitCoilName="BODY", TransmitCoilManufacturerName="", TransmitCoilType="BODY")],
        MRAveragesSequence=[_item(NumberOfAverages="1")],
    )


def _frame_groups(
    study: DicomStudy, part: CineSeries, stack_position: int, index: int, cycle_positions: Mapping[int, str] | None
) -> "Dataset":
    plane = part.plane
    time_ms = float(part.times_ms[index])
    content = _item(
        FrameAcquisitionNumber=1,
        FrameReferenceDateTime=study.date + clock(study.start_minute + part.number),
        FrameAcquisitionDateTime=study.date + clock(study.start_minute + part.number),
        FrameAcquisitionDuration=10.0 * part.interval_ms,
        StackID="1",
        InStackPositionNumber=stack_position,
        TemporalPositionIndex=index + 1,
        DimensionIndexValues=[1, stack_position, index + 1],
    )
    if cycle_positions is not None:
        content.CardiacCyclePosition = cycle_positions.get(index, "UNDETERMINED")
    return _item(
        FrameContentSequence=[content],
        PlanePositionSequence=[_item(ImagePositionPatient=decimals(plane.position_mm))],
        PlaneOrientationSequence=[_item(ImageOrientationPatient=decimals([plane.row_cosine, plane.column_cosine]))],
        CardiacSynchronizationSequence=[
            _item(
                NominalPercentageOfCardiacPhase=100 * time_ms / part.interval_ms,
                NominalCardiacTriggerDelayTime=time_ms,
                RRIntervalTimeNominal=part.interval_ms,
            )
        ],
    )


def _item(**values: object) -> "Dataset":
    """Return a dataset with the given attributes: an item of a sequence."""
    from pydicom.dataset import Dataset

    item = Dataset()
    _set_all(item, values)
    return item


def _set_all(dataset: "Dataset", values: Mapping[str, object]) -> None:
    for keyword, value in values.items():
        setattr(dataset, keyword, value)


def _code(value: str, scheme: str, meaning: str) -> "Dataset":
    return _item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)
