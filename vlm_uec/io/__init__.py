"""Durable writes, bounded reads, locks and full disks."""
