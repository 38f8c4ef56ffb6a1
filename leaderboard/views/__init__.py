"""Pages. Each view builds a context and names a template; htmx fragments are blocks of the same template."""
