"""Where images come from: a reference such as `photos/` becomes three splits of uint8 images."""
