"""How bright tissues are in a balanced steady-state free precession (bSSFP) cine, in arbitrary units."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Tissues:
    """The brightness of each tissue; the defaults are those of a usual scan.

    Blood is bright, fat nearly as bright, muscle dark, lung and cortical bone black: the order that a reader expects, and between
    any two neighbours a step of at least a third of the brighter one (blood of the right ventricle is kept from fat by its wall).
    Where the phases of fat and water are opposed, fat is negative: the magnitude has a dark line between them.
    """

    air: float = 2.0
    lung: float = 14.0
    cortical_bone: float = 25.0
    stomach_gas: float = 6.0
    muscle: float = 92.0
    myocardium: float = 112.0
    wall: float = 96.0
    """Walls of the right ventricle, the atria and vessels; closed valves."""
    pericardium: float = 70.0
    liver: float = 185.0
    spleen: float = 215.0
    stomach: float = 150.0
    marrow: float = 165.0
    disc: float = 120.0
    oesophagus: float = 120.0
    cord: float = 230.0
    mediastinum: float = 250.0
    fat: float = 330.0
    epicardial_fat: float = 310.0
    rv_blood: float = 400.0
    venous_blood: float = 370.0
    lv_blood: float = 430.0
    arterial_blood: float = 400.0
    fluid: float = 450.0
    """Water at rest: around the spinal cord, and in an effusion."""


USUAL_TISSUES = Tissues()
