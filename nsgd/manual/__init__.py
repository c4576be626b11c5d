"""Manual pages and shell completion, written from the command's and the documents' definitions."""
