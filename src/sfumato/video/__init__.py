"""Paint videos frame by frame and keep them steady in time; `paint_video` in `run` does all of it."""
