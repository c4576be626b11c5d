"""One module for each kernel object: sockets and errno stop here."""
