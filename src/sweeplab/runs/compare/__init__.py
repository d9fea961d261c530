"""Tables, statistics and differences of runs and trials, from their folders alone."""
