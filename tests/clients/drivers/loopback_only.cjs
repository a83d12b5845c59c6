// Preloaded into Node clients: no name but localhost is found. Where an audience is refused, the Salesforce CLI goes on to
// the real login hosts, which a test must not.
"use strict";

const dns = require("node:dns");
const { promisify } = require("node:util");

const { lookup } = dns;
const local = (host) => ["localhost", "127.0.0.1"].includes(host);
const notFound = (host) => Object.assign(new Error(`getaddrinfo ENOTFOUND ${host}`), { code: "ENOTFOUND" });

dns.lookup = (host, ...rest) => (local(host) ? lookup(host, ...rest) : process.nextTick(rest[rest.length - 1], notFound(host)));
dns.lookup[promisify.custom] = async (host, options) => {
  if (!local(host)) throw notFound(host);
  return promisify(lookup)(host, options);
};
