"""Quantisation-aware training: the quantised graph itself becomes a network that learns.

What rounds, and where, is read from the graph that onnxruntime's writer made, so that training
sees the very roundings of the file that is delivered, whatever the network came from.
"""
