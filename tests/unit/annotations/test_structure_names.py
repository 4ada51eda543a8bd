"""Names of segments."""

import pytest

from cmr_planes.annotations.structure_names import structure_named
from cmr_planes.views import Structure

NAMES = {
    Structure.LV: [
        "LV",
        "lv_cavity",
        "Left Ventricle",
        "LeftVentricle",
        "left ventricular blood pool",
        "Cavity of the left ventricle",
        "LVBP",
    ],
    Structure.MYO: [
        "Myo",
        "Myocardium",
        "LV myocardium",
        "myocardium of the left ventricle",
        "LV-wall",
        "Left Ventricular Wall",
        "lvmyo",
    ],
    Structure.RV: ["RV", "right ventricle", "RV cavity", "heart_ventricle_right", "RVEndo"],
    Structure.LA: ["LA", "left atrium", "Left atrial cavity"],
    Structure.RA: ["ra", "Right Atrium"],
    None: [
        "",
        "wall",
        "RV myocardium",
        "right ventricle wall",
        "LV epicardium",
        "papillary muscle",
        "aorta",
        "LV apex",
        "ventricle",
        "left",
        "LV RV",
    ],
}


@pytest.mark.parametrize(("structure", "name"), [(structure, name) for structure, names in NAMES.items() for name in names])
def test_a_name_is_known_whole_or_not_at_all(structure: Structure | None, name: str) -> None:
    assert structure_named(name) is structure
