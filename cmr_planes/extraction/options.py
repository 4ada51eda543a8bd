"""What a user may choose for an extraction: one frozen value, stored in the catalogue."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cmr_planes.annotations.reading import LabelSource
from cmr_planes.cine.series_names import NameTable, load_names, parse_names
from cmr_planes.discovery.participants import Participants
from cmr_planes.discovery.pseudonyms import Pseudonyms
from cmr_planes.errors import ShardError
from cmr_planes.geometry import BoxLayout
from cmr_planes.nifti.plane_table import PlaneTable
from cmr_planes.nifti.volumes import WorldAxes
from cmr_planes.shards.schema import Codec, configuration_digest
from cmr_planes.system.json_text import JSON
from cmr_planes.views import STORED_VIEWS, TARGET_VIEWS, CardiacView, PhaseChoice


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractOptions:
    """Everything that decides the content of a catalogue, and nothing else (not the number of workers)."""

    views: tuple[CardiacView, ...] = STORED_VIEWS
    """Views that are stored, in the order of :data:`cmr_planes.views.STORED_VIEWS`; 3Ch has no positions, NIfTI no 3Ch."""
    phases: PhaseChoice = PhaseChoice.ED_ES
    """Cardiac phases that are kept."""
    layout: BoxLayout = field(default_factory=BoxLayout)
    """Size and spacing of the boxes."""
    min_agreement: float | None = None
    """Views whose images agree less than this along a common line are rejected; None rejects none."""
    align: bool = False
    """Whether boxes are drawn where the lines are after each slice is shifted to where the images agree best."""
    keep_all: bool = False
    """Whether views without positions are kept as images."""
    codec: Codec = Codec.BITSHUFFLE_LZ4
    """How images are compressed."""
    shard_size: int = 32
    """Subjects in one shard."""
    names: NameTable = field(default_factory=load_names)
    """What series names mean."""
    labels: LabelSource | None = None
    """Annotations whose frames take the place of the automatic choice of ED and ES; None for none."""
    participants: Participants | None = None
    """Who subjects are; None to tell it from names and headers."""
    planes: PlaneTable | None = None
    """Where views lie that the files of NIfTI sources do not hold; None to use the files alone."""
    nifti: bool = False
    """Whether the sources are NIfTI images of a public set, with their label maps beside them, and not DICOM."""
    world: WorldAxes | None = None
    """The coordinates of NIfTI files; None for RAS, as the standard has it, unless label maps tell otherwise."""
    pseudonyms: Pseudonyms | None = None
    """What stands for subjects' names; None to keep them."""

    def __post_init__(self) -> None:
        """Take text for views, phases and codec, and refuse what cannot be carried out.

        Raises
        ------
        ValueError
            No view is one on which positions are drawn, or a number lies outside its range.
        """
        views = {CardiacView(view) for view in self.views}
        if views.isdisjoint(TARGET_VIEWS):
            found = ", ".join(sorted(views)) or "none"
            raise ValueError(f"one of the views must be {', '.join(TARGET_VIEWS)}, got {found}")
        if self.shard_size < 1:
            raise ValueError(f"shard_size must be 1 or more, got {self.shard_size}")
        if self.min_agreement is not None and not -1 <= self.min_agreement <= 1:
            raise ValueError(f"min_agreement is a correlation, -1 to 1, got {self.min_agreement}")
        if self.planes is not None and not self.nifti:
            raise ValueError("a table of planes is for NIfTI sources: DICOM headers say where the planes lie")
        object.__setattr__(self, "views", tuple(view for view in STORED_VIEWS if view in views))
        object.__setattr__(self, "phases", PhaseChoice(self.phases))
        object.__setattr__(self, "codec", Codec(self.codec))
        object.__setattr__(self, "world", None if self.world is None else WorldAxes(self.world))

    @property
    def instance_salt(self) -> str:
        """Salt of the digests of instances and files: secret with pseudonyms, else one that anyone can read."""
        return configuration_digest(self.to_json()) if self.pseudonyms is None else self.pseudonyms.instance_salt

    def to_json(self) -> dict[str, JSON]:
        """Return the options as they stand in the catalogue's ``configuration`` attribute."""
        return {
            "views": [view.value for view in self.views],
            "phases": self.phases.value,
            "box": self.layout.size,
            "gap": self.layout.gap,
            "units": self.layout.units.value,
            "min_agreement": self.min_agreement,
            "keep_all": self.keep_all,
            "codec": self.codec.value,
            "shard_size": self.shard_size,
            "names": self.names.source,
            "nifti": self.nifti,
            "participants": self.participants is not None,
            "planes": None if self.planes is None else self.planes.digest,
            "world": None if self.world is None else self.world.value,
            "annotations": None if self.labels is None else self.labels.to_json(),
            CONFIGURATION_FIELD: None if self.pseudonyms is None else self.pseudonyms.check_value,
            **({"align": True} if self.align else {}),  # else as in earlier catalogues, to which subjects may be added
        }


def source_options(configuration: Mapping[str, JSON], pseudonyms: Pseudonyms | None) -> ExtractOptions:
    """Return the options of a catalogue's configuration that decide how its sources are read, all frames of them.

    Raises
    ------
    SourceError
        The configuration has no usable table of series names.
    """
    world = configuration.get("world")
    return ExtractOptions(
        phases=PhaseChoice.ALL,
        keep_all=True,
        names=parse_names(str(configuration.get("names") or ""), "the catalogue's table of series names"),
        nifti=bool(configuration.get("nifti")),
        world=None if world is None else WorldAxes(str(world)),
        pseudonyms=pseudonyms,
    )


CONFIGURATION_FIELD = "pseudonymised"
"""The field of a catalogue's configuration that holds :attr:`Pseudonyms.check_value`, None without pseudonyms."""


def check_pseudonym_key(out: Path, configuration: Mapping[str, JSON], pseudonyms: Pseudonyms | None) -> None:
    """Raise ShardError unless a catalogue was made with these pseudonyms, or with none as here."""
    made_with = configuration.get(CONFIGURATION_FIELD)
    if made_with == (None if pseudonyms is None else pseudonyms.check_value):
        return
    if pseudonyms is None:
        raise ShardError(f"{out} holds pseudonyms; give the key file that it was made with")
    what = "without pseudonyms; leave the key file out" if made_with is None else "with another key file; give that one"
    raise ShardError(f"{out} was made {what}, or choose another output")
