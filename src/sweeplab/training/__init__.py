"""The life of a run around plain Lightning, on any LightningModule: `run.Run`, `start`, `evaluate`, and the pieces of both."""
