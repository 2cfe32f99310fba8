"""Evaluation: sampling, verification, Pass@k."""
