"""Documents to the model and the settings, or every problem at once. Pure: bytes in, values out."""
