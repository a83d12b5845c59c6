"""Tests without sockets: one room, or the order of the rooms over fakes at the transport seam."""
