"""What a setting is: its default, its allowed values, and the conversion of plain values. No particular setting belongs here."""
