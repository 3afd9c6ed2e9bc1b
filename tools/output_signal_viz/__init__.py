"""Look at what a test has predicted: the waves of an output pickle beside their labels."""
