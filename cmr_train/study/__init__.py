"""Many runs: the study file, its plan, and the engines that run it. The report does not belong here."""
