"""Training: data and models in, a checkpoint out. Contents: models/, losses, data, fit, checkpoint, curves."""
