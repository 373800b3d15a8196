"""What one bench measures: a bundle or files alone, their inputs, sessions and images."""
