"""The Tensor: storage, views, the tape, and the Parameter. Its arithmetic is in ``ops/``."""
