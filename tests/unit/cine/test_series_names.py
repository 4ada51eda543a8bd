"""What series names mean: real names of many sites, and their look-alikes."""

from pathlib import Path

import pytest

from cmr_planes.cine.series_names import Exclusion, NameTable, Strength, load_names
from cmr_planes.errors import SourceError
from cmr_planes.views import CardiacView

NAMES = load_names()

SEEN = {
    "sax": """SAX_FIESTA_BH tfisp_cine_sax short_axis_stack_cine_trufi_retro bFFE_BH_SA short_axis_cine SHORT_AXIS SA_CINE_SENSE
        SAX_EF_CINE CINE_SA_WHOLE_HEART CINE-SHORT_AXIS_STACK Trufi_Cine_SAX SA_STACK Funct_SA_CINE SAX_FIESTA_BH_Asset *SAX_FIESTA_BH
        B-TFE_M2D_SA TF_Cine_Retro_iPAT_SAO CINE_segmented_SAX_b1 CINE_segmented_SAX CINE_segmented-_try_2sl_per_bh_SAX sax_5""",
    "4ch": """4CH_FIESTA_BH bFFE_BH_4CH 4_CHAMBER_CINE 4-CHAMBERS 4CH_CINE_BH HLA_CINE HLA_CINE_SENSE CINE_HLA four_chamber_cine
        4_CH_CINE_SENSE tfisp_cine_4_chamber_STACK HLA_STACK CINE_4CH_4_Slices B-TFE_4CH cine_4ch 4ch_function FIESTA_CINE_4cn
        CINE_segmented_LAX_4Ch 4ch_22 TF_Cine_Retro_iPAT_4C""",
    "2ch": """2CH_FIESTA_BH LV2CH_FIESTA_BH 2_CHAMBER_CINE bFFE_BH_vla VLA_CINE_SENSE two_chamber_cine Trufi_Cine_VLA
        VLA_CINE_WHOLE_HEART CINE_segmented_LAX_2Ch 2ch_21 TF_Cine_Retro_iPAT_2C""",
    "3ch": "3CH_FIESTA_BH VLAX_(LV3CH)_FIESTA_BH LVOT_CINE CINE_segmented_LAX_3Ch TF_Cine_Retro_iPAT_LVOT",
}
LOOK_ALIKES = """Trufi_Cine_SAX_InlineVF RV2CH_FIESTA_BH VLA_RV_2CH LOC_SAX_FIESTA_BH LOC_LAX_FIESTA_BH Cine_4CH_loc Cine_2CH_loc
    CINE_IR 4CH_CineIR T1Map_LongT1_SA_MOCO DE_SAX PSIR_SAX PERF_SA_1 SAX_Tags_Grid real_time_cine_sax RVOT Define_SAX
    aortic_valve_short_axis_stack_cine_trufi_retro Inline_VF_Results cine_tagging_3sl_SAX_b4 CINE_segmented_Ao_dist_InlineVF
    DefineLongaxis_2 CINE_segmented_SAX_InlineVF"""


ABROAD = {
    "sax": """CINE EJE CORTO DE VI; cine plan petit axe; Kurzachse; cine kurze Achse; CINE asse corto; cine eixo curto; cinesax""",
    "2ch": """CINE DE 2 CAMARAS; cine 2 cámaras; CINE 2 cav; cine plan 2 cavités; Zweikammerblick; 2-Kammer-Blick; deux cavités; 2 camere;
        due camere; duas câmaras; 2 cavidades; eje largo vertical; grand axe vertical; lax_2c_ed; la_2ch; lax2ch; vertikale Längsachse""",
    "3ch": "3 camaras; 3 cav; Dreikammerblick; trois cavites; tre camere; três câmaras; lax_3c; LV-Ausflusstrakt",
    "4ch": """CINE DE 4 CAMARAS; CINE 4 cav; quatre cavités; Vierkammerblick; 4KB; quattro camere; quatro câmaras; lax_4c_ed; lax4ch;
        la_4ch; eje largo horizontal; asse lungo orizzontale 4 camere""",
}
LOCALISERS_ABROAD = "Übersicht; overzicht; översikt; oversigt; Lokalisation; Planung; repérage; localisateur; localizador; planificación; localizzatore; planificação; 定位localizer"


def strongest(names: NameTable, name: str) -> Exclusion | None:
    return next(iter(names.exclusions(name)), None)


def reason(names: NameTable, name: str) -> str:
    word = strongest(names, name)
    return "" if word is None else word.reason


@pytest.mark.parametrize(("view", "name"), [(view, name) for view, names in SEEN.items() for name in names.split()])
def test_names_of_many_sites_hint_at_their_view(view, name):
    assert NAMES.view(name) is CardiacView(view)
    assert strongest(NAMES, name) is None


@pytest.mark.parametrize(("view", "name"), [(view, name.strip()) for view, names in ABROAD.items() for name in names.split(";")])
def test_names_in_five_other_languages_hint_at_their_view(view, name):
    assert NAMES.view(name) is CardiacView(view)
    word = strongest(NAMES, name)
    assert word is None or word.strength is Strength.HINT


@pytest.mark.parametrize("name", LOCALISERS_ABROAD.split("; "))
def test_localisers_in_other_languages_are_known(name):
    word = strongest(NAMES, name)
    assert word is not None
    assert (word.reason, word.strength) == ("localiser", Strength.TELLING)


@pytest.mark.parametrize(
    "name",
    """CINE EJE CORTO DE VI; CINE PA; cine plan petit axe; SAX retro RT 60; SA cine AV block; T1_FFE cine SA; SAX cine 3D heart map;
    Contrast enhanced cardiac exam; DE-IDENTIFIED""".split(";"),
)
def test_words_of_several_meanings_are_hints_only(name):
    word = strongest(NAMES, name)
    assert word is not None
    assert word.strength is Strength.HINT


@pytest.mark.parametrize("name", ["SAX flow compensated", "cine_tagged_no", "SA de VI 3", "Tag 1 SAX", "SAX performance"])
def test_words_that_contain_others_are_not_taken_for_them(name):
    word = strongest(NAMES, name)
    assert (word is not None and word.strength is Strength.TELLING) == (name == "cine_tagged_no")


@pytest.mark.parametrize("name", LOOK_ALIKES.split())
def test_look_alikes_are_left_out(name):
    assert strongest(NAMES, name) is not None


@pytest.mark.parametrize("name", ["", "sBTFE_BH_M2D", "AX_CINE_STACK", "CINE_segmented_LAX", "2ch and 4ch"])
def test_names_that_tell_nothing_or_too_much_hint_at_nothing(name):
    assert NAMES.view(name) is None


def test_the_first_telling_name_counts():
    assert NAMES.view("", "protocol", "sax_5") is CardiacView.SAX
    assert NAMES.view("4ch", "sax") is CardiacView.FOUR_CHAMBER


def test_a_site_adds_its_own_names(tmp_path):
    table = tmp_path / "names.toml"
    table.write_text('[views]\nsax = ["kurze achse"]\n[exclude]\nphantom = ["^qa "]\n')
    names = load_names(table)
    assert names.view("Kurze-Achse_1") is CardiacView.SAX
    assert names.view("CINE_segmented_SAX_b1") is CardiacView.SAX
    assert reason(names, "QA SAX") == "phantom"


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("Übersicht", "übersicht"),
        ("Übersicht", "Übersicht"),
        ("Übersicht", "u\u0308bersicht"),
        ("短轴 1", "短轴"),
        ("２ＣＨ", "2ch"),
    ],
)
def test_patterns_match_letters_of_every_script(tmp_path, name, pattern):
    table = tmp_path / "names.toml"
    table.write_text(f'[exclude]\nother = ["{pattern}"]\n', encoding="utf-8")
    assert strongest(load_names(table), name) is not None
    assert reason(load_names(table), name) == "other"


def test_a_site_takes_an_exclusion_back(tmp_path):
    table = tmp_path / "names.toml"
    table.write_text('[keep]\ncine = ["flow sax"]\n[exclude]\nother = ["flow sax 3"]\n')
    names = load_names(table)
    assert reason(NAMES, "Flow_SAX 1") == "flow"
    assert strongest(names, "Flow_SAX 1") is None
    assert reason(names, "Flow_SAX 3") == "other"
    assert reason(names, "Flow 2CH") == "flow"


def test_a_sites_own_view_goes_before_the_built_in_words(tmp_path):
    table = tmp_path / "names.toml"
    table.write_text('[views]\n3ch = ["sa 4ch"]\n')
    assert load_names(table).view("SA 4ch") is CardiacView.THREE_CHAMBER


def test_the_example_table_works():
    names = load_names(Path(__file__).parents[3] / "examples" / "names.toml")
    assert names.view("Kurze-Achse_1") is CardiacView.SAX
    assert names.view("Vierkammer cine") is CardiacView.FOUR_CHAMBER
    assert reason(names, "Uebersicht 3") == "localiser"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[views", "is not a table of names"),
        ('[views]\n5ch = ["x"]', "'5ch' is not a valid CardiacView"),
        ('[views]\nsax = ["("]', "is not a table of names"),
        ("[views]\nsax = 3", "is not a table of names"),
        ("views = 3", "views must be a section"),
        ('[views]\nsax = "kurzachse"', r'sax in \[views\] must be a list of patterns, as in sax = \["pattern"\]'),
        ('[exclude]\nlocaliser = "uebersicht"', r"localiser in \[exclude\] must be a list of patterns"),
        ("[keep]\ncine = [3]", r"cine in \[keep\] must be a list of patterns"),
        ("[other]", r"unknown section \[other\]"),
    ],
)
def test_a_faulty_table_is_one_sentence(tmp_path, text, message):
    table = tmp_path / "names.toml"
    table.write_text(text)
    with pytest.raises(SourceError, match=message):
        load_names(table)
