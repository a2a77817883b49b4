"""The named scorers, and `scorer`, which makes a function one.

from promptlab import scorers

pl.Experiment(..., scorers=[scorers.exact(ignore_case=True), my_function])
"""

from promptlab.results.record import Score as Score
from promptlab.scoring.checks import all_of as all_of
from promptlab.scoring.checks import any_of as any_of
from promptlab.scoring.checks import not_ as not_
from promptlab.scoring.checks import weighted as weighted
from promptlab.scoring.judges import answers as answers
from promptlab.scoring.judges import criteria as criteria
from promptlab.scoring.judges import faithful as faithful
from promptlab.scoring.judges import judge as judge
from promptlab.scoring.judges import same_facts as same_facts
from promptlab.scoring.pairwise import pairwise as pairwise
from promptlab.scoring.scorer import Scorer as Scorer
from promptlab.scoring.scorer import scorer as scorer
from promptlab.scoring.similarity import similar as similar
from promptlab.scoring.structured import contains_json as contains_json
from promptlab.scoring.structured import cost as cost
from promptlab.scoring.structured import finish_reason as finish_reason
from promptlab.scoring.structured import is_json as is_json
from promptlab.scoring.structured import json_field as json_field
from promptlab.scoring.structured import latency as latency
from promptlab.scoring.structured import perplexity as perplexity
from promptlab.scoring.structured import tokens as tokens
from promptlab.scoring.structured import tool_call as tool_call
from promptlab.scoring.text import bleu as bleu
from promptlab.scoring.text import choice as choice
from promptlab.scoring.text import chrf as chrf
from promptlab.scoring.text import contains as contains
from promptlab.scoring.text import contains_all as contains_all
from promptlab.scoring.text import contains_any as contains_any
from promptlab.scoring.text import exact as exact
from promptlab.scoring.text import icontains as icontains
from promptlab.scoring.text import icontains_all as icontains_all
from promptlab.scoring.text import icontains_any as icontains_any
from promptlab.scoring.text import length as length
from promptlab.scoring.text import levenshtein as levenshtein
from promptlab.scoring.text import number as number
from promptlab.scoring.text import one_of as one_of
from promptlab.scoring.text import refusal as refusal
from promptlab.scoring.text import regex as regex
from promptlab.scoring.text import rouge as rouge
from promptlab.scoring.text import starts_with as starts_with
from promptlab.scoring.transforms import first_line as first_line
from promptlab.scoring.transforms import first_word as first_word
from promptlab.scoring.transforms import json_path as json_path
from promptlab.scoring.transforms import last_line as last_line
from promptlab.scoring.transforms import regex_group as regex_group
from promptlab.scoring.transforms import strip_fences as strip_fences

equals = exact
