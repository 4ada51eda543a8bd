"""Manual annotations in the formats that groups have: read, and laid on images by where both lie in the patient."""
