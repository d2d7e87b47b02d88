"""Training of networks: the only room that computes gradients. It begins at `wsipipe.train.gastric`."""
