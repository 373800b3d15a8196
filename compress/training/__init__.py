"""The loop that train, distill and quantisation-aware training share."""
