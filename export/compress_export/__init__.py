"""Stage 2: a checkpoint becomes one ONNX file, proven equal, then an int8 one, and a bundle."""
