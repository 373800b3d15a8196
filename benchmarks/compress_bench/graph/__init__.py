"""What a file's bytes and its profile say: layers, modules, multiply-adds, float islands."""
