"""How much stored bytes may inflate to, so that a zip bomb costs little."""

from dataclasses import dataclass

from cmr_planes.errors import UnreadableFileError


@dataclass(frozen=True, slots=True, kw_only=True)
class InflationLimit:
    """How much stored bytes may inflate to."""

    member_bytes: int
    """Bytes to which one zip member may inflate."""
    ratio: int
    """How many times its stored size a member above :attr:`free_bytes` may inflate to."""
    free_bytes: int
    """Bytes up to which any ratio is accepted."""

    def of(self, stored: int) -> int:
        """Return the bytes to which ``stored`` bytes may inflate."""
        return min(self.member_bytes, max(self.free_bytes, self.ratio * stored))

    def check(self, size: int, stored: int) -> None:
        """Raise UnreadableFileError if ``stored`` bytes claim to inflate to a ``size`` beyond the limit."""
        if size > self.member_bytes:
            raise UnreadableFileError(f"inflates to {size >> 20} MiB, more than the {self.member_bytes >> 20} MiB allowed")
        if size > self.of(stored):
            raise UnreadableFileError(
                f"inflates more than {self.ratio}-fold to {size >> 20} MiB, as a zip bomb does, and was not read"
            )


IMAGE_LIMIT = InflationLimit(member_bytes=256 << 20, ratio=100, free_bytes=32 << 20)
"""The limit of images, which compress about threefold; a black one compresses a thousandfold."""
