"""Drawing with matplotlib, and the colours of both programs. No catalogue is opened here."""
