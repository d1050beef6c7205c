"""What both halves of the package build on: dtypes, devices, evaluation, gradients of rows, messages."""
