import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmr_planes.views import CardiacView
from cmr_train.choices import LossKind, People, Preset, Sharing, TransferMode, Weights
from cmr_train.data.splits import choose_participants
from cmr_train.errors import ConfigError
from cmr_train.runs.identity import CatalogueIdentity
from cmr_train.study.plan import StudyPlan, plan_study
from cmr_train.study.study_file import OtherTestSet, parse_study, read_document
from cmr_train.study.survey import Cohort

FOLDER = Path("studies/s")


def plan(**document: Any) -> StudyPlan:
    return plan_study(parse_study(document), FOLDER)


def problems(**document: Any) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        plan(**document)
    return tuple(str(problem) for problem in caught.value.problems)


def test_the_paper_is_the_default():
    found = plan()
    assert len(found.combinations) == len(found.runs) == 4 * 5 * 3
    assert [each.name for each in found.pretexts] == ["default"]
    cell = found.combinations[-1]
    assert (cell.name, cell.folder, cell.pretext) == ("multitask-n100-s2", "cells/multitask-n100-s2", "default")
    assert cell.config.transfer is not None
    assert cell.config.transfer.pretext == FOLDER / "pretexts/default"
    assert (cell.config.data.subjects, cell.config.data.subjects_seed, cell.config.training.seed) == (100, 2, 2)
    assert (cell.config.training.iterations, cell.config.network.base_channels) == (50_000, 64)
    assert found.pretexts[0].config.data.subjects is None


def test_the_best_weights_are_a_choice_for_every_network_and_need_validation():
    assert {run.weights for run in plan().everything} == {Weights.LAST}
    found = plan(weights="best", finetune={"validate_every": 10})
    assert {run.weights for run in found.runs} == {Weights.BEST}
    assert [pretext.weights for pretext in found.pretexts] == [Weights.LAST]
    assert problems(weights="best") == ("finetune: the best weights are chosen by validation; set validate_every",)


def test_settings_go_to_both_tasks_and_their_own_tables_win():
    found = plan(
        view="4ch",
        data="heart.h5",
        preset="quick",
        settings={"iterations": 9, "resample_mm": 3, "loss": "dice"},
        pretext={"iterations": 7, "loss": "weighted"},
        finetune={"batch_size": 2},
    )
    pretext, cell = found.pretexts[0].config, found.combinations[0].config
    assert (pretext.training.iterations, cell.training.iterations) == (7, 9)
    assert (pretext.training.loss, cell.training.loss) == (LossKind.WEIGHTED, LossKind.DICE)
    assert (pretext.training.batch_size, cell.training.batch_size) == (10, 2)
    assert (pretext.data.data, cell.data.data) == (Path("heart.h5"), Path("heart.h5"))
    assert (cell.data.resample_mm, cell.data.view, cell.preset) == (3.0, CardiacView.FOUR_CHAMBER, Preset.QUICK)


def test_every_network_of_a_variant_has_the_matrix_and_the_split_of_its_pretext():
    found = plan(pretext={"rows": 96, "base_channels": 8, "split_seed": 5})
    assert {
        (cell.config.data.rows, cell.config.network.base_channels, cell.config.data.split_seed) for cell in found.combinations
    } == {(96, 8, 5)}


def test_a_difference_that_only_multitask_sees_costs_no_second_scratch_and_no_second_pretext():
    found = plan(subjects=[1], seeds=1, variants={"plain": {}, "shared": {"finetune": {"optimiser_state": "shared"}}})
    assert [each.name for each in found.pretexts] == ["plain"]
    folders = {cell.name: cell.folder for cell in found.combinations}
    assert len(found.combinations) == 8
    assert len(found.runs) == 5
    assert folders["shared.scratch-n1-s0"] == folders["plain.scratch-n1-s0"] == "cells/plain.scratch-n1-s0"
    assert folders["shared.multitask-n1-s0"] == "cells/shared.multitask-n1-s0"
    config = next(cell.config for cell in found.combinations if cell.name == "shared.multitask-n1-s0")
    assert config.transfer is not None
    assert config.transfer.optimiser_state is Sharing.SHARED


def test_another_pretext_leaves_scratch_shared_and_makes_the_transfers_anew():
    found = plan(subjects=[1], seeds=1, variants={"a": {}, "b": {"pretext": {"subjects": 10}}})
    assert [(each.name, each.config.data.subjects) for each in found.pretexts] == [("a", None), ("b", 10)]
    shared = [cell.mode for cell in found.combinations if cell.folder.startswith("cells/a.") and cell.variant == "b"]
    assert shared == [TransferMode.SCRATCH]
    assert {cell.pretext for cell in found.combinations if cell.variant == "b"} == {None, "b"}


def test_a_pretext_per_seed_starts_the_networks_of_its_seed_and_leaves_scratch_as_it_is():
    shared, found = plan(subjects=[1, 5], seeds=3), plan(subjects=[1, 5], seeds=3, pretext_per_seed=True)
    configs = {each.name: each.config for each in found.pretexts}
    assert {name: (config.training.seed, config.data.subjects_seed) for name, config in configs.items()} == {
        f"default-s{seed}": (seed, seed) for seed in range(3)
    }
    assert configs["default-s0"] == shared.pretexts[0].config
    for cell in found.combinations:
        own = None if cell.mode is TransferMode.SCRATCH else f"default-s{cell.seed}"
        assert cell.pretext == own
        assert cell.config.transfer is not None
        assert cell.config.transfer.pretext == (None if own is None else FOLDER / "pretexts" / own)
    scratch = [[cell.config for cell in each.combinations if cell.mode is TransferMode.SCRATCH] for each in (shared, found)]
    assert scratch[0] == scratch[1]
    assert found.study.to_json()["pretext_per_seed"]


def test_a_study_with_a_pretext_per_seed_varies_its_seed_itself():
    given = {"pretext": {"seed": 5, "subjects_seed": 2}}
    assert plan(**given).pretexts[0].config.training.seed == 5
    assert problems(pretext_per_seed=True, **given) == tuple(
        f"pretext.{name} is varied by the study itself; leave it out" for name in ("seed", "subjects_seed")
    )


def test_another_test_set_is_read_from_its_table():
    found = plan(test={"data": "mnms.h5", "split": "official.csv", "people": "other"}).study
    assert found.test == OtherTestSet(data=Path("mnms.h5"), split=Path("official.csv"), people=People.OTHER)
    assert found.to_json()["test"] == {"data": "mnms.h5", "split": "official.csv", "people": "other"}
    assert plan().study.to_json()["test"] is None
    assert problems(test={"data": "a.h5", "splits": "b.csv", "people": "some"}) == (
        "test has no setting 'splits'; did you mean 'split'?",
        "test.people must be one of same, other, got 'some'; did you mean 'same'?",
    )
    assert problems(test="a.h5") == ("test must be a table with the catalogue to score on, data = \"other.h5\", got 'a.h5'",)


def test_scratch_alone_needs_no_pretext():
    assert plan(modes=["scratch"]).pretexts == ()


def test_every_problem_is_listed_at_once_with_what_was_meant():
    found = problems(
        views="sax",
        modes=["scratch", "multi-task"],
        subjects=[1, 0],
        seeds=True,
        preset="papers",
        settings={"bas_channels": 3, "seed": 1},
        pretext={"iterations": "many", "loss": "wieghted"},
        finetune=3,
        variants={"a b": {"dat": "x"}},
    )
    text = "\n".join(found)
    assert len(found) == len(set(found))
    for part in (
        "the study has no setting 'views'; did you mean 'view'?",
        "modes must be one of scratch, decoder, all, multitask, got 'multi-task'; did you mean 'multitask'?",
        "subjects must be more than 0, got 0",
        "seeds must be a whole number, got True",
        "preset must be one of paper, quick, got 'papers'; did you mean 'paper'?",
        "settings has no setting 'bas_channels'; did you mean 'base_channels'?",
        "settings.seed is varied by the study itself; leave it out",
        "pretext.iterations must be a whole number, got 'many'",
        "pretext.loss must be one of cross-entropy, weighted, dice, got 'wieghted'; did you mean 'weighted'?",
        "finetune must be a table of settings, got 3",
        "variants.a b has no setting 'dat'; did you mean 'data'?",
        "a variant's name is made of letters, digits, - and _, got 'a b'",
    ):
        assert part in text


def test_values_that_are_not_allowed_are_named_as_the_file_names_them():
    found = problems(settings={"rotation_deg": 500}, finetune={"scaling": 2.0}, variants={"a": {"pretext": {"iterations": 0}}})
    assert set(found) == {
        "settings.rotation_deg must be 0 to 180 degrees, got 500.0",
        "finetune.scaling must be 0 or more and less than 1, got 2.0",
        "variants.a.pretext.iterations must be more than 0, got 0",
    }


def test_settings_that_do_not_go_together_are_named_with_the_task():
    found = problems(settings={"fractions": [0.5, 0.5, 0.5]})
    assert found == tuple(f"{task}: fractions must sum to 1, got (0.5, 0.5, 0.5)" for task in ("pretext", "finetune"))


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ({"subjects": []}, "subjects must be a list with something in it, got []"),
        ({"subjects": [1, 1]}, "subjects must be a list without repetition, got [1, 1]"),
        ({"view": "3ch"}, "view must be one of sax, 2ch, 4ch, got '3ch'; did you mean '4ch'?"),
        ({"name": " "}, "name must be a text, got ' '"),
        ({"variants": [1]}, "variants must be tables, as in [variants.NAME], got [1]"),
        ({"settings": {"fractions": [0.5, 0.5]}}, "settings.fractions must be a list of 3, got [0.5, 0.5]"),
        ({"settings": {"compile": 1}}, "settings.compile must be true or false, got 1"),
        ({"settings": {"learning_rate": False}}, "settings.learning_rate must be a number, got False"),
        ({"data": 3}, "data must be a text, got 3"),
        (
            {"variants": {"a": {}, "A": {}}},
            "variants name folders, and two of these names differ in case only, which macOS and Windows ignore; rename one",
        ),
        ({"variants": {"Nul": {}}}, "a variant names folders, and Windows has a device called 'Nul'; choose another name"),
    ],
)
def test_what_is_wrong_is_said(document, sentence):
    found = problems(**document)
    assert len(found) == 1
    assert found[0] == sentence


def test_a_file_that_is_no_toml_is_refused(tmp_path):
    (tmp_path / "s.toml").write_text("name = = 1")
    with pytest.raises(ConfigError, match=r"is not a TOML file: .*line 1"):
        read_document(tmp_path / "s.toml")


@pytest.mark.parametrize("path", ["C:\\scans\\out.h5", "\\\\server\\share\\out.h5", "runs\new.h5"])
def test_a_path_that_this_system_reads_otherwise_is_refused(path):
    """The last one is what TOML makes of a backslash before an n."""
    (problem,) = problems(data=path)
    assert problem.startswith(f"data is the path {path!r}; write paths with / between folders, which Windows takes too")


@pytest.mark.parametrize("path", ["C:/scans/out.h5", "//server/share/out.h5", "out.h5"])
def test_paths_with_drives_and_servers_are_taken(path):
    assert plan(data=path).pretexts[0].config.data.data == Path(path)


def test_a_file_whose_name_has_a_backslash_is_taken_where_there_is_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a\\b.h5").touch()
    assert plan(data="a\\b.h5").pretexts[0].config.data.data == Path("a\\b.h5")


def test_a_backslash_that_is_no_toml_is_explained(tmp_path):
    (tmp_path / "s.toml").write_text('data = "C:\\Users\\out.h5"', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"line 1.*; write paths with / between folders"):
        read_document(tmp_path / "s.toml")


def test_the_name_gives_the_folder():
    assert parse_study({"name": "SAX, positions or not?"}).slug == "sax-positions-or-not"


KEYS = st.sets(st.text("0123456789abc", min_size=1, max_size=4), min_size=1, max_size=20)


@given(keys=KEYS, numbers=st.sets(st.integers(1, 20), min_size=2, max_size=5), seeds=st.integers(1, 3))
def test_smaller_choices_of_subjects_are_part_of_larger_ones_and_seeds_differ_only_in_who(keys, numbers, seeds):
    identity = CatalogueIdentity(path=FOLDER, sha256="")
    train = {key: len(key) for key in keys}
    cohort = Cohort(catalogue=identity, train=train, test=frozenset(), held_back=frozenset(), validation=frozenset(), drawn={})
    found = plan(subjects=[*numbers], seeds=seeds, modes=["scratch", "all"])
    for seed in range(seeds):
        before: set[str] = set()
        for cell in (each for each in found.combinations if each.seed == seed and each.mode is TransferMode.ALL):
            data = cell.config.data
            assert data.subjects is not None
            chosen = set(choose_participants(keys, data.subjects, seed=data.subjects_seed))
            assert before <= chosen
            assert len(chosen) == min(data.subjects, len(keys))
            facts = cohort.learnt_from(cell.config)
            assert facts == {"n_subjects": len(chosen), "n_images": sum(len(key) for key in chosen)}
            scratch = next(
                each
                for each in found.combinations
                if (each.seed, each.subjects, each.mode) == (seed, cell.subjects, TransferMode.SCRATCH)
            )
            assert scratch.config.data == data
            before = chosen


TABLES = st.sampled_from(
    [{}, {"pretext": {"iterations": 5}}, {"finetune": {"beta": 2}}, {"finetune": {"iterations": 5}}, {"preset": "quick"}]
)


@given(variants=st.lists(TABLES, min_size=1, max_size=5))
def test_cells_share_a_folder_exactly_where_their_configuration_is_the_same(variants):
    found = plan(subjects=[1, 5], seeds=2, variants={f"v{number}": each for number, each in enumerate(variants)})
    for one in found.combinations:
        for other in found.combinations:
            assert (one.folder == other.folder) == (one.config == other.config)
    assert len({cell.folder for cell in found.runs}) == len(found.runs) == len({cell.config for cell in found.combinations})
    assert len({each.config for each in found.pretexts}) == len(found.pretexts)


ROOT = Path(__file__).parents[3]
STUDIES = [
    *re.findall(r"^```toml\n(.*?)^```", (ROOT / "docs" / "study.md").read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL),
    *(
        path.read_text(encoding="utf-8")
        for path in [ROOT / "examples" / "demo_study.toml", *sorted((ROOT / "examples" / "studies").glob("*.toml"))]
    ),
]


@pytest.mark.parametrize("text", STUDIES)
def test_the_studies_of_the_documentation_and_the_examples_can_be_planned(text):
    assert plan(**tomllib.loads(text)).combinations


def test_two_variants_of_multitask_cost_only_multitask_twice():
    """As docs/study.md says of its example."""
    found = plan(**tomllib.loads(STUDIES[0]))
    assert {cell.mode for cell in found.runs if cell.variant == "shared"} == {TransferMode.MULTITASK}
    assert len(found.pretexts) == 1
