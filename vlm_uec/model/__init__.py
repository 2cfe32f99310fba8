"""The policy's forward pass on packed rows: attention, head, adapters and loading."""
