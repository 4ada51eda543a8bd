"""Why the operating system refused something, in the words of a sentence."""


def reason(error: OSError) -> str:
    """Return the reason for an error, without the path, which may identify a subject.

    Examples
    --------
    >>> reason(PermissionError(13, "Permission denied", "/scans/9000001"))
    'permission denied'
    """
    return (error.strerror or type(error).__name__).lower()
