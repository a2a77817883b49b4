"""Before the run: plans, forecasts, pilots."""
