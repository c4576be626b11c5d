"""The documentation: pages, links and the commands that they show."""
