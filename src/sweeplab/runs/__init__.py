"""What a run and a study leave on disk: written whole, read with care, compared. No torch, no Optuna."""
