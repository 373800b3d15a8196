"""What a missed goal asks for, and what is to be expected of it, in numbers."""
