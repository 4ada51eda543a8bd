"""The report of a study: one page with tables and figures, made from the study's folder. Nothing is trained here."""
