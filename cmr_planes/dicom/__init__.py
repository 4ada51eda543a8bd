"""From files to chosen slices and frames: sources, headers, studies, views, phases, pixels."""
