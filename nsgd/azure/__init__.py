"""Azure's own JSON, as its REST interface and ``az`` write it: read into documents, and printed."""
