"""What a run tells about itself: times, metrics, samples, the report."""
