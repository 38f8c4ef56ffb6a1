"""Every problem code with stage, fault, sentence and hint, in English and Korean."""
