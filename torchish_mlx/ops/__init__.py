"""The functions of torch: the table of ops, and tensors from data."""
