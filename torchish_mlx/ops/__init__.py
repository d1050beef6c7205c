"""The functions of torch: each is one decorated function, in the file of its subject."""
