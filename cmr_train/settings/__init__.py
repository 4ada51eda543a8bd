"""What a setting is: its default, its allowed values, and plain values made typed. No setting of the trainer is named here."""
