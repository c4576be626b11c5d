"""A daemon judged by its status, in one place for the live view and the page: pure."""
