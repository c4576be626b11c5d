"""Exact sets of packets: what rules decide over the whole packet space, in bounded steps."""
