"""How sure: statistics of grids, as pure functions on arrays.

Scores are arrays of variants × cases, means over the repeats of a case (`case_means`),
NaN where one is missing. The case is the unit, or the cluster if cases come in clusters
(`clusters`: one label for each case). Shares, effects and differences are in the units
of the score. What draws by chance takes a `seed`: equal data and seeds give equal
results, in whatever order the cases are.

    means        the mean with an error that holds for clusters; repeats averaged
    intervals    shares of 0/1 scores: Wilson, Clopper–Pearson
    paired       two variants on the same cases: difference, interval, p, wins, losses
    multiple     many comparisons: Holm, false discoveries, max-T; any difference at all
    best         who could be best; the winner's score, corrected; empirical Bayes
    effects      main effects and interactions; least squares where a grid has holes
    spread       wordings of one prompt: how far apart they are beyond chance
    stability    repeats: always, sometimes, never right; pass@k, pass^k; agreement
    power        how many cases it takes, what some can show
    race         halving and elimination
    ranking      Bradley–Terry from votes, with the position
    agreement    raters: kappa, Krippendorff's alpha; position bias of judges
    pareto       the front of score against cost
    resampling   cases drawn again; intervals of any statistic
    designs      which cases to ask of which variants
    totals       the unknown rest of a sum
"""
