"""An independent reading of Azure's text, and its comparison with nsgd.

``oracle`` judges packets on the plain document and shares no code with nsgd;
``generate`` draws documents and packets; ``agreement`` compares the two.
"""
