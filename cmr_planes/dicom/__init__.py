"""From bytes of DICOM files and zips to frame headers and pixels. Views, phases and subjects do not belong here."""
