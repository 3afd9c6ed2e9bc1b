"""One short class per method (how a batch enters, the loss, the optimiser) on the one loop of `base`."""
