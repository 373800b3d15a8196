"""Networks: ours, one file a family, and references to those of torchvision, timm and users."""
