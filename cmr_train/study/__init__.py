"""Many runs: the study file, its plan, and how the runs are carried out."""
