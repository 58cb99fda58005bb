"""Learning: data sets as recipes, the two networks, the training process and its run folder."""
