"""Stage 3: measure ONNX files on the device that will run them, and judge them against goals.

Needs numpy and onnxruntime, never torch and never onnx.
"""
