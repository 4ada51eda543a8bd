"""Which files belong to which subject, and the key under which it is stored. No pixels are read here."""
