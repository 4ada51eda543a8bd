"""The report of a study: one page with its tables and figures, made from the study's folder."""
