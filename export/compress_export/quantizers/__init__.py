"""Writers of quantised graphs, one file each."""
