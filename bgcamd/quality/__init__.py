"""How good a matte is: the figures of the literature, and a sheet to look at."""
