"""Why the operating system refused something, in the words of a sentence, and what to do about it."""

import errno

_ADVICE = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "free some space there"),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "check its permissions"),
    **dict.fromkeys((errno.ENOENT, errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG), "check the path"),
}


def reason(error: OSError) -> str:
    """Return the reason for an error, without the path, which may identify a subject.

    Examples
    --------
    >>> reason(PermissionError(13, "Permission denied", "/scans/9000001"))
    'permission denied'
    """
    return (error.strerror or type(error).__name__).lower()


def advice(error: OSError) -> str:
    """Return what to do about an error.

    Examples
    --------
    >>> advice(PermissionError(13, "Permission denied")), advice(OSError(28, "No space left on device"))
    ('check its permissions', 'free some space there')
    """
    return _ADVICE.get(error.errno or 0, "check the path, its permissions and the free space")
