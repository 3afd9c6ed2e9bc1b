"""From cache entries to clips, labels and batches."""
