"""The report of a study: one page with its tables and figures, made from the study's folder."""

from cmr_train.report.page import write_report

__all__ = ["write_report"]
