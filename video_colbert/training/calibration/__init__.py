"""What a run sets from scores rather than by gradients: the loss's bias before it, the levels' weights after it."""
