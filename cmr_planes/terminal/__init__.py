"""Console, progress, tables and options of both programs. What a command does belongs in its own room."""
