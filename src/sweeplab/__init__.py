"""What every lab needs around its models: sweeps, runs on disk, Lightning pieces, tracking."""
