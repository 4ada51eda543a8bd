"""Label maps and measures of a subject as DICOM objects, segmentations (SEG) and a structured report (SR), for given images."""
