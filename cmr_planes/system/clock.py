"""The time of day as text."""

from datetime import UTC, datetime


def timestamp(seconds: float | None = None, *, precision: str = "milliseconds") -> str:
    """Return a time in ISO 8601, in UTC.

    Parameters
    ----------
    seconds
        Seconds since 1970; None for now.
    precision
        ``milliseconds`` or ``seconds``, as :meth:`datetime.datetime.isoformat` takes it.

    Examples
    --------
    >>> timestamp(0.0), timestamp(0.0, precision="seconds")
    ('1970-01-01T00:00:00.000+00:00', '1970-01-01T00:00:00+00:00')
    """
    time = datetime.now(UTC) if seconds is None else datetime.fromtimestamp(seconds, UTC)
    return time.isoformat(timespec=precision)
