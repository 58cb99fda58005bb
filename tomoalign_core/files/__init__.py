"""Files in and out: stacks of projections, shift tables, and writing so that nothing half written remains."""
