"""The processes of a run: rendezvous, collectives, signals, heartbeats and logs."""
