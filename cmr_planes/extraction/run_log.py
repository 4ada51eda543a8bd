"""The log of a run: one JSON object per line, appended as things happen; the one place where clocks are written down.

Subjects are called by their place in the catalogue; their keys stand in the log only where they are asked for. Workers write
no log: what became of their subjects comes back with the shard's summary.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from cmr_planes.errors import ShardError, in_order
from cmr_planes.shards.records import ShardSummary
from cmr_planes.system.clock import timestamp
from cmr_planes.system.json_text import JSON
from cmr_planes.system.reasons import reason


class RunLog:
    """A log file that is open for appending.

    Parameters
    ----------
    path
        The file; made if it is not there.
    with_keys
        Whether lines about subjects hold their keys.

    Raises
    ------
    ShardError
        The file is there and is no log, or cannot be written.
    """

    def __init__(self, path: Path, *, with_keys: bool) -> None:
        self._with_keys = with_keys
        try:
            self._stream = path.open("a+b")
            self._stream.seek(0)
            first = self._stream.read(1)
            if first not in (b"", b"{"):
                self._stream.close()
                raise ShardError(f"{path} exists and is no log of cmr-planes; choose another name, it is left as it is")
            self._stream.seek(-1 if first else 0, os.SEEK_END)
            if first and self._stream.read(1) != b"\n":
                self._stream.write(b"\n")  # a killed run may have left half a line
        except OSError as error:
            raise ShardError(f"{path} cannot be written ({reason(error)}); check the path and its permissions") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if kind is not None:
            self.write("run", "interrupted" if issubclass(kind, KeyboardInterrupt) else kind.__name__)
        self._stream.close()

    def write(self, stage: str, code: str, values: Mapping[str, JSON] | None = None, *, seconds: float | None = None) -> None:
        """Add a line.

        Parameters
        ----------
        stage
            What was done: ``plan``, ``extract``, ``seal``, ``catalogue``, ``annotate`` or ``run``.
        code
            How it ended.
        values
            What else is known.
        seconds
            When it happened, in seconds since 1970; None for now.
        """
        line = {"time": timestamp(seconds), "stage": stage, "code": code, **(values or {})}
        self._stream.write(json.dumps(line, ensure_ascii=False, allow_nan=False).encode(errors="replace") + b"\n")
        self._stream.flush()

    def subject(self, number: int, key: str) -> dict[str, JSON]:
        """Return how lines call a subject: by its place in the catalogue, from 1, and with its key if that was asked for."""
        return {"subject_number": number, **({"subject": key} if self._with_keys else {})}

    def shard(self, summary: ShardSummary, first: int) -> None:
        """Add what became of a shard and its subjects, the first of which has the place ``first`` in the catalogue."""
        for number, outcome in enumerate(summary.outcomes, start=first):
            called = self.subject(number, outcome.subject)
            for finding in in_order(outcome.findings):
                values: dict[str, JSON] = {**called, "view": finding.view, "sentence": finding.sentence}
                self.write("extract", finding.code.value, values, seconds=outcome.ended)
            code = "done" if outcome.n_images else "left_out"
            measured = {"n_images": outcome.n_images, "seconds": round(outcome.seconds, 3)}
            self.write("extract", code, {**called, **measured}, seconds=outcome.ended)
        counts = {"n_subjects": summary.n_subjects, "n_images": summary.n_images, "bytes": summary.n_bytes}
        self.write("seal", "sealed", {"shard": summary.name, **counts})
