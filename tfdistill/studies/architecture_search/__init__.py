"""Architectures ranked by what they learn from distilled data."""

from tfdistill.studies.architecture_search.search import Agreement as Agreement
from tfdistill.studies.architecture_search.search import Candidate as Candidate
from tfdistill.studies.architecture_search.search import Search as Search
from tfdistill.studies.architecture_search.search import table as table
