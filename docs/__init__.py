"""What people read, and `draw.py`, which draws its tables from the code."""
