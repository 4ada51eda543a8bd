"""Networks and their initial weights. Training does not belong here."""
