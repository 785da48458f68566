"""Keep jobs in one queue that is bounded, fair and survives a restart; it knows nothing of HTTP."""
