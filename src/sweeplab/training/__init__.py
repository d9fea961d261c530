"""The life of a run around plain Lightning, on any LightningModule: `run`, `start`, `evaluate`, and their pieces."""
