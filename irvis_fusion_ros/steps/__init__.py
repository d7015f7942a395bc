"""What the predictor does with a pair, one step per file."""
