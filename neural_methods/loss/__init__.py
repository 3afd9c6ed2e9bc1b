"""One loss per file, plain functions of tensors on any device."""
