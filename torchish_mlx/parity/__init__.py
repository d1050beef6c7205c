"""``python -m torchish_mlx parity``: this package compared with torch, on your own machine.

The tables of cases are torch's own where torch has them. The tests of this repository run the same code. This is the
one folder that imports torch; nothing else in the package imports it.
"""
