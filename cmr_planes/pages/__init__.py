"""Pages that are one file and need nothing else: their templates' environment and their common style."""
