// Run one Node client once: `node_clients.cjs CLIENT`, with what to do as JSON on stdin; prints one line of JSON.
// Each function brings its client to loopback; the tests judge what it did.
"use strict";

const fs = require("node:fs");
const { createRequire } = require("node:module");

// The clients are installed elsewhere: NODE_CLIENTS is the folder of their package.json.
const load = createRequire(`${process.env.NODE_CLIENTS}/package.json`);
const QUERY = "SELECT Id, Name FROM Organization";
const ACCOUNTS = "SELECT Id, Name FROM Account";
const NAME = "Made by a client";

// jsforce 3: authorize() takes any grant; the assertion is signed by jsonwebtoken, as the Salesforce CLI does it.
// Alone among the clients it has functions for the identity URL and for revoking.
async function jsforce(given) {
  const { Connection } = load("jsforce");
  const claims = { iss: given.consumer_key, sub: given.username, aud: given.audience };
  const assertion = load("jsonwebtoken").sign(claims, fs.readFileSync(given.key_file), { algorithm: "RS256", expiresIn: 180 });
  const connection = new Connection({ oauth2: { loginUrl: given.url } });
  await connection.authorize({ grant_type: "urn:ietf:params:oauth:grant-type:jwt-bearer", assertion });
  const did = await use(connection, given);
  did.username = (await connection.identity()).username;
  const { accessToken, instanceUrl } = connection;
  await connection.logout();
  const late = new Connection({ instanceUrl, accessToken });
  did.late = await late.query(QUERY).catch((error) => `${error.name}: ${error.message}`);
  return did;
}

// It returns Salesforce's answer as it is, and posts to its audience; jsforce uses the token then.
async function flow(given) {
  const { getToken } = load("salesforce-jwt-bearer-token-flow");
  const privateKey = fs.readFileSync(given.key_file, "utf8");
  const asked = { iss: given.consumer_key, sub: given.username, aud: given.url, privateKey };
  const answer = await new Promise((resolve, reject) => getToken(asked, (error, body) => (error ? reject(error) : resolve(body))));
  const { Connection } = load("jsforce");
  return use(new Connection({ instanceUrl: answer.instance_url, accessToken: answer.access_token }), given);
}

// It logs in and asks userinfo for the org's id. Its one call goes to a gRPC server here, which tells what metadata it was sent.
async function pubsub(given) {
  const { default: Client } = load("salesforce-pubsub-api-client");
  const server = await pubsubServer(given);
  const client = new Client({
    authType: "oauth-jwt-bearer",
    loginUrl: given.url,
    clientId: given.consumer_key,
    username: given.username,
    privateKey: fs.readFileSync(given.key_file, "utf8"),
    pubSubEndpoint: `localhost:${server.port}`,
    rejectUnauthorizedSsl: false,
  }, { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} });
  await client.connect();
  const metadata = await server.metadataOf(client);
  const { Connection } = load("jsforce");
  const did = await use(new Connection({ instanceUrl: metadata.instanceurl, accessToken: metadata.accesstoken }), given);
  return { ...did, tenant: metadata.tenantid };
}

async function pubsubServer(given) {
  const pubsubLoad = createRequire(load.resolve("salesforce-pubsub-api-client"));
  const grpc = pubsubLoad("@grpc/grpc-js");
  let seen;
  const proto = `${require("node:path").dirname(load.resolve("salesforce-pubsub-api-client"))}/../pubsub_api.proto`;
  const { PubSub } = grpc.loadPackageDefinition(pubsubLoad("@grpc/proto-loader").loadSync(proto, {})).eventbus.v1;
  const server = new grpc.Server();
  server.addService(PubSub.service, {
    GetTopic: (call, reply) => {
      seen = Object.fromEntries(Object.entries(call.metadata.getMap()).map(([name, value]) => [name, String(value)]));
      reply({ code: grpc.status.NOT_FOUND, details: "no such topic" });
    },
  });
  const pair = { private_key: fs.readFileSync(given.server_key_file), cert_chain: Buffer.from(given.server_certificate) };
  const port = await new Promise((resolve, reject) => {
    const credentials = grpc.ServerCredentials.createSsl(null, [pair]);
    server.bindAsync("127.0.0.1:0", credentials, (error, bound) => (error ? reject(error) : resolve(bound)));
  });
  return {
    port,
    metadataOf: async (client) => {
      await client.publish("/event/Made_Here__e", {}).catch(() => {});
      client.close();
      server.forceShutdown();
      return seen;
    },
  };
}

async function use(connection, given) {
  const did = { records: (await connection.query(QUERY)).records };
  const account = await connection.sobject("Account").create({ Name: NAME });
  did.created = account.id;
  did.read = (await connection.sobject("Account").retrieve(account.id)).Name;
  did.accounts = (await connection.query(ACCOUNTS)).records;
  if (given.kill) {
    await fetch(given.kill, { method: "DELETE" });
    did.after = (await connection.query(QUERY)).records;
  }
  return did;
}

function fail(error) {
  const cause = error.cause instanceof Error ? `: ${error.cause.message}` : "";
  const text = error instanceof Error ? `${error.name}: ${error.message}${cause}` : JSON.stringify(error);
  console.log(JSON.stringify({ error: text, kind: error.errorCode ?? error.name ?? error.error ?? "Error" }));
  process.exit(0);
}

process.on("uncaughtException", fail);
const client = { jsforce, "salesforce-jwt-bearer-token-flow": flow, "salesforce-pubsub-api-client": pubsub }[process.argv[2]];
client(JSON.parse(fs.readFileSync(0, "utf8")))
  .then((did) => console.log(JSON.stringify(did)))
  .catch(fail);
