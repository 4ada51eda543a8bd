"""Coded terms of structures, measures and units: SNOMED CT, LOINC, DICOM and UCUM.

References
----------
DICOM PS3.16: CID 7151 and CID 12305 (structures), CID 12202 and 12203 (left ventricle's volumes and mass), CID 3835 (right
ventricle's volumes, stroke volume), CID 12204 (right ventricle's stroke volume), CID 3833 (ejection fraction).
"""

from enum import StrEnum

from pydicom.sr.coding import Code

from cmr_planes.views import Structure

ANATOMICAL_STRUCTURE = Code("91723000", "SCT", "Anatomical Structure")
"""SegmentedPropertyCategory of all segments."""

SEGMENT_TYPES = {
    Structure.LV: Code("87878005", "SCT", "Left ventricle"),
    Structure.MYO: Code("49848007", "SCT", "Left Ventricle Myocardium"),
    Structure.RV: Code("53085002", "SCT", "Right ventricle"),
    Structure.LA: Code("82471001", "SCT", "Left atrium"),
    Structure.RA: Code("73829009", "SCT", "Right atrium"),
}
"""SegmentedPropertyType. There is no code for the blood pool of a ventricle alone: the label says it."""

SEGMENT_LABELS = {
    Structure.LV: "LV blood pool",
    Structure.MYO: "LV myocardium",
    Structure.RV: "RV blood pool",
    Structure.LA: "Left atrium",
    Structure.RA: "Right atrium",
}
"""SegmentLabel, which viewers show."""

ARTIFICIAL_INTELLIGENCE = Code("123110", "DCM", "Artificial Intelligence")


class Quantity(StrEnum):
    """What is measured of a ventricle."""

    END_DIASTOLIC_VOLUME = "end-diastolic volume"
    END_SYSTOLIC_VOLUME = "end-systolic volume"
    STROKE_VOLUME = "stroke volume"
    EJECTION_FRACTION = "ejection fraction"
    MASS = "mass"


MEASUREMENTS = {
    (Structure.LV, Quantity.END_DIASTOLIC_VOLUME): Code("18026-5", "LN", "Left Ventricular End Diastolic Volume"),
    (Structure.LV, Quantity.END_SYSTOLIC_VOLUME): Code("18148-7", "LN", "Left Ventricular End Systolic Volume"),
    (Structure.LV, Quantity.STROKE_VOLUME): Code("90096001", "SCT", "Stroke Volume"),
    (Structure.LV, Quantity.EJECTION_FRACTION): Code("8811-2", "LN", "Left ventricular ejection fraction by MR"),
    (Structure.LV, Quantity.MASS): Code("18087-7", "LN", "Left Ventricle Mass"),
    (Structure.RV, Quantity.END_DIASTOLIC_VOLUME): Code("8822-9", "LN", "Right Ventricular ED Volume"),
    (Structure.RV, Quantity.END_SYSTOLIC_VOLUME): Code("8824-5", "LN", "Right Ventricular ES Volume"),
    (Structure.RV, Quantity.STROKE_VOLUME): Code("429483009", "SCT", "RV Stroke Volume"),
    (Structure.RV, Quantity.EJECTION_FRACTION): Code("8818-7", "LN", "Right ventricular ejection fraction by MR"),
}
"""Concept names of the measurements of a ventricle."""

MILLILITRE = Code("mL", "UCUM", "mL")
UNITS = {
    Quantity.END_DIASTOLIC_VOLUME: MILLILITRE,
    Quantity.END_SYSTOLIC_VOLUME: MILLILITRE,
    Quantity.STROKE_VOLUME: MILLILITRE,
    Quantity.EJECTION_FRACTION: Code("%", "UCUM", "Percent"),
    Quantity.MASS: Code("g", "UCUM", "g"),
}

CARDIAC_MRI = Code("241620005", "SCT", "Cardiac MRI")
"""The procedure that is reported."""
IMAGING_MEASUREMENT_REPORT = Code("126000", "DCM", "Imaging Measurement Report")
DEVICE = Code("121007", "DCM", "Device")
COMMENT = Code("121106", "DCM", "Comment")
