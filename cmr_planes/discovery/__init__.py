"""Which files belong to which subject, and the name under which it is stored. No pixels are read here."""
