"""Files of every kind: images, bags, weights, and writing that leaves a file whole or not at all."""
