"""Kill a converge at points of time drawn by chance, run it again, and compare the nodes."""
