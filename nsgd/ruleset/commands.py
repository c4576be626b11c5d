"""nftables' netlink commands, as messages of a batch have them."""

from __future__ import annotations

from nsgd.ruleset.objects import TABLE
from nsgd.wire import expressions
from nsgd.wire.netlink import NLM_F_APPEND, NLM_F_CREATE, text

NEWTABLE, DELTABLE = 0, 2
NEWCHAIN, GETCHAIN, DELCHAIN = 3, 4, 5
NEWRULE, GETRULE, DELRULE = 6, 7, 8
NEWSET, GETSET, DELSET = 9, 10, 11
NEWSETELEM, GETSETELEM, DELSETELEM = 12, 13, 14
GETGEN = 16
NEWOBJ, GETOBJ, DELOBJ = 18, 19, 20

FAMILY_INET = 1
SET_ANONYMOUS = 1  # flag of a set that belongs to a rule
OBJECT_COUNTER, OBJECT_LIMIT = expressions.OBJECT_COUNTER, expressions.OBJECT_LIMIT

CREATE, APPEND = NLM_F_CREATE, NLM_F_CREATE | NLM_F_APPEND
IN_TABLE = text(1, TABLE)

Message = tuple[int, int, bytes]  # command, flags, payload
