"""torch's file format: a pickle, whose opcodes are read one by one and never executed, and storages as records."""
