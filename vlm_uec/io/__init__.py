"""Durable writes, bounded reads, locks and checks of disk space."""
