"""What both formats build on: bounded input, atomic output, arrays and bytes, and what messages say of an entry."""
