"""Experiments that people have published, written with this package as tests.

Each file is one of the kind named in its docstring, with texts of our own and a model
that is a fake. What a user would write stands between `# experiment` and
`# experiment: end`; in it, what works around something that the package lacks stands
between `# glue: why` and `# glue: end`. `counting` counts the lines of both.
"""
