"""A dress rehearsal of a whole event at full size, without a GPU: ``make rehearsal-full``."""
