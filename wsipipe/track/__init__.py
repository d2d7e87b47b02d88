"""Objects in time: found in every frame, linked into trajectories, measured. Pure functions."""
