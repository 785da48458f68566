"""Paint many pictures without losing work: plan, ledger, workers; it prints nothing."""
