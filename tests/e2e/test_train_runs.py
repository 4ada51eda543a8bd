"""Training as a user does it: the commands, a kill, a resume, two processes, and whatever can be wrong with the input."""

import hashlib
import io
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
import torch

from cmr_planes.views import CardiacView, Structure
from cmr_train.runs.folder import newest_pretext
from cmr_train.runs.run import load_run
from tests.helpers.training import annotate, options, small_catalogue, train

ROOT = Path(__file__).parents[2]
SATURDAY_NOON = datetime(2025, 11, 22, 12, tzinfo=UTC).timestamp()


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return annotate(small_catalogue(tmp_path_factory.mktemp("data"), 10))


@pytest.fixture(scope="module")
def pretext_run(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "pretext-sax"
    assert train("pretext", "--data", data, "--out", out, *options()).exit_code == 0
    return out


def weights(run: Path, name: str = "final.pt") -> dict[str, torch.Tensor]:
    return torch.load(run / name, weights_only=True)["model"]


def same(first: Path, second: Path) -> bool:
    pairs = weights(first), weights(second)
    return pairs[0].keys() == pairs[1].keys() and all(torch.equal(pairs[0][name], pairs[1][name]) for name in pairs[0])


def metrics(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "cmr_train", *map(str, arguments)]


# What a run leaves


def test_a_run_leaves_all_that_is_needed_to_repeat_it(data, pretext_run):
    files = {path.name for path in pretext_run.iterdir()}
    assert files == {"config.json", "split.json", "metrics.jsonl", "final.pt", "tensorboard"}
    stored = json.loads((pretext_run / "config.json").read_text())
    assert stored["versions"]["torch"] == torch.__version__.split("+")[0] or stored["versions"]["torch"] == torch.__version__
    catalogue = stored["catalogues"]["positions"]
    assert catalogue["path"] == data.absolute().as_posix()
    assert catalogue["sha256"] == hashlib.sha256(data.read_bytes()).hexdigest()
    assert [line["iteration"] for line in metrics(pretext_run)] == [2, 4, 6]
    assert list((pretext_run / "tensorboard").iterdir())
    run = load_run(pretext_run)
    assert (run.view, run.head, run.image_size) == (CardiacView.SAX, "positions", (48, 48))
    assert not set(run.split.train) & {*run.split.validation, *run.split.test}
    assert newest_pretext(pretext_run.parent, CardiacView.SAX) == pretext_run
    assert newest_pretext(pretext_run.parent, CardiacView.FOUR_CHAMBER) is None


def test_the_commands_work_as_typed_in_a_folder_with_out_h5(data, monkeypatch):
    monkeypatch.chdir(data.parent)
    done = train("pretext", "--view", "sax", *options(iterations=2))
    assert done.exit_code == 0, done.output
    assert "2 iterations done" in done.stdout
    assert "weights in runs/pretext-sax/final.pt" in done.stdout
    transfer = ("finetune", "--mode", "multitask", "--beta", 10, *options(iterations=2))
    refused = train(*transfer)
    assert (refused.exit_code, refused.stderr) == (
        2,
        "Error: --pretext must name a run: the newest finished one of view SAX, 'runs/pretext-sax', has 2 iterations, and preset "
        "paper has 50,000; name it if it is meant\n",
    )
    assert not Path("runs/finetune-multitask-sax").exists()
    os.utime("runs/pretext-sax/final.pt", (SATURDAY_NOON, SATURDAY_NOON))
    done = train(*transfer, "--pretext", "runs/pretext-sax")
    assert done.exit_code == 0, done.output
    assert Path("runs/finetune-multitask-sax/final.pt").exists()
    assert (
        "Starting from runs/pretext-sax (SAX, 2 iterations, 22 Nov 2025), which learnt the nine anatomical positions: the encoder, the "
        "decoder and the head of positions copied, the head of structures random\n"
    ) in done.stderr
    again = train("pretext", "--view", "sax", *options(iterations=2))
    assert again.exit_code == 2
    assert "holds a run already; resume it, overwrite it, or choose another folder" in again.stderr
    assert train("pretext", "--overwrite", *options(iterations=2)).exit_code == 0


def test_multitask_goes_on_with_the_loss_of_its_pretext(data, tmp_path):
    pretext = ("--pretext", tmp_path / "pretext")
    once = options(iterations=1)
    assert train("pretext", "--data", data, "--out", tmp_path / "pretext", "--loss", "weighted", *once).exit_code == 0
    losses = {}
    for name, given in {"default": (), "weighted": ("weighted",), "cross-entropy": ("cross-entropy",)}.items():
        chosen = ("--pretext-loss", *given) if given else ()
        done = train("finetune", "--data", data, "--out", tmp_path / name, *pretext, *chosen, *once)
        assert done.exit_code == 0, done.output
        losses[name] = metrics(tmp_path / name)[0]["loss_positions"]
    assert losses["default"] == losses["weighted"] != losses["cross-entropy"]


@pytest.mark.parametrize("mode", ["scratch", "decoder", "all", "multitask"])
def test_all_modes_of_transfer_run(data, pretext_run, tmp_path, mode):
    pretext = () if mode == "scratch" else ("--pretext", pretext_run)
    done = train("finetune", "--mode", mode, "--data", data, "--out", tmp_path / "run", *pretext, *options())
    assert done.exit_code == 0, done.output
    report = json.loads((tmp_path / "run" / "weights.json").read_text())
    assert bool(report["loaded"]) == (mode != "scratch")
    before, after = weights(pretext_run), weights(tmp_path / "run")
    encoder = [name for name in after if name.startswith("encoder.")]
    kept = [name for name in encoder if torch.equal(before[name], after[name])]
    assert report["frozen"] == (encoder if mode == "decoder" else [])
    assert all(name.endswith("num_batches_tracked") for name in kept) or kept == encoder
    assert (kept == encoder) == (mode == "decoder")
    assert load_run(tmp_path / "run").head == "structures"
    assert ("loss_positions" in metrics(tmp_path / "run")[0]) == (mode == "multitask")


@pytest.mark.parametrize("decoder", ["shared", "per-task"])
def test_multitask_logs_the_dice_of_both_tasks(data, pretext_run, tmp_path, decoder):
    extra = ("--mode", "multitask", "--decoder", decoder, "--validate-every", 3, "--normalisation", "separate")
    done = train("finetune", "--data", data, "--out", tmp_path / "run", "--pretext", pretext_run, *options(), *extra)
    assert done.exit_code == 0, done.output
    lines = [line for line in metrics(tmp_path / "run") if "validation_mean" in line]
    assert [line["iteration"] for line in lines] == [3, 6]
    assert all(0 <= line["validation_positions_mean"] <= 1 for line in lines)
    assert all("validation_positions_intersection" in line for line in lines)
    names = weights(tmp_path / "run")
    assert any(name.startswith("decoders.positions.") for name in names) == (decoder == "per-task")
    assert load_run(tmp_path / "run").head == "structures"


def test_a_transfer_takes_network_matrix_and_split_from_its_pretext(data, tmp_path):
    small = options(iterations=1, rows=32, columns=64, base_channels=2, levels=3, split_seed=4, max_cut=1)
    assert train("pretext", "--data", data, "--out", tmp_path / "pretext", *small).exit_code == 0
    shown = train("finetune", "--dry-run", "--data", data, "--pretext", tmp_path / "pretext", "--columns", 80)
    config = json.loads(shown.stdout)
    assert config["network"] == {"base_channels": 2, "levels": 3, "norm": "batch"}
    assert [config["data"][name] for name in ("rows", "columns", "split_seed", "max_cut")] == [32, 80, 4, 1]
    assert config["training"]["iterations"] == 50_000


def test_the_quick_preset_and_options_of_the_loss_run(data, tmp_path):
    for number, given in enumerate(
        ({"loss": "dice"}, {"loss": "weighted", "schedule": "one-cycle", "resample_mm": 9, "cache": "disk"})
    ):
        done = train("pretext", "--json", "--preset", "quick", "--data", data, "--out", tmp_path / str(number), *options(**given))
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["losses"]["positions"] > 0


@pytest.mark.parametrize("norm", ["instance", "group"])
def test_networks_without_batch_statistics_are_pretrained_transferred_and_scored(data, tmp_path, norm):
    pretrained = ("pretext", "--norm", norm, "--schedule", "cosine", "--augmentation", "strong", *options(iterations=2))
    assert train(*pretrained, "--data", data, "--out", tmp_path / "pretext").exit_code == 0
    transfer = ("finetune", "--data", data, "--pretext", tmp_path / "pretext", *options(iterations=2))
    for mode in ("decoder", "multitask"):
        done = train(*transfer, "--mode", mode, "--out", tmp_path / mode)
        assert done.exit_code == 0, done.output
        assert load_run(tmp_path / mode).config.network.norm == norm
    assert train("evaluate", tmp_path / "multitask", "--subset", "all").exit_code == 0
    refused = train(*transfer, "--norm", "batch", "--out", tmp_path / "other")
    assert refused.exit_code == 1
    assert f"was trained with norm {norm}, and this run has norm batch" in refused.stderr


# Kill and resume


@pytest.mark.parametrize("recipe", ["pretext", "finetune"])
def test_resuming_after_a_stop_gives_the_same_weights(data, pretext_run, tmp_path, recipe, monkeypatch):
    from cmr_train.training import execution, session

    small = ("--data", data, *options(iterations=7), *(() if recipe == "pretext" else ("--pretext", pretext_run, "--beta", 2)))
    assert train(recipe, "--out", tmp_path / "whole", *small).exit_code == 0

    def reporter_that_stops(reporter: session.Reporter, done: int) -> None:
        if done == 3:
            signal.raise_signal(signal.SIGINT)

    original = execution.Hooks

    def hooks(**listeners):
        listeners["on_iteration"] = lambda done: reporter_that_stops(None, done)
        return original(**listeners)

    monkeypatch.setattr(execution, "Hooks", hooks)
    stopped = train(recipe, "--out", tmp_path / "parts", *small)
    assert stopped.exit_code == 130
    assert "run the same command with --resume to continue" in stopped.stderr
    assert not (tmp_path / "parts" / "final.pt").exists()
    monkeypatch.undo()
    done = train(recipe, "--out", tmp_path / "parts", "--resume", *small)
    assert done.exit_code == 0, done.output
    assert "resuming after iteration 4" in done.stderr
    assert same(tmp_path / "whole", tmp_path / "parts")
    rates = ("images_per_second",)
    lines = [
        [{key: each for key, each in line.items() if key not in rates} for line in metrics(tmp_path / name)]
        for name in ("whole", "parts")
    ]
    assert lines[0] == lines[1]


def test_kill_term_saves_and_resume_ends_as_the_whole_run(data, tmp_path):
    small = ("--data", data, *options(iterations=120, log_every=1))
    process = subprocess.Popen(command("pretext", "--out", tmp_path / "parts", *small), cwd=ROOT, stderr=subprocess.PIPE, text=True)
    lines = tmp_path / "parts" / "metrics.jsonl"
    deadline = time.monotonic() + 60
    while not (lines.exists() and lines.read_text().count("\n") > 5) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert "stopping after the iteration under way, with a checkpoint" in " ".join(stderr.split())
    assert "run the same command with --resume to continue" in stderr
    assert train("pretext", "--out", tmp_path / "parts", "--resume", "--data", data).exit_code == 0
    assert train("pretext", "--out", tmp_path / "whole", *small).exit_code == 0
    assert same(tmp_path / "parts", tmp_path / "whole")


def test_resume_begins_where_there_is_nothing_yet_and_does_nothing_where_all_is_done(data, tmp_path):
    arguments = ("pretext", "--resume", "--data", data, "--out", tmp_path / "run", *options())
    assert train(*arguments).exit_code == 0
    before = (tmp_path / "run" / "final.pt").read_bytes()
    assert train(*arguments).exit_code == 0
    assert (tmp_path / "run" / "final.pt").read_bytes() == before


def test_a_finished_run_keeps_its_optimiser_on_request_only(data, tmp_path):
    small = ("pretext", "--data", data, *options(iterations=2))
    for name, flags in {"kept": ("--keep-optimiser",), "removed": ()}.items():
        assert train(*small, "--out", tmp_path / name, *flags).exit_code == 0
        assert (tmp_path / name / "final.pt").exists()
        assert (tmp_path / name / "last.pt").exists() == (name == "kept")
    again = train(*small, "--out", tmp_path / "removed", "--resume")
    assert again.exit_code == 0, again.output
    assert "is finished already" in again.stderr


def test_a_run_in_float16_resumes_with_the_scale_of_its_loss(data, tmp_path):
    small = ("--data", data, "--precision", "fp16", "--keep-optimiser", *options(iterations=4, checkpoint_every=2))
    assert train("pretext", "--out", tmp_path / "run", *small).exit_code == 0
    saved = torch.load(tmp_path / "run" / "last.pt", weights_only=True)
    assert saved["scaler"]["scale"] == 65536
    assert saved["scaler"]["_growth_tracker"] == 4  # one step each
    assert all(tensor.isfinite().all() for tensor in weights(tmp_path / "run").values())
    (tmp_path / "run" / "final.pt").unlink()
    resumed = train("pretext", "--out", tmp_path / "run", "--resume", "--data", data, "--precision", "fp32")
    assert resumed.exit_code == 0, resumed.output


@pytest.fixture(scope="module")
def watched(data, tmp_path_factory):
    """A run that was validated after every iteration."""
    out = tmp_path_factory.mktemp("watched") / "run"
    flags = ("--fractions", 0.5, 0.3, 0.2, "--split-seed", 1, "--validate-every", 1, "--mode", "scratch")
    assert train("finetune", "--data", data, "--out", out, *options(learning_rate=0.02), *flags).exit_code == 0
    return out


def test_the_weights_of_the_best_validation_stand_beside_the_last(data, watched):
    dice = {line["iteration"]: line["validation_mean"] for line in metrics(watched) if "validation_mean" in line}
    eligible = {iteration: value for iteration, value in dice.items() if iteration >= 2}
    best = max(eligible, key=lambda iteration: (eligible[iteration], -iteration))
    stored = torch.load(watched / "best.pt", weights_only=True)
    assert stored["iteration"] == best
    assert stored["validation_dice"] == pytest.approx({"last": dice[6], "best": dice[best]}, abs=1e-6)
    for name in ("last", "best"):
        run = load_run(watched, weights=name)
        assert (run.weights, run.iteration) == (name, {"last": 6, "best": best}[name])
    assert same_tensors(load_run(watched, weights="best").model.state_dict(), stored["model"])


def same_tensors(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(tensor, second[name]) for name, tensor in first.items())


@pytest.mark.parametrize("choice", ["last", "best"])
def test_evaluate_and_predict_say_which_weights_they_use(data, watched, tmp_path, choice):
    said = f"{choice} weights, after "
    done = train("evaluate", watched, "--subset", "all", "-o", tmp_path / "scores", "--weights", choice)
    assert done.exit_code == 0, done.output
    assert said in done.stderr
    assert "mean Dice on the validation set " in done.stderr
    assert "(last), " in done.stderr
    assert json.loads((tmp_path / "scores" / "summary.json").read_text())["weights"] == choice
    done = train("predict", watched, data, "-o", tmp_path / "maps", "--no-pictures", "--json", "--weights", choice)
    assert done.exit_code == 0, done.output
    assert said in done.stderr
    assert json.loads(done.stdout)["weights"] == choice


def test_the_best_weights_of_a_run_without_validation_are_refused(pretext_run):
    done = train("evaluate", pretext_run, "--weights", "best")
    assert done.exit_code == 1
    assert "has no best.pt: it is not finished, was not validated" in done.stderr


def test_a_resumed_run_has_the_best_weights_of_the_whole(data, watched, tmp_path, monkeypatch):
    from cmr_train.training import execution

    flags = ("--fractions", 0.5, 0.3, 0.2, "--split-seed", 1, "--validate-every", 1, "--mode", "scratch")
    small = ("finetune", "--data", data, "--out", tmp_path / "run", *options(learning_rate=0.02, checkpoint_every=4), *flags)
    original = execution.Hooks

    def hooks(**listeners):
        listeners["on_iteration"] = lambda done: signal.raise_signal(signal.SIGINT) if done == 3 else None
        return original(**listeners)

    monkeypatch.setattr(execution, "Hooks", hooks)
    assert train(*small).exit_code == 130
    monkeypatch.undo()
    assert train(*small, "--resume").exit_code == 0
    assert same_tensors(weights(tmp_path / "run", "best.pt"), weights(watched, "best.pt"))


def test_resume_refuses_another_configuration_and_another_catalogue(data, pretext_run, tmp_path):
    refused = train("pretext", "--resume", "--data", data, "--out", pretext_run, "--iterations", 9, "--seed", 3)
    assert refused.exit_code == 2
    assert "--iterations is 6 in this run, not 9" in refused.stderr
    assert "--seed is 0 in this run" in refused.stderr
    other = small_catalogue(tmp_path, 6)
    run = tmp_path / "run"
    assert train("pretext", "--data", other, "--out", run, *options()).exit_code == 0
    (run / "config.json").write_text((run / "config.json").read_text().replace('"sha256": "', '"sha256": "0'))
    changed = train("pretext", "--data", other, "--out", run, "--resume")
    assert changed.exit_code == 1
    assert "has changed since run" in changed.stderr


# Two catalogues


@pytest.fixture(scope="module")
def unlabelled(tmp_path_factory):
    """Another cohort than that of ``data``, without labels, and a pretext of it."""
    folder = tmp_path_factory.mktemp("unlabelled")
    path = small_catalogue(folder, 12, first=41)
    assert train("pretext", "--data", path, "--out", folder / "pretext", *options(iterations=2)).exit_code == 0
    return path, folder / "pretext"


def test_multitask_goes_on_with_the_positions_of_the_pretext_s_own_people(data, unlabelled, tmp_path):
    path, pretext = unlabelled
    arguments = ("finetune", "--mode", "multitask", "--beta", 2, "--data", data, "--pretext", pretext, *options(iterations=2))
    result = train(*arguments, "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    n_pretext = len(json.loads((pretext / "split.json").read_text())["train"])
    assert f"positions: {n_pretext * 6} images of {n_pretext} participants" in result.stderr
    stored = json.loads((tmp_path / "run" / "config.json").read_text())
    assert stored["catalogues"]["positions"]["path"] == path.absolute().as_posix()
    assert stored["catalogues"]["structures"]["path"] == data.absolute().as_posix()
    weights_file = json.loads((tmp_path / "run" / "weights.json").read_text())
    assert weights_file["pretext_sha256"] == hashlib.sha256((pretext / "final.pt").read_bytes()).hexdigest()
    seen = json.loads((tmp_path / "run" / "split.json").read_text())["seen_by_pretext"]
    assert {key for group in seen for key in group["participants"]} == {*json.loads((pretext / "split.json").read_text())["train"]}
    given = train(*arguments, "--pretext-data", data, "--out", tmp_path / "given", "--split-seed", 0)
    assert given.exit_code == 0, given.output
    stored = json.loads((tmp_path / "given" / "config.json").read_text())
    assert stored["catalogues"]["positions"]["path"] == data.absolute().as_posix()


def test_multitask_without_the_pretext_s_catalogue_is_refused(data, unlabelled, tmp_path):
    path, pretext = unlabelled
    moved = path.with_name("moved.h5")
    path.rename(moved)
    try:
        arguments = ("finetune", "--mode", "multitask", "--data", data, "--pretext", pretext, *options(iterations=2))
        result = train(*arguments, "--out", tmp_path / "run")
        assert result.exit_code == 2
        assert "which is not there or was changed" in " ".join(result.stderr.split())
    finally:
        moved.rename(path)


def test_a_file_of_sets_names_the_people_of_both_catalogues(data, unlabelled, tmp_path):
    path, pretext = unlabelled
    annotated = "participant,set\n" + "".join(f"SYN-{number:04d},train\n" for number in range(1, 5))
    (tmp_path / "split.csv").write_text(annotated)
    arguments = ("finetune", "--mode", "multitask", "--data", data, "--pretext", pretext, "--split", tmp_path / "split.csv")
    refused = train(*arguments, "--out", tmp_path / "run", *options(iterations=2))
    assert refused.exit_code == 1
    sentence = " ".join(refused.stderr.split())
    assert f"has none of the 12 participants with positions in '{path}' in the training set" in sentence
    assert "with the set 'pretext'" in sentence
    (tmp_path / "split.csv").write_text(annotated + "SYN-0041,pretext\nSYN-0042,pretext\n")
    done = train(*arguments, "--out", tmp_path / "run", *options(iterations=2))
    assert done.exit_code == 0, done.output
    assert "structures: 24 images of 4 participants" in done.stderr
    assert "positions: 12 images of 2 participants" in done.stderr


def test_the_sets_of_a_file_are_those_of_the_run_and_of_its_scores(data, tmp_path):
    sets = {"SYN-0001": "train", "SYN-0002": "train", "SYN-0003": "pretext", "SYN-0004": "test", "SYN-0005": "validation"}
    (tmp_path / "split.csv").write_text("participant,set\n" + "".join(f"{key},{name}\n" for key, name in sets.items()))
    shared = ("--data", data, "--split", tmp_path / "split.csv", *options(iterations=2))
    first = train("pretext", *shared, "--out", tmp_path / "pretext")
    assert first.exit_code == 0, first.output
    assert "positions: 5 participants left out, in no set of this task" in " ".join(first.stderr.split())
    assert json.loads((tmp_path / "pretext" / "split.json").read_text())["train"] == ["SYN-0001", "SYN-0002", "SYN-0003"]
    arguments = ("finetune", "--mode", "all", "--pretext", tmp_path / "pretext", "--data", data, *options(iterations=2))
    second = train(*arguments, "--out", tmp_path / "all")
    assert second.exit_code == 0, second.output
    assert "participants left out, in no set of this task in" in " ".join(second.stderr.split())
    assert json.loads((tmp_path / "all" / "split.json").read_text())["train"] == ["SYN-0001", "SYN-0002"]
    assert train("evaluate", tmp_path / "all").exit_code == 0
    scores = (tmp_path / "all" / "per_subject.csv").read_text().splitlines()[1:]
    assert {line.split(",")[0] for line in scores} == {"SYN-0004"}


def test_a_run_that_is_overwritten_leaves_no_old_score(data, tmp_path):
    small = ("pretext", "--data", data, *options(iterations=2), "--out", tmp_path / "run")
    assert train(*small).exit_code == 0
    assert train("evaluate", tmp_path / "run", "--subset", "all").exit_code == 0
    assert train("evaluate", tmp_path / "run").exit_code == 0
    (tmp_path / "run" / "cell.json").write_text("{}")
    assert train(*small, "--overwrite").exit_code == 0
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        "config.json",
        "split.json",
        "metrics.jsonl",
        "final.pt",
        "tensorboard",
    }


# Two processes


@pytest.mark.parametrize(("recipe", "decoder"), [("pretext", ""), ("finetune", "shared"), ("finetune", "per-task")])
def test_two_processes_give_the_loss_curve_of_one(data, pretext_run, tmp_path, recipe, decoder):
    extra = ("--loss", "weighted") if recipe == "pretext" else ("--pretext", pretext_run, "--beta", 2, "--decoder", decoder)
    small = (recipe, "--data", data, *options(iterations=6, log_every=1), *extra)
    assert train(*small, "--out", tmp_path / "one").exit_code == 0
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "cmr_train"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "error::FutureWarning,error::DeprecationWarning:torch"}
    done = subprocess.run(
        [*torchrun, *map(str, (*small, "--out", tmp_path / "two"))],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    assert done.stdout.count("iterations done") == 1
    one, two = metrics(tmp_path / "one"), metrics(tmp_path / "two")
    for name in one[0]:
        if name.startswith("loss"):
            assert [line.get(name, 0) for line in two] == pytest.approx([line.get(name, 0) for line in one], rel=2e-4)


# Bad input


def test_configurations_that_cannot_be_carried_out_are_listed_at_once(data, tmp_path):
    done = train(
        "finetune", "--data", data, "--out", tmp_path / "run", "--mode", "scratch", "--beta", 0, "--iterations", 0, "--scaling", 2
    )
    assert done.exit_code == 2
    for sentence in ("--beta must be more than 0", "--iterations must be more than 0", "--scaling must be 0 or more"):
        assert sentence in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        pytest.param(("--view", "4ch"), 1, "holds no images of view 4Ch", id="view that is not there"),
        pytest.param(("--data", "missing.h5"), 2, "--data must be the file that", id="no catalogue"),
        pytest.param(("--subjects", 99), 1, "99 participants were asked for, and the training set", id="too many subjects"),
        pytest.param(("--phases", "ed,mid"), 0, "", id="a phase that is there"),
        pytest.param(("--phases", "mid"), 1, "has no phase mid of view SAX; it has ed, es", id="no such phase"),
        pytest.param(("--fractions", 0, 0.5, 0.5), 1, "falls into the training set", id="nobody to train on"),
        pytest.param(("--fractions", 1, 1, 1), 2, "sum to 1", id="bad fractions"),
        pytest.param(("--device", "mps"), 1, "finds no such device", id="no such device"),
        pytest.param(("--resume", "--overwrite"), 2, "exclude each other", id="both"),
    ],
)
def test_bad_input_is_one_sentence(data, tmp_path, arguments, code, sentence):
    done = train("pretext", "--data", data, "--out", tmp_path / "run", *options(), *arguments)
    assert done.exit_code == code, done.output
    assert sentence in done.stderr


def test_no_annotated_subjects_is_said(pretext_run, tmp_path):
    plain = small_catalogue(tmp_path, 4)
    done = train("finetune", "--data", plain, "--out", tmp_path / "run", "--pretext", pretext_run, *options())
    assert done.exit_code == 1
    assert "has no annotated subjects of view SAX; 'cmr-planes annotate' adds them" in done.stderr


def test_images_on_which_a_structure_was_not_drawn_are_no_truth(pretext_run, tmp_path):
    partly = annotate(small_catalogue(tmp_path, 4), (Structure.LV, Structure.MYO))
    done = train("finetune", "--data", partly, "--out", tmp_path / "run", "--pretext", pretext_run, *options())
    assert done.exit_code == 1
    assert "on none of the 24 annotated images of view SAX were all of LV, Myo, RV drawn" in done.stderr


def test_no_pretext_is_said_with_what_to_do(data, tmp_path):
    done = train("finetune", "--data", data, "--out", tmp_path / "runs" / "run", *options())
    assert done.exit_code == 2
    assert "train one first, give the folder of one as pretext, or use mode scratch" in done.stderr


def test_a_pretext_that_has_seen_the_test_subjects_is_refused(data, pretext_run, tmp_path):
    done = train(
        "finetune", "--data", data, "--out", tmp_path / "run", "--pretext", pretext_run, *options(), "--fractions", 0.2, 0.2, 0.6
    )
    assert done.exit_code == 1
    assert "of the validation or test set here; use the pretext's fractions" in done.stderr


def test_a_pretext_of_another_architecture_is_refused(data, pretext_run, tmp_path):
    done = train("finetune", "--data", data, "--out", tmp_path / "run", "--pretext", pretext_run, *options(base_channels=8))
    assert done.exit_code == 1
    assert "none of the pretrained tensors fits" in done.stderr
    assert not (tmp_path / "run").exists()


class Evil:
    """Would leave a file where it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return Path.touch, (self.trace,)


def hostile(kind: str, trace: Path) -> bytes:
    if kind == "pickle":
        return pickle.dumps({"model": Evil(trace)})
    buffer = io.BytesIO()
    torch.save({"model": Evil(trace) if kind == "evil" else [1, 2]}, buffer)
    return buffer.getvalue()[:-100] if kind == "cut short" else buffer.getvalue()


@pytest.mark.parametrize("kind", ["pickle", "evil", "cut short", "foreign"])
def test_a_hostile_or_damaged_checkpoint_is_refused(data, pretext_run, tmp_path, kind):
    run = tmp_path / "pretext"
    run.mkdir()
    for name in ("config.json", "split.json"):
        (run / name).write_bytes((pretext_run / name).read_bytes())
    (run / "final.pt").write_bytes(hostile(kind, tmp_path / "trace"))
    done = train("finetune", "--data", data, "--out", tmp_path / "run", "--pretext", run, *options())
    assert done.exit_code == 1
    assert "final.pt" in done.stderr
    assert not (tmp_path / "trace").exists()


def test_a_full_disk_is_said_and_leaves_the_last_checkpoint(data, tmp_path, monkeypatch):
    from cmr_planes.errors import ShardError
    from cmr_planes.system import whole_file
    from cmr_train.runs.checkpoint import save_checkpoint

    assert train("pretext", "--data", data, "--out", tmp_path / "run", *options(iterations=2)).exit_code == 0
    before = (tmp_path / "run" / "final.pt").read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(whole_file.os, "fsync", full)
    with pytest.raises(ShardError, match="no space left"):
        save_checkpoint(tmp_path / "run" / "final.pt", {"model": {}})
    assert (tmp_path / "run" / "final.pt").read_bytes() == before
    assert not list((tmp_path / "run").glob("*.part"))
    done = train("pretext", "--data", data, "--out", tmp_path / "other", *options())
    assert done.exit_code == 1
    assert "no space left on device" in done.stderr


def test_an_unreadable_shard_is_named_before_training(tmp_path):
    path = small_catalogue(tmp_path, 8)
    shard = tmp_path / "out.shards" / "00001.h5"
    shard.write_bytes(shard.read_bytes()[:-1000])
    for cache in ("memory", "disk"):
        done = train("pretext", "--data", path, "--out", tmp_path / "run", *options(cache=cache))
        assert done.exit_code == 1
        assert "00001.h5" in done.stderr
        assert not (tmp_path / "run").exists()


def test_a_catalogue_of_a_later_version_is_refused(tmp_path):
    import h5py

    path = small_catalogue(tmp_path, 2)
    with h5py.File(path, "r+") as file:
        file.attrs["schema_version"] = 99
    done = train("pretext", "--data", path, "--out", tmp_path / "run", *options())
    assert done.exit_code == 1
    assert "99" in done.stderr


def test_help_imports_neither_torch_nor_numpy():
    code = "import sys; from cmr_train.cli import main; main(['--help'], standalone_mode=False); print([n for n in ('torch', 'numpy') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")


@pytest.mark.parametrize("name", ["pretext", "finetune"])
def test_help_has_an_example(name):
    done = train(name, "--help")
    assert done.exit_code == 0
    assert f"    cmr-train {name} " in done.stdout
