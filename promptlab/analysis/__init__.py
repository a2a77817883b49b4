"""Which is better: a table of trials analysed as the designed experiment it is."""
