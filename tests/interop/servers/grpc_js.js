// SPDX-License-Identifier: MIT
//
// An OTLP trace receiver on grpc-js: appends each request, after its length, to a file.
// Arguments are NAME=VALUE; grpc_peers.py lists them.
"use strict";

const fs = require("fs");
const grpc = require("@grpc/grpc-js");

const given = Object.fromEntries(process.argv.slice(2).map((argument) => {
  const at = argument.indexOf("=");
  return [argument.slice(0, at), argument.slice(at + 1)];
}));

const options = { "grpc.max_receive_message_length": -1 };
if (given.age_ms) options["grpc.max_connection_age_ms"] = Number(given.age_ms);

const record = fs.openSync(given.record, "a");
const server = new grpc.Server(options);
const asItIs = (message) => message;
server.register(
  "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
  (call, callback) => {
    const size = Buffer.alloc(4);
    size.writeUInt32BE(call.request.length);
    fs.writeSync(record, Buffer.concat([size, call.request]));
    callback(null, Buffer.alloc(0));
  },
  asItIs, asItIs, "unary");

const credentials = given.cert
  ? grpc.ServerCredentials.createSsl(
      given.ca ? fs.readFileSync(given.ca) : null,
      [{ cert_chain: fs.readFileSync(given.cert), private_key: fs.readFileSync(given.key) }],
      Boolean(given.ca))
  : grpc.ServerCredentials.createInsecure();

server.bindAsync(`127.0.0.1:${given.port || 0}`, credentials, (error, port) => {
  if (error) throw error;
  console.log(`port ${port}`);
});

process.on("SIGTERM", () => {
  server.tryShutdown(() => process.exit(0));
  setTimeout(() => process.exit(0), 5000); // clients that stay connected
});
