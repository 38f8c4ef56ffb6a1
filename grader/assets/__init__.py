"""What a grader needs on its disk: base models, data sets and NLTK's data, downloaded and verified."""
