"""The command line: `python -m promptlab run config.yaml`, and what goes with it.

Exit codes: 0 all trials answered, 1 a wrong config or nothing could run, 2 wrong usage,
3 some trials failed, 130 interrupted. Errors are one line; `--debug` shows where they
come from. Every option can be set by an environment variable, PROMPTLAB_ and its name.
"""
