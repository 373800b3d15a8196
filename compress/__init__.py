"""compress: distil a classifier, export it to ONNX int8, and measure it against goals."""
