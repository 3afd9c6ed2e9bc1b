"""One network per file: paper, shapes, and nothing of training."""
