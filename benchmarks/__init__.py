"""Benchmarks: promptlab beside a bare client and the loop that people write by hand.

```
benchmarks/
├── __main__.py     python -m benchmarks: what is measured, and how often
├── criteria.py     what must hold, what we aim at, and the measurements each rests on
├── sitting.py      takes the measurements, alternately, each in a process of its own
├── child.py        that process: warms up, waits for the word, measures its work
├── measure.py      the clocks: wall, CPU, resident memory
├── workload.py     the grid and its dataset, the same for everyone
├── peers/          who is measured: promptlab, bare, hand
├── server.py       the mock server, in its own process
├── notebook.py     what is measured in a notebook, and the process that is told to
├── lab.py          that process: JupyterLab and Chromium, driven as a user would
├── stopwatch.js    its clock, in the page: from a key until what it does is drawn
├── kernel.py       what the notebooks' cells call
└── report.py       the tables in the terminal
```
"""
