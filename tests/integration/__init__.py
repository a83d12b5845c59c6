"""Tests over real sockets on loopback: moto, the local Salesforce, the real handlers, the real runtime."""
