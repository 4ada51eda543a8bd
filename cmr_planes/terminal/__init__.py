"""Console, progress and shared options of both programs. What a command does lives in its own room."""
