"""Every problem code with its stage, fault, message and hint, in English and Korean."""
