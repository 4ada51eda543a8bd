"""Give a network away, in one of several forms: its weights and a card, without paths and participants' keys."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cmr_planes.system.key_file import SecretKey, read_key_file
from cmr_planes.system.names import PathLike
from cmr_planes.system.text import counted
from cmr_planes.system.whole_file import file_sha256, write_whole
from cmr_train.choices import Head, NetworkForm, Weights
from cmr_train.config import RunConfig
from cmr_train.data.pixel_sizes import pixel_text
from cmr_train.errors import ConfigError, TrainError
from cmr_train.interchange.card import CARD_NAME as JSON_CARD_NAME
from cmr_train.interchange.card import FILES_FIELD, ONNX_NAME, SAFETENSORS_NAME, TORCHSCRIPT_NAME
from cmr_train.interchange.describing import describe, scores_summary
from cmr_train.interchange.monai_bundle import FILES as BUNDLE_FILES
from cmr_train.interchange.monai_bundle import write_bundle
from cmr_train.interchange.nnunet_file import WEIGHTS_NAME as NNUNET_NAME
from cmr_train.interchange.nnunet_file import planned
from cmr_train.interchange.nnunet_file import write_weights as write_nnunet
from cmr_train.interchange.onnx_file import write_model as write_onnx
from cmr_train.interchange.safetensors_file import write_weights as write_safetensors
from cmr_train.models.nnunet_plan import read_plan
from cmr_train.runs.checkpoint import save_checkpoint
from cmr_train.runs.files import write_json
from cmr_train.runs.folder import (
    CATALOGUES_FIELD,
    CLASSES_FIELD,
    CONFIG_NAME,
    EXPORTED_SPLIT,
    FINAL_NAME,
    LEARNT_FROM_FIELD,
    PEOPLE_NAME,
    PIXEL_FIELD,
    SEEN_FIELD,
    SPLIT_NAME,
    read_json,
)
from cmr_train.runs.identity import Seen, in_groups
from cmr_train.runs.run import Run, loaded, weights_path
from cmr_train.runs.trained_network import check_has_classes
from cmr_train.settings.fields import member_of

CARD_NAME = "card.md"
"""What a network is and what it was trained on, for readers."""

NO_PATH = Path("-")
"""Stands for a path in an exported configuration."""

FILES = {
    NetworkForm.RUN: (FINAL_NAME, CONFIG_NAME, SPLIT_NAME, CARD_NAME, PEOPLE_NAME),
    NetworkForm.NNUNET: (NNUNET_NAME, JSON_CARD_NAME),
    NetworkForm.SAFETENSORS: (SAFETENSORS_NAME, JSON_CARD_NAME),
    NetworkForm.ONNX: (ONNX_NAME, JSON_CARD_NAME),
    NetworkForm.MONAI: BUNDLE_FILES,
}
"""The files of each form."""
WEIGHTS_NAMES = (NNUNET_NAME, ONNX_NAME, SAFETENSORS_NAME, TORCHSCRIPT_NAME)
"""Those of them whose checksum is on the card."""


def export(
    run: Run | PathLike,
    out: PathLike,
    *,
    to: NetworkForm | str = "run",
    plans: PathLike | None = None,
    licence: str = "",
    people_key: PathLike | None = None,
    weights: Weights | str = "last",
    unfinished: bool = False,
    overwrite: bool = False,
) -> Path:
    """Write a network without the people that it was trained on.

    ``predict`` takes every form but that for nnU-Net; ``evaluate`` and a transfer take ``run``, as they take a run. No form names
    the participants that the network has seen, so both need the statement that their data are of other people (``people``).

    Parameters
    ----------
    run
        A trained network, or its folder.
    out
        The folder; made if it does not exist.
    to
        The form: ``run`` for ``final.pt``, ``config.json``, ``split.json`` without participants, and ``card.md``; ``nnunet`` for
        ``pretrained_weights.pth``, which ``nnUNetv2_train -pretrained_weights`` takes; ``safetensors`` for ``model.safetensors``;
        ``onnx`` for ``model.onnx``; ``monai`` for a MONAI bundle. All but the first get ``card.json``.
    plans
        ``nnUNetPlans.json`` of the data set that nnU-Net is to be trained on, to be compared with the run's (``nnunet`` only).
    licence
        Terms under which the network is given away, for the card.
    people_key
        A key file as of ``cmr-planes extract --pseudonymise``, for ``people.json``: the participants that the network has
        seen, as keyed hashes (``run`` only). Whoever has the key file can tell whether participants of a catalogue are among them.
    weights
        Weights of a run that is given as a folder: ``last`` or ``best``.
    unfinished
        Whether a run that has not done all its iterations is exported.
    overwrite
        Whether files of these names are replaced.

    Returns
    -------
        The folder.

    Raises
    ------
    ConfigError
        ``out`` holds such files, and ``overwrite`` is not set; or the plan is another one than the run's.
    CheckpointError
        ``run`` is no run, or its weights cannot be used.
    TrainError
        The run cannot have this form, or a library is not installed.
    OSError
        A file cannot be written.

    Examples
    --------
    >>> export("runs/finetune", "network")  # doctest: +SKIP
    PosixPath('network')
    >>> export("runs/finetune", "network", to="onnx", licence="CC BY 4.0")  # doctest: +SKIP
    PosixPath('network')
    """
    form = member_of(NetworkForm, to, "to")
    _check_options(form, has_plans=plans is not None, has_licence=bool(licence), has_people_key=people_key is not None)
    key = None if people_key is None else SecretKey(read_key_file(Path(people_key)))
    network, folder = loaded(run, "cpu", weights, unfinished=unfinished), Path(out)
    _check_form(network, form, plans)
    _check_folder(folder, form, overwrite=overwrite)
    if form is NetworkForm.RUN:
        folder.mkdir(parents=True, exist_ok=True)
        _write_run(network, folder, key)
        return folder
    card = describe(network, licence)
    match form:
        case NetworkForm.NNUNET:
            write_nnunet(network, folder / NNUNET_NAME)
        case NetworkForm.SAFETENSORS:
            write_safetensors(network.model, card, folder / SAFETENSORS_NAME)
        case NetworkForm.ONNX:
            write_onnx(network.model, card, folder / ONNX_NAME)
        case NetworkForm.MONAI:
            write_bundle(network.model, card, folder)
    digests = {name: in_groups(file_sha256(folder / name)) for name in FILES[form] if name in WEIGHTS_NAMES}
    write_json(folder / JSON_CARD_NAME, card.to_json() | {FILES_FIELD: digests})
    return folder


def _check_folder(folder: Path, form: NetworkForm, *, overwrite: bool) -> None:
    """Refuse a folder that holds a network already: another form always, so that it is known which one is used."""
    others = {name for other in NetworkForm if other is not form for name in FILES[other]} - {*FILES[form]}
    for name in sorted(others):
        if (folder / name).exists():
            raise ConfigError([f"{str(folder)!r} holds {name}, of a run or of a network in another form; choose another folder"])
    there = [name for name in FILES[form] if (folder / name).exists()]
    if there and not overwrite:
        raise ConfigError([f"{str(folder)!r} holds {there[0]} already; choose another folder, or overwrite it"])


def _check_options(form: NetworkForm, *, has_plans: bool, has_licence: bool, has_people_key: bool) -> None:
    """Refuse options that a form has no use for."""
    if has_plans and form is not NetworkForm.NNUNET:
        raise ConfigError([f"plans are compared where the form is {NetworkForm.NNUNET.value}; leave them out"])
    if has_licence and form is NetworkForm.RUN:
        raise ConfigError([f"the form {form.value} has no place for a licence; leave it out, or choose another form"])
    if has_people_key and form is not NetworkForm.RUN:
        raise ConfigError(
            [f"the form {form.value} has no place for people; leave people_key out, or choose {NetworkForm.RUN.value}"]
        )


def card_name(form: NetworkForm) -> str:
    """Return the name of the file that describes a network of a form."""
    return CARD_NAME if form is NetworkForm.RUN else JSON_CARD_NAME


def _check_form(network: Run, form: NetworkForm, plans: PathLike | None) -> None:
    """Refuse a network that cannot have a form, before anything is written."""
    match form:
        case NetworkForm.NNUNET:
            planned(network, None if plans is None else read_plan(Path(plans), _configuration(network)))
        case NetworkForm.SAFETENSORS | NetworkForm.ONNX | NetworkForm.MONAI:  # the others are to continue training from
            check_has_classes(network, "export")


def _configuration(run: Run) -> str:
    """Return the configuration of the run's plan."""
    return "2d" if run.config.plan is None else run.config.plan.configuration


def _write_run(network: Run, folder: Path, key: SecretKey | None) -> None:
    """Write the files of a run that has no people, or has them as hashes under a key."""
    people = None if key is None else _hashed_people(network, key)
    stored = read_json(network.folder / CONFIG_NAME)
    content = {"iteration": network.iteration, "model": network.model.state_dict(), CLASSES_FIELD: network.classes}
    save_checkpoint(folder / FINAL_NAME, content)
    catalogues = {head.value: {**identity.to_json(), "path": str(NO_PATH)} for head, identity in network.catalogues.items()}
    kept = {name: stored[name] for name in ("versions", CLASSES_FIELD, PIXEL_FIELD) if name in stored}
    write_json(folder / CONFIG_NAME, {"config": _without_paths(network.config).to_json(), **kept, CATALOGUES_FIELD: catalogues})
    write_json(folder / SPLIT_NAME, EXPORTED_SPLIT)
    if people is None:
        (folder / PEOPLE_NAME).unlink(missing_ok=True)  # of an export before this one
    else:
        write_json(folder / PEOPLE_NAME, people)
    write_whole(folder / CARD_NAME, "\n".join(_card(network, folder, stored, has_people=people is not None)).encode())


def _hashed_people(network: Run, key: SecretKey) -> dict[str, Any]:
    """Return the participants that a network has seen as hashes under a key."""
    if not network.has_people:
        raise TrainError(f"network {network.name!r} does not name the participants that it has seen; leave people_key out")

    def hashed(group: Seen) -> dict[str, Any]:
        found = group.hashed(key)
        return dataclasses.replace(found, catalogue=dataclasses.replace(found.catalogue, path=NO_PATH)).to_json()

    return {LEARNT_FROM_FIELD: hashed(network.learnt_from), SEEN_FIELD: [hashed(group) for group in network.seen_by_pretext]}


def _without_paths(config: RunConfig) -> RunConfig:
    """Return a configuration in which no path of the machine stands."""
    transfer = config.transfer
    if transfer is not None:
        pretext = None if transfer.pretext is None else NO_PATH
        transfer = dataclasses.replace(transfer, pretext=pretext, pretext_data=None, people_key=None)
    return dataclasses.replace(config, data=dataclasses.replace(config.data, data=NO_PATH, split=None), transfer=transfer)


def _card(run: Run, folder: Path, stored: dict[str, Any], *, has_people: bool) -> Iterator[str]:
    """Write the card, line by line."""
    classes, traits = run.classes, run.config.traits
    task = traits.meaning.removeprefix("the ") if run.head is Head.POSITIONS else ", ".join(classes.values())
    yield f"# A network for {run.view.title} images: {task}"
    yield ""
    yield "For research only; not a medical device."
    yield ""
    yield "| | |"
    yield "|---|---|"
    for name, value in (
        ("view", run.view.title),
        *((("pretext task", f"{run.config.pretext.target.value}: {traits.meaning}"),) if run.config.pretext else ()),
        ("classes", ", ".join(["0 background", *(f"{number} {name}" for number, name in classes.items())]) if classes else "none"),
        ("matrix", f"{run.image_size[0]} × {run.image_size[1]} pixels"),
        ("pixel size", "not known" if run.pixel_mm is None else pixel_text(run.pixel_mm)),
        ("intensities", _intensities(run)),
        ("network", _network(run.config)),
        ("training", _training(run)),
        ("learnt from", counted(len(run.learnt_from.participants), "participant")),
        *(("seen by the pretext", counted(len(people), "participant")) for people in _seen_by_catalogue(run)),
        *(((f"SHA-256 of the catalogue, {head.value}", in_groups(one.sha256)) for head, one in run.catalogues.items())),
        ("SHA-256 of the weights here", in_groups(file_sha256(folder / FINAL_NAME))),
        ("SHA-256 of the run's weights", in_groups(file_sha256(weights_path(run.folder, run.weights, unfinished=True)))),
        ("versions", ", ".join(f"{name} {version}" for name, version in stored.get("versions", {}).items()) or "not known"),
    ):
        yield f"| {name} | {value} |"
    yield ""
    yield from _scores(run)
    if has_people:
        yield f"`{PEOPLE_NAME}` has keyed hashes of the participants that the network has seen. The owner of the key file can"
        yield "compare them with those of a catalogue (`people_key`). Without it, use the network on other people, and say so"
        yield "(`people = other`)."
    else:
        yield "No participant's key is in this folder, so that it is not known which participants the network has seen: use it on"
        yield "other people, and say so (`people = other`)."
    yield "Weights can, in principle, still tell something of the images that they were trained on."
    yield ""


def _intensities(run: Run) -> str:
    if run.grid.is_z_scored:
        return "an image's mean becomes 0, its standard deviation 1"
    return "the 1st percentile of an image becomes 0, the 99th becomes 1"


def _network(config: RunConfig) -> str:
    plan, network = config.plan, config.network
    if plan is not None:
        name = plan.network_class.rpartition(".")[2]
        return f"{name} of an nnU-Net plan, configuration {plan.configuration}, SHA-256 {in_groups(plan.digest)}"
    return (
        f"U-Net, {counted(network.base_channels, 'channel')}, {counted(network.levels, 'level')}, "
        f"{network.norm.value} normalisation"
    )


def _seen_by_catalogue(run: Run) -> list[frozenset[str]]:
    """Return whose positions were trained on, before the run or in it, once for each catalogue."""
    seen: dict[str, frozenset[str]] = {}
    for group in run.seen_by_pretext:
        seen[group.catalogue.sha256] = seen.get(group.catalogue.sha256, frozenset()) | group.participants
    return list(seen.values())


def _training(run: Run) -> str:
    """Say how far and how a network was trained."""
    training, transfer = run.config.training, run.config.transfer
    done = "" if run.is_finished else f", not finished: {run.iteration:,} done"
    mode = run.config.task_name(run.head) if transfer is None else f"transfer {transfer.mode.value}"
    loss = training.loss.value if run.config.has_classes(run.head) else "squared error"
    return f"{mode}, {counted(training.iterations, 'iteration')} of {counted(training.batch_size, 'image')}, {loss}{done}"


def _scores(run: Run) -> Iterator[str]:
    """Give the mean Dice of these weights that the run's folder holds, and say which subjects it is of."""
    summary = scores_summary(run)
    try:
        means = {result["structure"]: result["dice"]["mean"] for result in summary["results"] if result["phase"] == "pooled"}
        digest, n_seen = summary["catalogue"]["sha256"], summary["n_trained_on"] + summary["n_seen_by_pretext"]
    except (KeyError, TypeError):
        return
    where = "its own catalogue" if digest == run.catalogue.sha256 else f"the catalogue with SHA-256 {in_groups(digest)}"
    seen = f", {n_seen} of which it has seen in its training" if n_seen else ""
    listed = ", ".join(f"{name} {mean:.3f}" for name, mean in means.items() if isinstance(mean, float))
    if listed:
        subjects = counted(summary["n_subjects"], "subject")
        yield f"Mean Dice of the {subjects} of set '{summary['subset']}' in {where}{seen}: {listed}."
        yield ""
