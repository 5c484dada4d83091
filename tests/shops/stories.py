"""What happens to orders of real shops, written into their tables row by row as the shops do it."""
