"""What tests share: strategies, oracles, small studies, cohorts and catalogues."""
