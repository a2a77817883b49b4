"""What a notebook shows: views of trials, and panels that run experiments.

    compare/   outputs side by side, and the marks of rows
    rate/      pairs of outputs without names, and the votes on them
    explore/   means by one or two columns, and the trials behind them
    panel/     a part of an experiment, or a conversation, planned and run by clicks
    plots/     figures of tokens, costs, latencies, lengths, means
    widgets/   what the views share: controls, keys, scripts, static output

Each view has its state in modules without widgets, then a widget. All of them read a
`TrialTable`, which knows the roles of the columns.
"""
