"""What the names of folders and keys say: a kind of files, a visit, a person, or an identifier that should not be shown."""

import re

_UID = re.compile(r"[0-9]+(\.[0-9]+){3,}")
_GENERIC = re.compile(
    r"""(the)?[\s_-]*(study|studies|stud|dicoms?|dcm|images?|img|im|scans?|mri?|cmr|cardiac|heart|cine|raw|data|original|orig|export|exam
    |series|ser|se|st|pa|sax|lax|[234]ch|unknown|anonymi[sz]ed|files?|input|extracted|unzipped)[\s_-]*[0-9]*
    |series[0-9]+.*""",
    re.IGNORECASE | re.VERBOSE,
)
_STATED_VISIT = re.compile(
    r"""ses-[a-z0-9]+|(visit|ses|session|baseline|base|bl|follow[\s_-]*up|fup?|time[\s_-]*point|tp|exam|rescan|retest
    |(19|20)\d\d[-_.]?\d\d[-_.]?\d\d)[\s_-]*[0-9]*""",
    re.IGNORECASE | re.VERBOSE,
)
_LIKELY_VISIT = re.compile(
    r"""([vtf]|m|mo|months?|y|years?|w|weeks?|d|days?)[\s_-]*[0-9]{1,3}|(19|20)\d\d([-_.]\d\d)?
    |(pre|post|before|after|acute|chronic)[\s_-]*(op|operative|treatment|intervention|therapy|contrast|mi)?[\s_-]*[0-9]*""",
    re.IGNORECASE | re.VERBOSE,
)
_WITH_VISIT = re.compile(r"(?P<person>.*[0-9].*?)[\s_.-]+(?P<visit>ses-[^\W_]+|[^\W_]+(?:[\s_-]?[0-9]+)?)", re.DOTALL)
_NAME = re.compile(r".*\^.*|[^\W\d_]{2,}[\s_,.-]+[^\W\d_]{2,}.*(19|20)\d\d[-_.]?[01]\d[-_.]?[0-3]\d.*", re.DOTALL)


def is_uid(name: str) -> bool:
    """Tell whether a name is a DICOM UID."""
    return _UID.fullmatch(name) is not None


def is_generic(name: str) -> bool:
    """Tell whether a name is that of a kind of files, as ``study``, ``Series0006`` and UIDs are, and names no person."""
    return is_uid(name) or _GENERIC.fullmatch(name) is not None


def is_visit(name: str) -> bool:
    """Tell whether a name is that of a visit: ``ses-01``, ``baseline``, ``2019``, ``T1``."""
    return is_stated_visit(name) or _LIKELY_VISIT.fullmatch(name) is not None


def is_stated_visit(name: str) -> bool:
    """Tell whether a name says in words that it is a visit; ``T1`` and ``pre`` may be other things."""
    return _STATED_VISIT.fullmatch(name) is not None


def split_visit(name: str) -> tuple[str, str]:
    """Take a visit off the end of a name.

    Examples
    --------
    >>> split_visit("P001_V1"), split_visit("P001"), split_visit("SYN-0001")
    (('P001', 'V1'), ('P001', ''), ('SYN-0001', ''))
    """
    match = _WITH_VISIT.fullmatch(name)
    return (match["person"], match["visit"]) if match and is_visit(match["visit"]) else (name, "")


def owner_of(parts: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names down to the last one that can name a person.

    Examples
    --------
    >>> owner_of(("site", "P001", "T0", "dicom")), owner_of(("CMR001", "baseline")), owner_of(("study",))
    (('site', 'P001'), ('CMR001',), ())
    """
    end = len(parts)
    while end and (is_generic(parts[end - 1]) or is_visit_of(parts[:end])):
        end -= 1
    if not end:  # what a visit lies in is a person's, whatever its name
        end = max((index for index in range(len(parts)) if is_visit_of(parts[: index + 1])), default=0)
    return parts[:end]


def is_visit_of(parts: tuple[str, ...]) -> bool:
    """Tell whether the last of some nested folders is a visit: one that only may be called so lies in a folder with a number."""
    name = parts[-1]
    return is_stated_visit(name) or (len(parts) > 1 and is_visit(name) and any(map(str.isdecimal, parts[-2])))


def looks_identifying(name: str) -> str:
    """Say what a key seems to be: ``"a UID"``, ``"a person's name"``, or nothing."""
    if re.search(r"[0-9]+(\.[0-9]+){4,}", name):
        return "a UID"
    return "a person's name" if _NAME.fullmatch(name) else ""
