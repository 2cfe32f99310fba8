"""The processes of a run: what they are told from outside, and how they watch each other."""
