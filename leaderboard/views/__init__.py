"""Pages. Each view gathers a context and names a template; htmx fragments are blocks of the same template."""
