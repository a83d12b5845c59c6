"""Tests without sockets: one module, or the order of the modules over fakes at the transport seam."""
