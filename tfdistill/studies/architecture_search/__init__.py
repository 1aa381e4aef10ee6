"""Architectures ranked by what they learn from distilled data."""

from tfdistill.studies.architecture_search.candidates import Agreement as Agreement
from tfdistill.studies.architecture_search.candidates import Candidate as Candidate
from tfdistill.studies.architecture_search.candidates import table as table
from tfdistill.studies.architecture_search.search import Search as Search
