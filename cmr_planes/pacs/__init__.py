"""Studies from a PACS and results back to it, by DICOMweb and by DIMSE."""
