"""The parts of ``make bench``; ``benchmarks/optimizers.py`` is its command."""
